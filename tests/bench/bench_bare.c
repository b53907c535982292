/* A bare loop: what remains of limpid when everything is left out that a capture does not force
 * upon a program. The file is mapped, the server's bytes are taken (one comparison a segment tells
 * whether it is the next; few are not), a record that lies in several segments is put together,
 * libcrypto opens it; no checksums, no table of connections, no key exchange, no looking at what
 * came out. `bare CIPHER FILE [sums|two]`: gcm, chacha, cbc-sha256 or cbc-sha1; the key is any key, for
 * that costs the same; with sums each segment's checksum is made, by limpid's own function; with two
 * the same is done by two processes at once, each all of it, for what a second core gives here.
 * For a capture of one bulk transfer from port 8443. */
#define _GNU_SOURCE
#include <stdio.h>

#ifdef LP_WITH_OPENSSL
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sum.h"

enum {
	FILE_HEADER = 24, PACKET_HEADER = 16, ETHERNET = 14, PORT = 8443,
	RECORD_HEADER = 5, RECORD_MAX = RECORD_HEADER + 16384 + 2048, DATA = 23,
	TAG = 16, NONCE = 8, BLOCK = 16, STRETCH = 1 << 20, PAGE = 1 << 12, SYN = 2,
};

static EVP_CIPHER_CTX *cipher;
static EVP_MAC_CTX *mac; /* NULL: an AEAD */
static size_t nonce, tag;
static uint8_t record[RECORD_MAX], out[RECORD_MAX];
static size_t have; /* of the record that is not whole */
static unsigned long long records, bytes;
static uint32_t next;
static struct { uint32_t seq; const uint8_t *p; size_t n; } early[1 << 12];
static size_t earlies;
static int sums;
static volatile uint16_t sum; /* or a compiler would see that nobody wants it */

static int prepare(const char *name)
{
	static const struct {
		const char *name, *cipher, *hash;
		size_t nonce, tag;
	} all[] = {
		{ "gcm", "AES-256-GCM", NULL, NONCE, TAG },
		{ "chacha", "ChaCha20-Poly1305", NULL, 0, TAG },
		{ "cbc-sha256", "AES-256-CBC", "SHA256", BLOCK, 32 },
		{ "cbc-sha1", "AES-256-CBC", "SHA1", BLOCK, 20 },
	};
	static const uint8_t key[32] = { 1 };
	size_t i = 0;

	while (i < sizeof all / sizeof all[0] && strcmp(name, all[i].name) != 0)
		i++;
	if (i == sizeof all / sizeof all[0])
		return 0;
	nonce = all[i].nonce;
	tag = all[i].tag;
	cipher = EVP_CIPHER_CTX_new();
	if (!EVP_DecryptInit_ex2(cipher, EVP_CIPHER_fetch(NULL, all[i].cipher, NULL), key, NULL, NULL))
		return 0;
	if (all[i].hash) {
		const OSSL_PARAM p[] = {
			OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)all[i].hash, 0),
			OSSL_PARAM_construct_end(),
		};

		mac = EVP_MAC_CTX_new(EVP_MAC_fetch(NULL, "HMAC", NULL));
		return EVP_MAC_init(mac, key, sizeof key, p) && EVP_CIPHER_CTX_set_padding(cipher, 0);
	}
	return 1;
}

/* A record's protected bytes. That the tag is wrong shows when all is done. */
static int open_record(const uint8_t *p, size_t n)
{
	uint8_t iv[BLOCK] = { 0 }, right[64], head[13] = { 0 };
	size_t size;
	int got;

	if (n < nonce + tag)
		return 1;
	memcpy(iv, p, nonce);
	n -= nonce + tag;
	if (mac && (!EVP_MAC_init(mac, NULL, 0, NULL) || !EVP_MAC_update(mac, head, sizeof head) ||
		    !EVP_MAC_update(mac, p, nonce + n) || !EVP_MAC_final(mac, right, &size, sizeof right)))
		return 0;
	if (!EVP_DecryptInit_ex2(cipher, NULL, NULL, iv, NULL))
		return 0;
	if (!mac && (EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, (int)tag,
					 (void *)(uintptr_t)(p + nonce + n)) <= 0 ||
		     !EVP_DecryptUpdate(cipher, NULL, &got, head, sizeof head)))
		return 0;
	if (!EVP_DecryptUpdate(cipher, out, &got, p + nonce, (int)n))
		return 0;
	(void)EVP_DecryptFinal_ex(cipher, out + got, &got);
	records++;
	bytes += n;
	return 1;
}

