#include "help_two.h"

#include <stdlib.h>

struct help_two_counts help_two_counts;

static const struct lp_crypto *real;
static struct lp_crypto counting;

static enum lp_err mac(struct lp_mac_ctx *m, const lp_span *parts, size_t n, uint8_t *out)
{
	help_two_counts.ones++;
	return real->mac(m, parts, n, out);
}

static enum lp_err two_new(struct lp_two **out)
{
	*out = help_two_counts.absent ? NULL : malloc(1);
	if (help_two_counts.absent)
		return LP_E_UNSUPPORTED;
	return *out ? LP_OK : LP_E_NOMEM;
}

static void two_free(struct lp_two *t)
{
	free(t);
}

static enum lp_err mac_two(struct lp_two *t, enum lp_digest digest, const struct lp_mac_job job[2])
{
	if (!t || (digest != LP_SHA1 && digest != LP_SHA256) || help_two_counts.refuses)
		return LP_E_UNSUPPORTED;
	help_two_counts.twos++;
	for (int i = 0; i < 2; i++)
		if (job[i].bytes.n < LP_TWO_LEAST ||
		    real->mac((struct lp_mac_ctx *)(uintptr_t)job[i].mac, &job[i].bytes, 1, job[i].out))
			return LP_E_UNSUPPORTED;
	return LP_OK;
}

const struct lp_crypto *help_two(const struct lp_crypto *crypto)
{
	real = crypto;
	counting = *crypto;
	counting.mac = mac;
	counting.two_new = two_new;
	counting.mac_two = mac_two;
	counting.two_free = two_free;
	help_two_counts = (struct help_two_counts){ 0 };
	return &counting;
}
