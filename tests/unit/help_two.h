/* A provider that can make two HMACs at once, by making one after the other: what uses that can be
 * tested with any library and on any processor. */
#ifndef LP_TEST_HELP_TWO_H
#define LP_TEST_HELP_TWO_H

#include "crypto/crypto.h"

/* Made since help_two(): MACs alone, and by two; refuses: mac_two says LP_E_UNSUPPORTED; absent:
 * two_new does. */
struct help_two_counts {
	unsigned ones, twos;
	bool refuses, absent;
};
extern struct help_two_counts help_two_counts;

/* The real one with these; there is one at a time. */
const struct lp_crypto *help_two(const struct lp_crypto *real);

#endif