static size_t whole(const uint8_t *p)
{
	return RECORD_HEADER + (size_t)(p[3] << 8 | p[4]);
}

/* The next bytes of the stream. */
static int feed(const uint8_t *p, size_t n)
{
	while (n) {
		const uint8_t *r = p;
		size_t want = RECORD_HEADER, take;

		if (have >= RECORD_HEADER)
			want = whole(record);
		else if (!have && n >= RECORD_HEADER)
			want = whole(p);
		if (want > sizeof record)
			return 0;
		take = want - have < n ? want - have : n;
		if (have || take < want) {
			memcpy(record + have, p, take);
			have += take;
			r = record;
		}
		p += take;
		n -= take;
		if (r == record && (have < want || have < whole(record)))
			continue;
		have = 0;
		if (r[0] < 20 || r[0] > DATA || (r[0] == DATA && !open_record(r + RECORD_HEADER, want - RECORD_HEADER)))
			return 0;
	}
	return 1;
}

/* In its place, or after those that come before it. */
static int segment(uint32_t seq, const uint8_t *p, size_t n)
{
	size_t old = next - seq;

	if ((int32_t)(seq - next) > 0) {
		if (earlies == sizeof early / sizeof early[0])
			return 0;
		early[earlies].seq = seq;
		early[earlies].p = p;
		early[earlies++].n = n;
		return 1;
	}
	if (old >= n)
		return 1;
	next += (uint32_t)(n - old);
	if (!feed(p + old, n - old))
		return 0;
	for (size_t i = 0; i < earlies; i++)
		if ((int32_t)(early[i].seq - next) <= 0) {
			seq = early[i].seq;
			p = early[i].p;
			n = early[i].n;
			early[i] = early[--earlies];
			return segment(seq, p, n);
		}
	return 1;
}

static int packet(const uint8_t *p, size_t n)
{
	size_t ip, tcp, total;
	uint32_t seq;

	if (n < ETHERNET + 40 || p[12] != 8 || p[13] != 0)
		return 1;
	p += ETHERNET;
	ip = 4 * (p[0] & 15U);
	if (n < ETHERNET + ip + 20)
		return 1;
	total = (size_t)(p[2] << 8 | p[3]);
	tcp = ip + 4 * (size_t)(p[ip + 12] >> 4);
	if ((p[ip] << 8 | p[ip + 1]) != PORT || total > n - ETHERNET || tcp > total)
		return 1;
	if (sums)
		sum = lp_sum_fold(lp_sum_add(0, p + ip, total - ip));
	seq = (uint32_t)p[ip + 4] << 24 | (uint32_t)p[ip + 5] << 16 | (uint32_t)p[ip + 6] << 8 | p[ip + 7];
	if (p[ip + 13] & SYN)
		next = seq + 1;
	else if (tcp < total)
		return segment(seq, p + tcp, total - tcp);
	return 1;
}

int main(int argc, char **argv)
{
	int fd = argc >= 3 && prepare(argv[1]) ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	size_t at = FILE_HEADER, ready = 0, given = 0;
	pid_t child = 0;
	int status = 0;
	struct stat st;
	uint8_t *map;

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "usage: bare gcm|chacha|cbc-sha256|cbc-sha1 FILE [sums|two]\n");
		return 1;
	}
	sums = argc == 4 && !strcmp(argv[3], "sums");
	if (argc == 4 && !strcmp(argv[3], "two"))
		child = fork();
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		perror("bare");
		return 1;
	}
	while (at + PACKET_HEADER <= (size_t)st.st_size) {
		uint32_t n;

		/* Pages as limpid asks for them, and gives them back. */
		if (at + STRETCH / 2 > ready && ready < (size_t)st.st_size) {
			for (size_t i = 0; i < STRETCH && ready + i < (size_t)st.st_size; i += PAGE)
				(void)*(const volatile uint8_t *)(map + ready + i);
			ready += STRETCH;
			if (ready > 4 * (size_t)STRETCH) {
				(void)madvise(map + given, STRETCH, MADV_DONTNEED);
				given += STRETCH;
			}
		}
		memcpy(&n, map + at + 8, sizeof n);
		at += PACKET_HEADER;
		if (n > (size_t)st.st_size - at || !packet(map + at, n)) {
			fprintf(stderr, "bare: not one transfer in order\n");
			return 1;
		}
		at += n;
	}
	printf("%llu records, %llu bytes\n", records, bytes);
	if (child > 0 && waitpid(child, &status, 0) < 0)
		status = 1;
	return have || earlies || status;
}
#else
int main(void)
{
	fprintf(stderr, "bare: built without libcrypto\n");
	return 1;
}
#endif
