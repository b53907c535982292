#include "net/domain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { VLAN_BITS = 12, KIND_SHIFT = 24 };

enum lp_err lp_domain_init(struct lp_domains *t, uint32_t max, const struct lp_hash_seed *seed)
{
	size_t slots = 16;

	assert(max < UINT32_MAX - LP_DOMAIN_FIRST);
	while (slots < 2 * (size_t)max)
		slots *= 2;
	*t = (struct lp_domains){ .mask = (uint32_t)(slots - 1), .max = max, .seed = *seed };
	t->entry = calloc(max ? max : 1, sizeof *t->entry);
	t->slot = calloc(slots, sizeof *t->slot);
	if (!t->entry || !t->slot) {
		lp_domain_clear(t);
		return LP_E_NOMEM;
	}
	return LP_OK;
}

void lp_domain_clear(struct lp_domains *t)
{
	free(t->entry);
	free(t->slot);
	*t = (struct lp_domains){ 0 };
}

/* The number, if it needs no table. VLAN 0 is no VLAN and never stands here: one tag
 * and two cannot meet. */
static bool packed(const struct lp_domain_ids *ids, uint32_t *domain)
{
	uint64_t kind = ids->n ? ids->id[0] >> 32 : 0;
	uint32_t value = ids->n ? (uint32_t)ids->id[0] : 0;

	if (ids->n == 2 && !kind && ids->id[1] >> VLAN_BITS == 0)
		*domain = value << VLAN_BITS | (uint32_t)ids->id[1];
	else if (ids->n <= 1 && value >> KIND_SHIFT == 0)
		*domain = (uint32_t)kind << KIND_SHIFT | value;
	else
		return false;
	return true;
}

enum lp_err lp_domain_intern(struct lp_domains *t, const struct lp_domain_ids *ids,
			     uint32_t *domain)
{
	size_t n = ids->n * sizeof *ids->id;
	uint32_t at;

	assert(ids->n <= LP_DOMAIN_IDS);
	if (packed(ids, domain))
		return LP_OK;
	at = (uint32_t)lp_hash(&t->seed, ids->id, n) & t->mask;
	for (; t->slot[at]; at = (at + 1) & t->mask) {
		const struct lp_domain_ids *e = &t->entry[t->slot[at] - 1];

		if (e->n == ids->n && !memcmp(e->id, ids->id, n)) {
			*domain = LP_DOMAIN_FIRST + t->slot[at] - 1;
			return LP_OK;
		}
	}
	if (t->n == t->max)
		return LP_E_LIMIT;
	t->entry[t->n].n = ids->n;
	memcpy(t->entry[t->n].id, ids->id, n);
	*domain = LP_DOMAIN_FIRST + t->n;
	t->slot[at] = ++t->n;
	return LP_OK;
}
