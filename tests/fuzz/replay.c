/* Feeds files to one fuzz target, without libFuzzer: `make check` replays every
 * corpus so, with any compiler. Each input gets an allocation of its own size, so
 * that ASan sees the first byte read past its end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t n = 0, got;
	uint8_t piece[4096];

	if (!f) {
		perror(path);
		return -1;
	}
	while ((got = fread(piece, 1, sizeof piece, f)) > 0) {
		uint8_t *more = malloc(n + got);

		if (!more)
			abort();
		for (size_t i = 0; i < n; i++)
			more[i] = data[i];
		for (size_t i = 0; i < got; i++)
			more[n + i] = piece[i];
		free(data);
		data = more;
		n += got;
	}
	fclose(f);
	if (!data)
		data = malloc(1);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int bad = argc < 2;

	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) < 0)
			bad = 1;
	return bad;
}
