#include "crypto/kdf.h"

#include <string.h>

#include "base/secret.h"

enum { SSL30 = 0x0300, SEED_PARTS = 4, SPLIT_MAX = 1024 };

/* Every intermediate value of one derivation; lives in secret memory. */
struct work {
	uint8_t a[LP_DIGEST_MAX];
	uint8_t block[LP_DIGEST_MAX];
};

/* label ‖ seed, as it follows A(i) in the MAC's input. */
struct seed {
	lp_span parts[1 + SEED_PARTS];
	size_t n;
};

/* RFC 5246 section 5: P_hash(secret, seed) = HMAC_hash(secret, A(1) + seed) +
 * HMAC_hash(secret, A(2) + seed) + …, A(0) = seed, A(i) = HMAC_hash(secret, A(i-1)). */
static enum lp_err p_hash_keyed(const struct lp_crypto *crypto, struct lp_mac_ctx *mac, size_t size,
				const struct seed *seed, struct work *w, uint8_t *out, size_t n)
{
	const lp_span a = { w->a, size };
	lp_span input[1 + 1 + SEED_PARTS] = { a };
	enum lp_err err;

	memcpy(input + 1, seed->parts, seed->n * sizeof input[0]);
	err = crypto->mac(mac, seed->parts, seed->n, w->a);
	while (!err && n) {
		const size_t part = n < size ? n : size;

		err = crypto->mac(mac, input, 1 + seed->n, w->block);
		if (err)
			break;
		memcpy(out, w->block, part);
		out += part;
		n -= part;
		if (n)
			err = crypto->mac(mac, &a, 1, w->a);
	}
	return err;
}

/* kept: NULL, or where the MAC with that secret is, and stays. */
static enum lp_err p_hash(const struct lp_crypto *crypto, enum lp_digest digest, lp_span secret,
			  struct lp_mac_ctx **kept, const struct seed *seed, struct work *w,
			  uint8_t *out, size_t n)
{
	struct lp_mac_ctx *mac = kept ? *kept : NULL;
	enum lp_err err = mac ? LP_OK : crypto->mac_new(digest, secret, &mac);

	if (!err)
		err = p_hash_keyed(crypto, mac, lp_digest_size(digest), seed, w, out, n);
	if (kept)
		*kept = mac;
	else
		crypto->mac_free(mac);
	return err;
}

/* RFC 2246 section 5: the secret is cut in two halves, which share the middle byte
 * if its length is odd; PRF = P_MD5(S1, …) XOR P_SHA-1(S2, …). */
static enum lp_err split_prf(const struct lp_crypto *crypto, lp_span secret,
			     const struct seed *seed, struct work *w, uint8_t *out, size_t n)
{
	const size_t half = (secret.n + 1) / 2;
	const lp_span s1 = { secret.p, half };
	const lp_span s2 = { secret.p ? secret.p + secret.n - half : NULL, half };
	uint8_t *other; /* P_SHA-1, to be mixed in */
	enum lp_err err;

	if (n > SPLIT_MAX)
		return LP_E_ARG;
	other = lp_secret_alloc(n);
	if (!other)
		return LP_E_NOMEM;
	err = p_hash(crypto, LP_MD5, s1, NULL, seed, w, out, n);
	if (!err)
		err = p_hash(crypto, LP_SHA1, s2, NULL, seed, w, other, n);
	for (size_t i = 0; !err && i < n; i++)
		out[i] ^= other[i];
	lp_secret_free(other, n);
	return err;
}

