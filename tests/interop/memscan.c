/* memscan PID KEY: looks for the numbers of an RSA private key (PEM) in the memory of a
 * running process, in either byte order, and for its PEM text; or for a raw ticket key.
 * memscan PID -: looks for the secrets that stand in hexadecimal on standard input, a line
 * each, from their 12th byte on. Prints a line for each: name and hits. Exit status 1: the
 * memory could not be read. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 24, MAX = 32 };
static struct {
	char name[32];
	unsigned char bytes[PIECE];
	long hits;
} needle[MAX];
static int needles;

static void add(const char *name, const char *how, const unsigned char *bytes)
{
	snprintf(needle[needles].name, sizeof needle[0].name, "%s-%s", name, how);
	memcpy(needle[needles++].bytes, bytes, PIECE);
}

static int key(const char *path)
{
	static const char *const part[] = { OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
					    OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2 };
	unsigned char text[8192], be[512], le[512];
	FILE *f = fopen(path, "r");
	EVP_PKEY *pkey = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (!pkey)
		return -1;
	for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
		BIGNUM *bn = NULL;
		int n;

		if (!EVP_PKEY_get_bn_param(pkey, part[i], &bn))
			return -1;
		n = BN_bn2bin(bn, be);
		for (int j = 0; j < n; j++)
			le[j] = be[n - 1 - j];
		/* from the middle: ends may be cut or overwritten */
		add(part[i], "be", be + n / 2);
		add(part[i], "le", le + n / 2);
		BN_clear_free(bn);
	}
	rewind(f);
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	add("pem", "text", text + strlen((char *)text) / 2 / 65 * 65 + 4);
	EVP_PKEY_free(pkey);
	fclose(f);
	return 0;
}

/* A ticket key: what follows its name. */
static int raw(const char *path)
{
	unsigned char bytes[16 + 64];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;

	for (size_t at = 16; at + PIECE <= n; at += PIECE)
		add("ticket", at == 16 ? "first" : "second", bytes + at);
	if (f)
		fclose(f);
	return needles ? 0 : -1;
}

/* Master secrets of 48 bytes. */
static int secrets(void)
{
	char line[256];

	while (fgets(line, sizeof line, stdin) && needles < MAX) {
		unsigned char bytes[PIECE];
		char name[16];

		if (strlen(line) < 2 * (12 + PIECE))
			return -1;
		for (int i = 0; i < PIECE; i++)
			if (sscanf(line + 2 * (12 + i), "%2hhx", &bytes[i]) != 1)
				return -1;
		snprintf(name, sizeof name, "%d", needles);
		add("secret", name, bytes);
	}
	return needles ? 0 : -1;
}

int main(int argc, char **argv)
{
	static unsigned char data[1 << 20];
	char line[512], path[64];
	FILE *maps;
	int mem;
	unsigned long long from, to, read_n = 0;

	if (argc != 3 || (!strcmp(argv[2], "-") ? secrets() : key(argv[2]) && raw(argv[2])))
		return 1;
	snprintf(path, sizeof path, "/proc/%s/maps", argv[1]);
	maps = fopen(path, "r");
	snprintf(path, sizeof path, "/proc/%s/mem", argv[1]);
	mem = open(path, O_RDONLY);
	if (!maps || mem < 0)
		return 1;
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%llx-%llx", &from, &to) != 2 || strstr(line, "[v"))
			continue;
		for (unsigned long long at = from; at < to; at += sizeof data - PIECE) {
			size_t n = to - at < sizeof data ? (size_t)(to - at) : sizeof data;
			ssize_t got = pread(mem, data, n, (off_t)at);

			if (got <= 0)
				break;
			read_n += (unsigned long long)got;
			for (int i = 0; i < needles; i++)
				for (unsigned char *p = data; (p = memmem(p, (size_t)(data + got - p), needle[i].bytes, PIECE)); p++)
					needle[i].hits++;
		}
	}
	for (int i = 0; i < needles; i++)
		printf("%s %ld\n", needle[i].name, needle[i].hits);
	return read_n ? 0 : 1;
}
