/* lp_domains: a number for each stack of VLAN tags and tunnel ids, so that the same
 * addresses on two VLANs or in two overlays are two flows. 0 means none. One or two
 * VLAN tags, and a single tunnel id of up to 24 bits, are packed into the number
 * itself, which therefore is the same in every decoder and every run; another stack
 * gets the next number of a table with a cap.
 *
 * Only ids that both directions of a connection share belong here: MPLS labels and
 * GTP tunnel endpoint ids name one direction, the session id of ERSPAN names the
 * mirror and not what it mirrors.
 * Owner: its decoder. Single-threaded. Nothing is allocated after init. */
#ifndef LP_NET_DOMAIN_H
#define LP_NET_DOMAIN_H

#include "base/hash.h"

#define LP_DOMAIN_FIRST (1U << 31) /* numbers from here on come from the table */

enum {
	LP_DOMAIN_IDS = 16,         /* ids in a stack, at most */
	LP_DOMAIN_MAX = 65536,      /* default cap of the table */
};

enum lp_domain_kind {
	LP_DOMAIN_VLAN,   /* 802.1Q, 802.1ad, or as ERSPAN states it */
	LP_DOMAIN_VXLAN,  /* VNI */
	LP_DOMAIN_GENEVE, /* VNI */
	LP_DOMAIN_PBB,    /* I-SID of 802.1ah */
	LP_DOMAIN_PPPOE,  /* session id */
	LP_DOMAIN_GRE,    /* key */
};

struct lp_domain_ids {
	uint32_t n;
	uint64_t id[LP_DOMAIN_IDS]; /* enum lp_domain_kind << 32 | value; outermost first */
};

struct lp_domains {
	struct lp_domain_ids *entry;
	uint32_t *slot; /* entry number + 1; 0 = free */
	uint32_t mask;
	uint32_t n, max;
	struct lp_hash_seed seed;
};

/* max: stacks that do not fit into a number and can be told apart. LP_E_NOMEM. */
LP_MUST enum lp_err lp_domain_init(struct lp_domains *t, uint32_t max,
				   const struct lp_hash_seed *seed);
void lp_domain_clear(struct lp_domains *t);

/* LP_E_LIMIT: the table is full and has not seen these. */
LP_MUST enum lp_err lp_domain_intern(struct lp_domains *t, const struct lp_domain_ids *ids,
				     uint32_t *domain);

#endif
