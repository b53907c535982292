/* Names of named groups: IANA "TLS Supported Groups". Const data. */
#ifndef LP_TLS_GROUP_H
#define LP_TLS_GROUP_H

#include <stdint.h>

/* "x25519"; NULL for a number that has no name. */
const char *lp_group_name(uint32_t number);

#endif
