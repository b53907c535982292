/* mbedTLS's own speed, as `openssl speed` is libcrypto's: decrypting records of 16 KiB,
 * AES-256-GCM with the tag checked, or HMAC-SHA256, or AES-256-CBC.
 *
 *	mbedtls gcm|cbc|hmac SECONDS    prints bytes per second of CPU */
#define _POSIX_C_SOURCE 200809L
#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORD = 16384 };

static unsigned char in[RECORD], out[RECORD], key[32], tag[16], mac[32];
static mbedtls_gcm_context gcm;
static mbedtls_aes_context aes;
static mbedtls_md_context_t md;

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int one_gcm(void)
{
	return mbedtls_gcm_auth_decrypt(&gcm, RECORD, key, 12, key, 13, tag, 16, in, out);
}

static int one_cbc(void)
{
	unsigned char iv[16] = { 0 };

	return mbedtls_aes_crypt_cbc(&aes, MBEDTLS_AES_DECRYPT, RECORD, iv, in, out);
}

static int one_hmac(void)
{
	return mbedtls_md_hmac_reset(&md) || mbedtls_md_hmac_update(&md, key, 13) ||
	       mbedtls_md_hmac_update(&md, in, RECORD) || mbedtls_md_hmac_finish(&md, mac);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*one)(void);
	} all[] = { { "gcm", one_gcm }, { "cbc", one_cbc }, { "hmac", one_hmac } };
	double begun, seconds = argc == 3 ? strtod(argv[2], NULL) : 0;
	unsigned long long records = 0;
	size_t i = 0;

	while (i < 3 && (argc != 3 || strcmp(argv[1], all[i].name) != 0))
		i++;
	if (i == 3 || seconds <= 0) {
		fprintf(stderr, "usage: mbedtls gcm|cbc|hmac SECONDS\n");
		return 1;
	}
	mbedtls_gcm_init(&gcm);
	mbedtls_aes_init(&aes);
	mbedtls_md_init(&md);
	if (mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 256) ||
	    mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, RECORD, key, 12, key, 13, out, in, 16, tag) ||
	    mbedtls_aes_setkey_dec(&aes, key, 256) ||
	    mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1) ||
	    mbedtls_md_hmac_starts(&md, key, 32))
		return 1;
	begun = cpu();
	do {
		for (int n = 0; n < 64; n++)
			if (all[i].one()) {
				fprintf(stderr, "mbedtls: a record does not open\n");
				return 1;
			}
		records += 64;
	} while (cpu() - begun < seconds);
	printf("%.0f\n", (double)records * RECORD / (cpu() - begun));
	mbedtls_gcm_free(&gcm);
	mbedtls_aes_free(&aes);
	mbedtls_md_free(&md);
	return 0;
}
