#define _GNU_SOURCE
#include "store/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "base/log.h"
#include "crypto/crypto.h"

enum { VERSION = 1 };

static enum lp_err hmac(const uint8_t key[32], const lp_span *parts, size_t n, uint8_t out[32])
{
	return lp_mac_once(&lp_crypto_mbedtls, LP_SHA256, lp_span_of(key, 32), parts, n, out);
}

static lp_span text(const char *s)
{
	return lp_span_of(s, strlen(s));
}

enum lp_err lp_seal_keys_derive(struct lp_seal_keys *keys, lp_span cluster_key)
{
	const lp_span name = text("limpid session store: names");
	const lp_span value = text("limpid session store: values");
	uint8_t root[32];
	enum lp_err err;

	while (cluster_key.n && strchr(" \t\r\n", cluster_key.p[cluster_key.n - 1]) &&
	       cluster_key.p[cluster_key.n - 1])
		cluster_key.n--;
	if (cluster_key.n < LP_SEAL_KEY_LEAST)
		return LP_E_FORMAT;
	err = lp_digest_once(&lp_crypto_mbedtls, LP_SHA256, &cluster_key, 1, root);
	if (!err)
		err = hmac(root, &name, 1, keys->name);
	if (!err)
		err = hmac(root, &value, 1, keys->value);
	lp_wipe(root, sizeof root);
	return err;
}

/* fd to its end, at most room bytes. */
static ssize_t read_all(int fd, uint8_t *p, size_t room)
{
	size_t n = 0;
	ssize_t got;

	while (n < room && (got = read(fd, p + n, room - n)) != 0) {
		if (got > 0)
			n += (size_t)got;
		else if (errno != EINTR)
			return -1;
	}
	return (ssize_t)n;
}

static enum lp_err check(int fd, const char *name, bool strict, bool *exposed, char *why)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		snprintf(why, LP_CHILD_WHY, "%s: %s", name, strerror(errno));
		return LP_E_IO;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > LP_SEAL_FILE_MOST) {
		snprintf(why, LP_CHILD_WHY, "%s: %s", name,
			 S_ISREG(st.st_mode) ? "too long for a key file" : "not a regular file");
		return LP_E_ARG;
	}
	*exposed = st.st_mode & (S_IRWXG | S_IRWXO);
	if (*exposed && strict) {
		snprintf(why, LP_CHILD_WHY, "%s: readable by others (mode %04o), refused", name,
			 (unsigned)st.st_mode & 07777);
		return LP_E_ARG;
	}
	return LP_OK;
}

