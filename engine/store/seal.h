/* What the store does to names and values before they leave the machine.
 *
 * Two keys are derived from the cluster key, which all sensors have as a file: one for
 * names, one for values.
 *
 *   name   "limpid:" ‖ hex(HMAC-SHA256(name key, name))
 *   value  version[1] ‖ salt[16] ‖ end[8] ‖ sealed[53] ‖ tag[16]
 *
 * A value is sealed with AES-256-GCM under a key of its own, HMAC-SHA256(value key, salt),
 * so that no nonce can ever come twice however many sensors seal. Authenticated with it
 * are the name and the end of its life in Unix seconds: memcached can neither swap values
 * nor keep one beyond its time.
 *
 * Owner: the store's process; lp_seal_keys lies in secret memory. */
#ifndef LP_STORE_SEAL_H
#define LP_STORE_SEAL_H

#include "crypto/seal.h"
#include "store/store.h"

enum {
	LP_SEALED_PLAIN = 53,
	LP_SEALED_SALT = 16,
	LP_SEALED_SIZE = 1 + LP_SEALED_SALT + 8 + LP_SEALED_PLAIN + LP_SEAL_TAG,
	LP_SEALED_NAME = 7 + 2 * 32 + 1,
	LP_SEAL_KEY_LEAST = 32,      /* bytes of a key file */
	LP_SEAL_FILE_MOST = 65536,
};

struct lp_seal_keys {
	uint8_t name[32], value[32];
};

/* The keys of a cluster key: 32 bytes or more, white space at the end not counted.
 * LP_E_FORMAT: too short. */
LP_MUST enum lp_err lp_seal_keys_derive(struct lp_seal_keys *keys, lp_span cluster_key);

/* The same from a file: regular, at most 64 KiB. *exposed: others can read it (and it was
 * refused, if strict). A fault has one line in why (LP_CHILD_WHY). */
LP_MUST enum lp_err lp_seal_keys_load(struct lp_seal_keys *keys, const char *path, bool strict,
				      bool *exposed, char *why);

LP_MUST enum lp_err lp_seal_name(const struct lp_seal_keys *keys, const uint8_t name[LP_STORE_NAME],
				 char out[LP_SEALED_NAME]);

/* end: Unix seconds. LP_E_IO: the system has no random bytes. */
LP_MUST enum lp_err lp_seal_value(const struct lp_seal_keys *keys, const uint8_t name[LP_STORE_NAME],
				  const struct lp_store_value *value, uint64_t end,
				  uint8_t out[LP_SEALED_SIZE]);

/* LP_E_AUTH: not one of ours, or not of that name. LP_EOF: past its end. */
LP_MUST enum lp_err lp_unseal_value(const struct lp_seal_keys *keys,
				    const uint8_t name[LP_STORE_NAME], lp_span sealed, uint64_t now,
				    struct lp_store_value *out, uint64_t *end);

#endif
