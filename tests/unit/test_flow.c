/* net/flow.h: the name of a segment's flow, and whether it is of one whose name is known. */
#include <check.h>
#include <string.h>

#include "net/flow.h"

/* Addresses that are like each other, one way or another. */
static const uint8_t addrs[][16] = {
	{ 10, 0, 0, 1 },
	{ 10, 0, 0, 2 },
	{ 1, 0, 0, 10 },
	{ 10, 0, 0, 1, [15] = 1 },
	{ 10, 0, 0, 2, [4] = 1 },
};
static const uint16_t ports[] = { 443, 1000, 0xbb01 };
enum { ADDRS = sizeof addrs / sizeof addrs[0], PORTS = sizeof ports / sizeof ports[0] };

static struct lp_segment segment(unsigned i)
{
	struct lp_segment s = { .family = i % 2 ? 6 : 4 };

	i /= 2;
	s.src = addrs[i % ADDRS];
	i /= ADDRS;
	s.dst = addrs[i % ADDRS];
	i /= ADDRS;
	s.sport = ports[i % PORTS];
	i /= PORTS;
	s.dport = ports[i % PORTS];
	s.domain = i / PORTS;
	return s;
}

enum { SEGMENTS = 2 * ADDRS * ADDRS * PORTS * PORTS * 2 };

static bool same(const struct lp_flow_name *a, const struct lp_flow_name *b)
{
	return a->family == b->family && !memcmp(&a->key, &b->key, sizeof a->key);
}

/* Without making its name, whatever side is tried first. */
START_TEST(is_of)
{
	const struct lp_flow_name none = { .family = 0 };
	const struct lp_hash_seed seed = { 3, 4 };
	static struct lp_flow_name names[SEGMENTS];
	struct lp_flow_table t;
	struct lp_segment s;
	bool swap;

	ck_assert_int_eq(lp_flow_table_init(&t, 16, &seed), LP_OK);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		s = segment(i);
		lp_flow_name(&t, &s, &names[i]);
		swap = false;
		ck_assert(!lp_flow_is_of(&none, &s, &swap));
	}
	for (unsigned i = 0; i < SEGMENTS; i++)
		for (unsigned k = 0; k < SEGMENTS; k++) {
			s = segment(k);
			swap = names[i].swap;
			if (lp_flow_is_of(&names[i], &s, &swap) != same(&names[i], &names[k]))
				ck_abort_msg("%u is of %u, or not", k, i);
			if (same(&names[i], &names[k]) &&
			    (swap != names[k].swap || names[i].tag != names[k].tag))
				ck_abort_msg("%u and %u are of one flow", k, i);
		}
	lp_flow_table_clear(&t);
}
END_TEST

/* Both sides have one key; a tag that is known is not made again. */
START_TEST(name_of_both_sides)
{
	const struct lp_hash_seed seed = { 5, 6 };
	struct lp_flow_name there, back;
	struct lp_flow_table t;
	struct lp_segment s, r;

	ck_assert_int_eq(lp_flow_table_init(&t, 16, &seed), LP_OK);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		r = s = segment(i);
		r.src = s.dst;
		r.dst = s.src;
		r.sport = s.dport;
		r.dport = s.sport;
		lp_flow_name(&t, &s, &there);
		lp_flow_name(&t, &r, &back);
		ck_assert(same(&there, &back));
		ck_assert_uint_eq(there.tag, back.tag);
		ck_assert_int_eq(there.swap != back.swap,
				 s.sport != s.dport || memcmp(s.src, s.dst, s.family == 4 ? 4 : 16));
		r.tag = 99;
		lp_flow_name(&t, &r, &back);
		ck_assert_uint_eq(back.tag, 99);
	}
	lp_flow_table_clear(&t);
}
END_TEST

Suite *suite_flow(void);

Suite *suite_flow(void)
{
	Suite *s = suite_create("flow");
	TCase *t = tcase_create("flow");

	tcase_add_test(t, is_of);
	tcase_add_test(t, name_of_both_sides);
	suite_add_tcase(s, t);
	return s;
}
