/* lp_keyring: the private keys, and the pre-shared ones.
 *
 * Which files there are, and when one comes or goes, is warden/reload's to know: it hands
 * in a file at a time. A key that several files hold is kept once. One that no file holds
 * any more is used until its time is over, and then wiped; should it come back, it has
 * its old number again.
 *
 * Files are regular and at most 64 KiB. One that group or others can read or write
 * is used with a warning, or refused with strict_modes.
 *
 * Owner: the warden; one thread at a time changes the ring, others read between
 * lp_keyring_enter() and lp_keyring_leave(). lp_keyring_clear() wipes everything. Lines
 * given out are escaped and fit LP_KEYRING_LINE bytes. */
#ifndef LP_WARDEN_KEYRING_H
#define LP_WARDEN_KEYRING_H

#include <pthread.h>

#include "crypto/keyfile.h"
#include "warden/premaster.h"
#include "warden/warden.h"

enum {
	LP_KEYRING_MAX = 4096, /* keys, those that were wiped among them */
	LP_KEYRING_LINE = 512,
};

struct lp_keyring_key {
	struct lp_key key;                /* kind PSK: der is the key, spki_sha256 the identity's */
	struct lp_secret substitute_seed; /* RSA: lp_premaster_seed() */
	uint32_t files;                   /* that hold it */
	uint64_t end_ns;                  /* no file does: when it is wiped, lp_clock_mono() */
	bool wiped;
};

struct lp_keyring {
	struct lp_keyring_key *keys;
	struct lp_warden_key *faces;      /* what the engine is told of each */
	_Atomic size_t n;                 /* grows while others read */
	pthread_rwlock_t lock;
	bool strict_modes;
	const struct lp_crypto_set *crypto;
	struct lp_secret passphrases;     /* the file's bytes, a passphrase each line */
	void (*warn)(void *user, const char *line);
	void *user;
	/* May be NULL. Nobody reads the ring now: what was made of this key is to go. */
	void (*wiping)(void *who, uint32_t id);
	void *who;
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

/* Loads a private key; takes fd; shown: the file's name, escaped. id: the key, which one
 * more file holds now. LP_EOF: it is no key. Faults leave a line in why. */
LP_MUST enum lp_err lp_keyring_load(struct lp_keyring *r, int fd, const char *shown, uint32_t *id);

/* A file that held the key does so no more. If it was the last: used until end_ns. */
void lp_keyring_release(struct lp_keyring *r, uint32_t id, uint64_t end_ns);

/* Wipes the keys whose time is over. */
void lp_keyring_expire(struct lp_keyring *r, uint64_t now_ns);

/* Takes over key (always: it is empty afterwards) under the given escaped name, for one
 * more file that holds it. LP_E_LIMIT beyond LP_KEYRING_MAX. */
LP_MUST enum lp_err lp_keyring_add(struct lp_keyring *r, struct lp_key *key, const char *name,
				   uint32_t *id);

/* Between these two no key is wiped: short, it keeps new keys out. */
void lp_keyring_enter(struct lp_keyring *r);
void lp_keyring_leave(struct lp_keyring *r);

/* The key of that number and kind, or NULL. The caller has entered. */
const struct lp_keyring_key *lp_keyring_key(const struct lp_keyring *r, uint32_t id,
					    enum lp_key_kind kind);

#endif
