/* lp_keyring: the private keys, from files and directories, and the pre-shared ones.
 *
 * A path names a file, which must hold a usable key, or a directory, of which every
 * regular file is looked at in the order of names (not below it; hidden files are
 * left alone). In a directory, files that are no keys are skipped and counted, a key
 * that cannot be used is a warning, and at least one must be usable. A key that is
 * there twice is kept once. Symbolic links are followed: /etc is full of them; what
 * counts is what was opened.
 *
 * Files are regular and at most 64 KiB. One that group or others can read or write
 * is used with a warning, or refused with strict_modes.
 *
 * Owner: the warden; lp_keyring_clear() wipes everything. Lines given out are
 * escaped and fit LP_KEYRING_LINE bytes. */
#ifndef LP_WARDEN_KEYRING_H
#define LP_WARDEN_KEYRING_H

#include "crypto/keyfile.h"
#include "warden/premaster.h"
#include "warden/warden.h"

enum {
	LP_KEYRING_MAX = 4096,           /* keys */
	LP_KEYRING_NAMES_MAX = 65536,    /* files in a directory */
	LP_KEYRING_PATH = 4096,
	LP_KEYRING_LINE = 512,
};

struct lp_keyring_key {
	struct lp_key key;                /* kind PSK: der is the key, spki_sha256 the identity's */
	struct lp_secret substitute_seed; /* RSA: lp_premaster_seed() */
};

struct lp_keyring {
	struct lp_keyring_key *keys;
	struct lp_warden_key *faces;      /* what the engine is told of each */
	_Atomic size_t n;                 /* grows while others read */
	size_t usable;                    /* files with a key, twice or not */
	uint32_t skipped;                 /* files in directories that were no keys */
	bool strict_modes;
	const struct lp_crypto_set *crypto;
	struct lp_secret passphrases;     /* the file's bytes, a passphrase each line */
	void (*warn)(void *user, const char *line);
	void *user;
	char why[LP_KEYRING_LINE];        /* after a fault */
};

void lp_keyring_init(struct lp_keyring *r, const struct lp_crypto_set *crypto,
		     void (*warn)(void *user, const char *line), void *user);
void lp_keyring_clear(struct lp_keyring *r);

/* Reads the passphrases; wiped by lp_keyring_forget() once the keys are there. */
LP_MUST enum lp_err lp_keyring_passphrases(struct lp_keyring *r, const char *path);
void lp_keyring_forget(struct lp_keyring *r);

/* Reads a file of pre-shared keys (warden/psks.h). One that is not well formed, or
 * cannot be read, is a fault: who gives an identity a key means it. */
LP_MUST enum lp_err lp_keyring_psks(struct lp_keyring *r, const char *path);

/* Loads what path names. Faults leave a line in why. */
LP_MUST enum lp_err lp_keyring_load(struct lp_keyring *r, const char *path);

/* Loads one file; takes fd; shown: its name, escaped. LP_EOF: it is no key. */
LP_MUST enum lp_err lp_keyring_load_fd(struct lp_keyring *r, int fd, const char *shown);

/* Takes over key (always: it is empty afterwards) under the given escaped name.
 * LP_E_LIMIT beyond LP_KEYRING_MAX. */
LP_MUST enum lp_err lp_keyring_add(struct lp_keyring *r, struct lp_key *key, const char *name);

#endif
