/* Key derivation of SSL 3.0 to TLS 1.2. No state; outputs go to the caller's
 * memory, which is secret memory. Versions are the wire's (0x0301 = TLS 1.0).
 * prf is the suite's PRF hash and counts from TLS 1.2 on; below, the MD5/SHA-1
 * PRF of RFC 2246 section 5 is used whatever it says, and in SSL 3.0 the mixture of
 * both hashes of RFC 6101, which has no labels. */
#ifndef LP_CRYPTO_KDF_H
#define LP_CRYPTO_KDF_H

#include "crypto/crypto.h"

enum { LP_MASTER_SIZE = 48, LP_VERIFY_DATA_SIZE = 12, LP_KEY_BLOCK_MAX = 192 };
enum { LP_SSL3_FINISHED_SIZE = 36 };

/* kept, unless NULL: where the MAC keyed with the master secret stays between the key
 * block and both Finished (TLS 1.2), since keying costs half as much as a short MAC. Made
 * when it is first wanted; one for each master secret; the caller's to free. */
struct lp_kdf {
	const struct lp_crypto *crypto;
	uint16_t version;
	enum lp_digest prf;
	struct lp_mac_ctx **kept;
};

/* PRF(secret, label, seed) (RFC 5246 section 5, RFC 2246 section 5); the seed is
 * the concatenation of parts (at most 4). Fills n bytes. Not of SSL 3.0. */
LP_MUST enum lp_err lp_prf(const struct lp_kdf *kdf, lp_span secret, const char *label,
			   const lp_span *parts, size_t nparts, uint8_t *out, size_t n);

/* seed: client_random ‖ server_random (64 bytes) for the legacy master secret
 * (RFC 5246 section 8.1), or the session hash for the extended one (RFC 7627
 * section 4). */
LP_MUST enum lp_err lp_kdf_master(const struct lp_kdf *kdf, lp_span premaster, bool extended,
				  lp_span seed, uint8_t out[LP_MASTER_SIZE]);

/* key_block (RFC 5246 section 6.3): n bytes, from server_random ‖ client_random. */
LP_MUST enum lp_err lp_kdf_key_block(const struct lp_kdf *kdf, const uint8_t master[LP_MASTER_SIZE],
				     const uint8_t client_random[32],
				     const uint8_t server_random[32], uint8_t *out, size_t n);

/* verify_data of Finished (RFC 5246 section 7.4.9) from the hash of the
 * handshake messages so far (36 bytes below TLS 1.2). */
LP_MUST enum lp_err lp_kdf_verify_data(const struct lp_kdf *kdf,
				       const uint8_t master[LP_MASTER_SIZE], bool client,
				       lp_span handshake_hash,
				       uint8_t out[LP_VERIFY_DATA_SIZE]);

/* Finished of SSL 3.0 (RFC 6101 section 5.6.9): md5_hash ‖ sha_hash, from the
 * handshake messages themselves, since the master secret goes behind them into the
 * same hash. */
LP_MUST enum lp_err lp_kdf_ssl3_finished(const struct lp_kdf *kdf,
					 const uint8_t master[LP_MASTER_SIZE], bool client,
					 lp_span messages, uint8_t out[LP_SSL3_FINISHED_SIZE]);

/* EXPORT (RFC 2246 section 6.3.1, RFC 6101 section 6.2.2.1): the n bytes of the write
 * key that the few bytes of the key block are stretched to (n <= 16 in SSL 3.0), and
 * the IV of a direction (n <= 16), which in such suites is no secret. */
LP_MUST enum lp_err lp_kdf_export_key(const struct lp_kdf *kdf, lp_span key, bool client,
				      const uint8_t client_random[32],
				      const uint8_t server_random[32], uint8_t *out, size_t n);
LP_MUST enum lp_err lp_kdf_export_iv(const struct lp_kdf *kdf, bool client,
				     const uint8_t client_random[32],
				     const uint8_t server_random[32], uint8_t *out, size_t n);

#endif
