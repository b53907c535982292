#define _GNU_SOURCE
#include "help_warden.h"

#include <check.h>
#include <fcntl.h>
#include <mbedtls/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "help_seal.h"
#include "store/store.h"
#include "warden/haproxy.h"

__attribute__((constructor)) static void become_warden(void)
{
	char line[64];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
	char *arg;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return;
	line[n] = '\0';
	arg = line + strlen(line) + 1;
	if (arg < line + n && !strcmp(arg, LP_WARDEN_ARG))
		_exit(lp_warden_main(atoi(arg + strlen(arg) + 1)));
	if (arg < line + n && !strcmp(arg, LP_HAPROXY_ARG))
		_exit(lp_haproxy_main(atoi(arg + strlen(arg) + 1)));
	if (arg < line + n && !strcmp(arg, LP_STORE_ARG))
		_exit(lp_store_main(atoi(arg + strlen(arg) + 1)));
}

void help_public_open(mbedtls_pk_context *pk, const struct help_dir *d, const char *name)
{
	uint8_t pem[HELP_FILE_MAX];
	size_t n = help_read(d, name, pem, sizeof pem - 1);

	pem[n] = '\0';
	mbedtls_pk_init(pk);
	ck_assert_int_eq(mbedtls_pk_parse_public_key(pk, pem, n + 1), 0);
}

void help_pad(uint8_t *block, size_t n, const uint8_t premaster[48], enum help_damage damage)
{
	const size_t zero = n - 49;

	block[0] = damage == HELP_FIRST_BYTE;
	block[1] = damage == HELP_TYPE ? 1 : 2;
	for (size_t i = 2; i < zero; i++)
		block[i] = (uint8_t)(1 + (premaster[i % 48] ^ i) % 255);
	block[zero] = damage == HELP_NO_SEPARATOR ? 7 : 0;
	memcpy(block + zero + 1, premaster, 48);
	if (damage == HELP_SHORT_PADDING)
		block[9] = 0;
	if (damage == HELP_LENGTH_47) {
		block[zero] = 7;
		block[zero + 1] = 0;
	}
	if (damage == HELP_LENGTH_49)
		block[zero - 1] = 0;
	if (damage == HELP_VERSION)
		block[zero + 1] = 2;
}

void help_encrypt(mbedtls_pk_context *pk, const uint8_t *block, uint8_t *out)
{
	ck_assert_int_eq(mbedtls_rsa_public(mbedtls_pk_rsa(*pk), block, out), 0);
}

void help_ask(struct lp_ask *ask, mbedtls_pk_context *pk, uint32_t key, uint64_t id,
	      enum help_damage damage, uint8_t premaster[48])
{
	uint8_t block[LP_WARDEN_INPUT];
	size_t n = mbedtls_pk_get_len(pk);

	*ask = (struct lp_ask){
		.id = id, .op = LP_ASK_RSA, .key = key, .version = 0x0303,
		.client_version = 0x0303, .prf = LP_SHA256, .seed_len = 64, .input_len = (uint16_t)n
	};
	help_fill(premaster, 48, (uint32_t)id * 2 + 1);
	premaster[0] = premaster[1] = 3;
	help_fill(ask->seed, 64, (uint32_t)id * 2 + 2);
	help_pad(block, n, premaster, damage);
	help_encrypt(pk, block, ask->input);
}

struct lp_warden *help_warden(const struct help_dir *d, const char *file, const char *crypto,
			      unsigned threads)
{
	char path[256], why[512];
	const char *const paths[] = { path };
	const struct lp_warden_config config = {
		.key_paths = paths, .key_paths_n = 1, .crypto = crypto, .threads = threads
	};
	struct lp_warden *w;

	snprintf(path, sizeof path, "%s/%s", d->path, file);
	ck_assert_msg(lp_warden_start(&w, &config, why) == LP_OK, "%s", why);
	return w;
}
