#include "net/domain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { VLAN_BITS = 12 };

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

enum lp_err lp_domain_intern(struct lp_domains *t, const struct lp_domain_ids *ids,
			     uint32_t *domain)
{
	struct lp_domain_ids key = { .n = ids->n };
	uint32_t at;

	assert(ids->n <= LP_DOMAIN_IDS);
	if (ids->n <= 2) {
		/* VLAN 0 is no VLAN and never stands here: one tag and two cannot meet. */
		*domain = ids->n == 0   ? 0
			  : ids->n == 1 ? ids->id[0]
					: ids->id[0] << VLAN_BITS | ids->id[1];
		return LP_OK;
	}
	memcpy(key.id, ids->id, ids->n * sizeof *ids->id);
	at = (uint32_t)lp_hash(&t->seed, &key, sizeof key) & t->mask;
	for (; t->slot[at]; at = (at + 1) & t->mask) {
		if (!memcmp(&t->entry[t->slot[at] - 1], &key, sizeof key)) {
			*domain = LP_DOMAIN_FIRST + t->slot[at] - 1;
			return LP_OK;
		}
	}
	if (t->n == t->max)
		return LP_E_LIMIT;
	t->entry[t->n] = key;
	*domain = LP_DOMAIN_FIRST + t->n;
	t->slot[at] = ++t->n;
	return LP_OK;
}