static enum lp_err prf(const struct lp_kdf *kdf, lp_span secret, struct lp_mac_ctx **kept,
		       const char *label, const lp_span *parts, size_t nparts, uint8_t *out,
		       size_t n)
{
	struct seed seed = { { lp_span_of(label, strlen(label)) }, 1 };
	struct work *w;
	enum lp_err err;

	if (nparts > SEED_PARTS)
		return LP_E_ARG;
	for (size_t i = 0; i < nparts; i++)
		seed.parts[seed.n++] = parts[i];
	w = lp_secret_alloc(sizeof *w);
	if (!w)
		return LP_E_NOMEM;
	switch (kdf->version) {
	case 0x0301:
	case 0x0302:
		err = split_prf(kdf->crypto, secret, &seed, w, out, n);
		break;
	case 0x0303:
		err = p_hash(kdf->crypto, kdf->prf, secret, kept, &seed, w, out, n);
		break;
	default: /* SSL 3.0 has no PRF of this form, TLS 1.3 uses HKDF */
		err = LP_E_UNSUPPORTED;
	}
	lp_secret_free(w, sizeof *w);
	if (err)
		lp_wipe(out, n);
	return err;
}

enum lp_err lp_prf(const struct lp_kdf *kdf, lp_span secret, const char *label,
		   const lp_span *parts, size_t nparts, uint8_t *out, size_t n)
{
	return prf(kdf, secret, NULL, label, parts, nparts, out, n);
}

/* RFC 6101 sections 6.1 and 6.2.2: MD5(secret + SHA('A' + secret + seed)) +
 * MD5(secret + SHA('BB' + secret + seed)) + … */
static enum lp_err ssl3_mix(const struct lp_crypto *crypto, lp_span secret, const lp_span seed[2],
			    uint8_t *out, size_t n)
{
	enum { MD5_SIZE = 16, SHA_SIZE = 20, ROUNDS = 26 };
	uint8_t letters[ROUNDS];
	struct work *w;
	enum lp_err err = LP_OK;

	if (n > MD5_SIZE * ROUNDS)
		return LP_E_ARG;
	w = lp_secret_alloc(sizeof *w);
	if (!w)
		return LP_E_NOMEM;
	for (size_t i = 0; !err && i * MD5_SIZE < n; i++) {
		const lp_span inner[4] = { { letters, i + 1 }, secret, seed[0], seed[1] };
		const lp_span outer[2] = { secret, { w->a, SHA_SIZE } };
		const size_t left = n - i * MD5_SIZE;

		memset(letters, 'A' + (int)i, i + 1);
		err = lp_digest_once(crypto, LP_SHA1, inner, 4, w->a);
		if (!err)
			err = lp_digest_once(crypto, LP_MD5, outer, 2, w->block);
		if (!err)
			memcpy(out + i * MD5_SIZE, w->block, left < MD5_SIZE ? left : MD5_SIZE);
	}
	lp_secret_free(w, sizeof *w);
	if (err)
		lp_wipe(out, n);
	return err;
}

enum lp_err lp_kdf_master(const struct lp_kdf *kdf, lp_span premaster, bool extended, lp_span seed,
			  uint8_t out[LP_MASTER_SIZE])
{
	const char *label = extended ? "extended master secret" : "master secret";
	const lp_span one[2] = { seed, { NULL, 0 } };

	if (kdf->version == SSL30) /* RFC 7627 leaves it alone */
		return extended ? LP_E_UNSUPPORTED
				: ssl3_mix(kdf->crypto, premaster, one, out, LP_MASTER_SIZE);
	return lp_prf(kdf, premaster, label, &seed, 1, out, LP_MASTER_SIZE);
}

enum lp_err lp_kdf_key_block(const struct lp_kdf *kdf, const uint8_t master[LP_MASTER_SIZE],
			     const uint8_t client_random[32], const uint8_t server_random[32],
			     uint8_t *out, size_t n)
{
	/* The other way round than for the master secret. */
	const lp_span seed[2] = { { server_random, 32 }, { client_random, 32 } };
	const lp_span secret = { master, LP_MASTER_SIZE };

	if (kdf->version == SSL30)
		return ssl3_mix(kdf->crypto, secret, seed, out, n);
	return prf(kdf, secret, kdf->kept, "key expansion", seed, 2, out, n);
}