enum lp_err lp_seal_keys_load(struct lp_seal_keys *keys, const char *path, bool strict, bool *exposed,
			      char *why)
{
	char name[256];
	uint8_t *bytes = lp_secret_alloc(LP_SEAL_FILE_MOST);
	int fd = -1;
	ssize_t n;
	enum lp_err err = LP_E_NOMEM;

	snprintf(why, LP_CHILD_WHY, "out of memory");
	if (!bytes)
		return err;
	lp_text_escape(name, sizeof name, path, strlen(path));
	/* O_NONBLOCK: a FIFO is refused, not waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	err = check(fd, name, strict, exposed, why);
	if (err)
		goto out;
	n = read_all(fd, bytes, LP_SEAL_FILE_MOST);
	if (n < 0) {
		snprintf(why, LP_CHILD_WHY, "%s: %s", name, strerror(errno));
		err = LP_E_IO;
		goto out;
	}
	err = lp_seal_keys_derive(keys, lp_span_of(bytes, (size_t)n));
	if (err == LP_E_FORMAT)
		snprintf(why, LP_CHILD_WHY, "%s: a cluster key has at least %d bytes (openssl rand "
			 "-hex 32)", name, LP_SEAL_KEY_LEAST);
	else if (err)
		snprintf(why, LP_CHILD_WHY, "%s: %s", name, lp_err_text(err));
out:
	if (fd >= 0)
		close(fd);
	lp_secret_free(bytes, LP_SEAL_FILE_MOST);
	return err;
}

enum lp_err lp_seal_name(const struct lp_seal_keys *keys, const uint8_t name[LP_STORE_NAME],
			 char out[LP_SEALED_NAME])
{
	const lp_span part = lp_span_of(name, LP_STORE_NAME);
	uint8_t mac[32];
	enum lp_err err = hmac(keys->name, &part, 1, mac);

	memcpy(out, "limpid:", 7);
	lp_text_hex(out + 7, mac, sizeof mac);
	return err;
}

static void put_be(uint8_t *out, uint64_t v, size_t n)
{
	while (n--) {
		out[n] = (uint8_t)v;
		v >>= 8;
	}
}

/* What is authenticated beside the secret: version, salt and end as they stand in the
 * value, then the name. */
enum { HEAD = 1 + LP_SEALED_SALT + 8, AAD = HEAD + LP_STORE_NAME };

static void fill_aad(uint8_t aad[AAD], const uint8_t head[HEAD], const uint8_t name[LP_STORE_NAME])
{
	memcpy(aad, head, HEAD);
	memcpy(aad + HEAD, name, LP_STORE_NAME);
}

static enum lp_err value_key(const struct lp_seal_keys *keys, const uint8_t head[HEAD],
			     uint8_t out[32])
{
	const lp_span salt = lp_span_of(head + 1, LP_SEALED_SALT);

	return hmac(keys->value, &salt, 1, out);
}

static const uint8_t nonce[LP_SEAL_NONCE]; /* each key is used once */

enum lp_err lp_seal_value(const struct lp_seal_keys *keys, const uint8_t name[LP_STORE_NAME],
			  const struct lp_store_value *value, uint64_t end,
			  uint8_t out[LP_SEALED_SIZE])
{
	uint8_t plain[LP_SEALED_PLAIN], key[32], aad[AAD];
	enum lp_err err;

	out[0] = VERSION;
	if (getrandom(out + 1, LP_SEALED_SALT, 0) != LP_SEALED_SALT)
		return LP_E_IO;
	put_be(out + 1 + LP_SEALED_SALT, end, 8);
	memcpy(plain, value->master, 48);
	put_be(plain + 48, value->version, 2);
	put_be(plain + 50, value->suite, 2);
	plain[52] = (uint8_t)value->ems;
	fill_aad(aad, out, name);
	err = value_key(keys, out, key);
	if (!err)
		err = lp_seal(key, nonce, lp_span_of(aad, sizeof aad),
			      lp_span_of(plain, sizeof plain), out + HEAD,
			      out + HEAD + LP_SEALED_PLAIN);
	lp_wipe(plain, sizeof plain);
	lp_wipe(key, sizeof key);
	return err;
}

enum lp_err lp_unseal_value(const struct lp_seal_keys *keys, const uint8_t name[LP_STORE_NAME],
			    lp_span sealed, uint64_t now, struct lp_store_value *out, uint64_t *end)
{
	struct lp_cursor c = lp_cursor_span(sealed), p;
	lp_span head = lp_cursor_bytes(&c, HEAD);
	lp_span body = lp_cursor_bytes(&c, LP_SEALED_PLAIN);
	lp_span tag = lp_cursor_bytes(&c, LP_SEAL_TAG);
	uint8_t plain[LP_SEALED_PLAIN], key[32], aad[AAD];
	enum lp_err err;

	memset(out, 0, sizeof *out);
	if (lp_cursor_end(&c) || head.p[0] != VERSION)
		return LP_E_AUTH;
	fill_aad(aad, head.p, name);
	err = value_key(keys, head.p, key);
	if (!err)
		err = lp_unseal(key, nonce, lp_span_of(aad, sizeof aad), body, tag.p, plain);
	lp_wipe(key, sizeof key);
	if (err)
		return err;
	p = lp_cursor_of(head.p + 1 + LP_SEALED_SALT, 8);
	*end = lp_cursor_u64(&p);
	if (*end > now) {
		p = lp_cursor_of(plain + 48, 5);
		memcpy(out->master, plain, 48);
		out->version = lp_cursor_u16(&p);
		out->suite = lp_cursor_u16(&p);
		out->ems = (int8_t)lp_cursor_u8(&p);
	}
	lp_wipe(plain, sizeof plain);
	return *end > now ? LP_OK : LP_EOF;
}
