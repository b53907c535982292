/* lp_domains: a number for each stack of VLAN tags (later: and tunnel ids), so that the
 * same addresses on two VLANs are two flows. 0 means none. One tag or two are packed
 * into the number itself, which therefore is the same in every decoder and every run;
 * a deeper stack gets the next number of a table with a cap.
 * Owner: its decoder. Single-threaded. Nothing is allocated after init. */
#ifndef LP_NET_DOMAIN_H
#define LP_NET_DOMAIN_H

#include "base/hash.h"

enum {
	LP_DOMAIN_IDS = 8,          /* ids in a stack, at most */
	LP_DOMAIN_MAX = 65536,      /* default cap of the table */
	LP_DOMAIN_FIRST = 1 << 24,  /* numbers from here on come from the table */
};

struct lp_domain_ids {
	uint32_t n;
	uint32_t id[LP_DOMAIN_IDS]; /* outermost first; the first n count */
};

struct lp_domains {
	struct lp_domain_ids *entry;
	uint32_t *slot; /* entry number + 1; 0 = free */
	uint32_t mask;
	uint32_t n, max;
	struct lp_hash_seed seed;
};

/* max: stacks of more than two ids that can be told apart. LP_E_NOMEM. */
LP_MUST enum lp_err lp_domain_init(struct lp_domains *t, uint32_t max,
				   const struct lp_hash_seed *seed);
void lp_domain_clear(struct lp_domains *t);

/* LP_E_LIMIT: the table is full and has not seen these. */
LP_MUST enum lp_err lp_domain_intern(struct lp_domains *t, const struct lp_domain_ids *ids,
				     uint32_t *domain);

#endif