enum lp_err lp_kdf_verify_data(const struct lp_kdf *kdf, const uint8_t master[LP_MASTER_SIZE],
			       bool client, lp_span handshake_hash,
			       uint8_t out[LP_VERIFY_DATA_SIZE])
{
	const char *label = client ? "client finished" : "server finished";

	return prf(kdf, lp_span_of(master, LP_MASTER_SIZE), kdf->kept, label, &handshake_hash, 1,
		   out, LP_VERIFY_DATA_SIZE);
}

/* hash(master + pad2 + hash(messages + sender + master + pad1)) */
static enum lp_err ssl3_finished(const struct lp_crypto *crypto, enum lp_digest digest,
				 lp_span master, const char *sender, lp_span messages,
				 uint8_t *out)
{
	/* RFC 6101 section 5.2.3.1: 48 bytes for MD5, 40 for SHA. */
	const size_t pad = digest == LP_MD5 ? 48 : 40;
	uint8_t pad1[48], pad2[48], inner[LP_DIGEST_MAX];
	const lp_span first[4] = { messages, lp_span_of(sender, 4), master, { pad1, pad } };
	const lp_span second[3] = { master, { pad2, pad }, { inner, lp_digest_size(digest) } };
	enum lp_err err;

	memset(pad1, 0x36, sizeof pad1);
	memset(pad2, 0x5c, sizeof pad2);
	err = lp_digest_once(crypto, digest, first, 4, inner);
	return err ? err : lp_digest_once(crypto, digest, second, 3, out);
}

enum lp_err lp_kdf_ssl3_finished(const struct lp_kdf *kdf, const uint8_t master[LP_MASTER_SIZE],
				 bool client, lp_span messages,
				 uint8_t out[LP_SSL3_FINISHED_SIZE])
{
	const lp_span secret = { master, LP_MASTER_SIZE };
	const char *sender = client ? "CLNT" : "SRVR";
	enum lp_err err;

	if (kdf->version != SSL30)
		return LP_E_UNSUPPORTED;
	err = ssl3_finished(kdf->crypto, LP_MD5, secret, sender, messages, out);
	return err ? err
		   : ssl3_finished(kdf->crypto, LP_SHA1, secret, sender, messages,
				   out + lp_digest_size(LP_MD5));
}

/* SSL 3.0: the first n bytes of MD5 over three parts. */
static enum lp_err md5_of(const struct lp_kdf *kdf, const lp_span parts[3], uint8_t *out, size_t n)
{
	uint8_t full[LP_DIGEST_MAX];
	enum lp_err err;

	if (n > lp_digest_size(LP_MD5))
		return LP_E_ARG;
	err = lp_digest_once(kdf->crypto, LP_MD5, parts, 3, full);
	if (!err)
		memcpy(out, full, n);
	lp_wipe(full, sizeof full);
	return err;
}

enum lp_err lp_kdf_export_key(const struct lp_kdf *kdf, lp_span key, bool client,
			      const uint8_t client_random[32], const uint8_t server_random[32],
			      uint8_t *out, size_t n)
{
	const lp_span c = { client_random, 32 }, s = { server_random, 32 };
	const lp_span parts[3] = { key, client ? c : s, client ? s : c };
	const lp_span seed[2] = { c, s };

	if (kdf->version == SSL30)
		return md5_of(kdf, parts, out, n);
	return lp_prf(kdf, key, client ? "client write key" : "server write key", seed, 2, out, n);
}

enum lp_err lp_kdf_export_iv(const struct lp_kdf *kdf, bool client, const uint8_t client_random[32],
			     const uint8_t server_random[32], uint8_t *out, size_t n)
{
	const lp_span c = { client_random, 32 }, s = { server_random, 32 }, none = { NULL, 0 };
	const lp_span parts[3] = { none, client ? c : s, client ? s : c };
	const lp_span seed[2] = { c, s };
	uint8_t block[2 * 16];
	enum lp_err err;

	if (n > sizeof block / 2)
		return LP_E_ARG;
	if (kdf->version == SSL30)
		return md5_of(kdf, parts, out, n);
	err = lp_prf(kdf, none, "IV block", seed, 2, block, 2 * n);
	if (!err)
		memcpy(out, client ? block : block + n, n);
	return err;
}
