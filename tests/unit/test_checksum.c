/* net/checksum: what the sum says of a TCP segment, and the policy. */
#include <check.h>
#include <string.h>

#include "help_packet.h"
#include "net/checksum.h"

static uint8_t noise(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return (uint8_t)(*state >> 24);
}

static enum lp_csum classify(struct help_packet *h, bool zero_len)
{
	static uint8_t bytes[HELP_PACKET_MAX];
	struct lp_wire p;
	bool six = h->src && strchr(h->src, ':');
	size_t ip = six ? 40 : 20, addr = six ? 16 : 4;
	const uint8_t *a;

	h->link = LP_LINK_RAW;
	p = help_packet(h, bytes, sizeof bytes);
	a = p.data + (six ? 8 : 12);
	return lp_checksum_tcp(six ? 6 : 4, a, a + addr,
			       lp_span_of(p.data + ip, p.caplen - ip), zero_len);
}

START_TEST(tcp_is_classified)
{
	static const char *const from[] = { "192.0.2.1", "2001:db8::1" };
	static const char *const to[] = { "255.255.255.254", "2001:db8:ffff:ffff:ffff::2" };
	uint8_t payload[100];
	uint32_t state = 7;

	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = noise(&state);
	for (int f = 0; f < 2; f++) {
		for (size_t n = 0; n < sizeof payload; n++) {
			struct help_packet h = { .src = from[f], .dst = to[f], .payload = payload,
						 .len = n, .seq = (uint32_t)n * 77, .flags = 0x18 };

			ck_assert_int_eq(classify(&h, false), LP_CSUM_GOOD);
			h.csum = HELP_PSEUDO;
			ck_assert_int_eq(classify(&h, false), LP_CSUM_PSEUDO);
			h.csum = HELP_PSEUDO_NO_LENGTH;
			ck_assert_int_eq(classify(&h, false), LP_CSUM_BAD);
			ck_assert_int_eq(classify(&h, true), LP_CSUM_PSEUDO);
			h.csum = HELP_BAD;
			ck_assert_int_eq(classify(&h, true), LP_CSUM_BAD);
		}
	}
	ck_assert_int_eq(lp_checksum_tcp(4, payload, payload + 4, lp_span_of(payload, 19), false),
			 LP_CSUM_UNKNOWN);
}
END_TEST

/* A bare pseudo-header sum that is also right shows nothing about its sender. */
START_TEST(bare_and_right_tells_nothing)
{
	int chance = 0;

	for (uint32_t seq = 0; seq < 0x10000 && !chance; seq++) {
		struct help_packet h = { .seq = seq, .flags = 0x18, .csum = HELP_PSEUDO };
		enum lp_csum what = classify(&h, false);

		if (what == LP_CSUM_PSEUDO)
			continue;
		ck_assert_int_eq(what, LP_CSUM_UNKNOWN);
		h.csum = HELP_RIGHT;
		ck_assert_int_eq(classify(&h, false), LP_CSUM_UNKNOWN);
		chance++;
	}
	ck_assert_int_eq(chance, 1);
}
END_TEST

START_TEST(one_flipped_bit_is_bad)
{
	uint8_t bytes[HELP_PACKET_MAX];
	struct help_packet h = { .link = LP_LINK_RAW, .payload = "flip me", .len = 7 };
	struct lp_wire p = help_packet(&h, bytes, sizeof bytes);

	for (size_t i = 20; i < p.caplen; i++) {
		for (int bit = 0; bit < 8; bit++) {
			bytes[i] ^= (uint8_t)(1 << bit);
			ck_assert_int_eq(lp_checksum_tcp(4, bytes + 12, bytes + 16,
							 lp_span_of(bytes + 20, p.caplen - 20),
							 false), LP_CSUM_BAD);
			bytes[i] ^= (uint8_t)(1 << bit);
		}
	}
}
END_TEST

/* ---- the policy ---- */

static enum lp_csum_take judge(enum lp_checksums mode, enum lp_csum csum, uint32_t len,
			       uint8_t flags, struct lp_csum_side *side)
{
	struct lp_segment s = { .payload_len = len, .wire_len = len, .flags = flags };

	return lp_csum_judge(mode, &s, csum, side);
}

START_TEST(policy_of_each_mode)
{
	static const struct {
		enum lp_checksums mode;
		enum lp_csum csum;
		enum lp_csum_take take;
	} rows[] = {
		{ LP_CHECKSUMS_AUTO, LP_CSUM_GOOD, LP_CSUM_ACCEPT },
		{ LP_CHECKSUMS_AUTO, LP_CSUM_PSEUDO, LP_CSUM_ACCEPT_OFFLOAD },
		{ LP_CHECKSUMS_AUTO, LP_CSUM_BAD, LP_CSUM_DROP },
		{ LP_CHECKSUMS_AUTO, LP_CSUM_UNKNOWN, LP_CSUM_ACCEPT },
		{ LP_CHECKSUMS_ON, LP_CSUM_GOOD, LP_CSUM_ACCEPT },
		{ LP_CHECKSUMS_ON, LP_CSUM_PSEUDO, LP_CSUM_DROP },
		{ LP_CHECKSUMS_ON, LP_CSUM_BAD, LP_CSUM_DROP },
		{ LP_CHECKSUMS_ON, LP_CSUM_UNKNOWN, LP_CSUM_ACCEPT },
		{ LP_CHECKSUMS_OFF, LP_CSUM_PSEUDO, LP_CSUM_ACCEPT },
		{ LP_CHECKSUMS_OFF, LP_CSUM_BAD, LP_CSUM_ACCEPT },
		{ LP_CHECKSUMS_OFF, LP_CSUM_UNKNOWN, LP_CSUM_ACCEPT },
	};

	ck_assert_uint_le(sizeof(struct lp_csum_side), 4);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct lp_csum_side side = { 0 };

		ck_assert_int_eq(judge(rows[i].mode, rows[i].csum, 10, LP_TCP_ACK, &side),
				 rows[i].take);
	}
}
END_TEST

START_TEST(policy_goes_by_what_a_side_shows_first)
{
	struct lp_csum_side side = { 0 }, other = { 0 };

	/* A kernel's RST or ACK from outside the connection proves nothing. */
	ck_assert_int_eq(judge(LP_CHECKSUMS_AUTO, LP_CSUM_GOOD, 0, LP_TCP_ACK, &side),
			 LP_CSUM_ACCEPT);
	ck_assert_int_eq(judge(LP_CHECKSUMS_AUTO, LP_CSUM_PSEUDO, 5, 0, &side),
			 LP_CSUM_ACCEPT_OFFLOAD);
	/* A retransmission whose sum the kernel computed: the card does the others. */
	ck_assert_int_eq(judge(LP_CHECKSUMS_AUTO, LP_CSUM_GOOD, 5, 0, &side), LP_CSUM_ACCEPT);
	ck_assert_int_eq(judge(LP_CHECKSUMS_AUTO, LP_CSUM_PSEUDO, 5, 0, &side),
			 LP_CSUM_ACCEPT_OFFLOAD);
	ck_assert_int_eq(judge(LP_CHECKSUMS_AUTO, LP_CSUM_BAD, 5, 0, &side), LP_CSUM_DROP);
	/* Each side for itself. */
	ck_assert_int_eq(judge(LP_CHECKSUMS_AUTO, LP_CSUM_GOOD, 0, LP_TCP_SYN, &other),
			 LP_CSUM_ACCEPT);
	ck_assert_int_eq(judge(LP_CHECKSUMS_AUTO, LP_CSUM_PSEUDO, 5, 0, &other), LP_CSUM_DROP);
}
END_TEST

/* How often advice is given when the first `good` segments are right, the next
 * `bad` are not, and a thousand more are bad. */
static int advice(int good, int bad)
{
	struct lp_csum_side side = { 0 };
	int n = 0;

	for (int i = 0; i < good + bad + 1000; i++) {
		enum lp_csum csum = i < good ? LP_CSUM_GOOD : LP_CSUM_BAD;

		n += judge(LP_CHECKSUMS_AUTO, csum, 1, 0, &side) == LP_CSUM_DROP_ADVISE;
	}
	return n;
}

START_TEST(policy_advises_once)
{
	ck_assert_int_eq(advice(0, 100), 1);
	ck_assert_int_eq(advice(9, 91), 1);
	ck_assert_int_eq(advice(10, 90), 0);
	ck_assert_int_eq(advice(100, 100), 0);
}
END_TEST

Suite *suite_checksum(void)
{
	Suite *s = suite_create("checksum");
	TCase *t = tcase_create("checksum");

	tcase_add_test(t, tcp_is_classified);
	tcase_add_test(t, bare_and_right_tells_nothing);
	tcase_add_test(t, one_flipped_bit_is_bad);
	tcase_add_test(t, policy_of_each_mode);
	tcase_add_test(t, policy_goes_by_what_a_side_shows_first);
	tcase_add_test(t, policy_advises_once);
	suite_add_tcase(s, t);
	return s;
}
