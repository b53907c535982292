/* config.c and flowid.c: what the engine knows before and beside the packets. */
#include <check.h>
#include <string.h>

#include "config.h"
#include "flowid.h"

START_TEST(options_are_checked)
{
	struct lp_config *c = lp_config_new();
	char why[LP_WHY];

	ck_assert_int_eq(lp_config_set(c, "key", "a.pem", why), 0);
	ck_assert_int_eq(lp_config_set(c, "key", "dir", why), 0);
	ck_assert_uint_eq(c->key.n, 2);
	ck_assert_str_eq(c->key.item[1], "dir");
	ck_assert_int_eq(lp_config_set(c, "checksums", "off", why), 0);
	ck_assert_int_eq(lp_config_set(c, "checksums", "on", why), 0);
	ck_assert_str_eq(c->checksums, "on");
	ck_assert_int_eq(lp_config_set(c, "checksums", "o", why), -1);
	ck_assert_str_eq(why, "--checksums: 'o' is not one of auto|on|off");
	ck_assert_int_eq(lp_config_set(c, "max-held", "2M", why), 0);
	ck_assert_uint_eq(c->max_held_session, 2U << 20);
	ck_assert_int_eq(lp_config_set(c, "max-held", "2X", why), -1);
	ck_assert_int_eq(lp_config_set(c, "max-held", "-5", why), -1);
	ck_assert_int_eq(lp_config_set(c, "max-held", "99999999999999999999", why), -1);
	ck_assert_int_eq(lp_config_set(c, "max-flows", "3", why), -1);
	ck_assert_int_eq(lp_config_set(c, "ignore-domain", NULL, why), 0);
	ck_assert(c->ignore_domain);
	ck_assert_uint_eq(c->max_fragments, 16U << 20);
	ck_assert_uint_eq(c->max_fragments_host, 1U << 20);
	ck_assert_uint_eq(c->fragment_s, 30);
	for (int i = 0; i < LP_CONFIG_PORTS; i++)
		ck_assert_int_eq(lp_config_set(c, "vxlan-port", "65535", why), 0);
	ck_assert_uint_eq(c->vxlan_port.n, LP_CONFIG_PORTS);
	ck_assert_uint_eq(c->vxlan_port.port[LP_CONFIG_PORTS - 1], 65535);
	ck_assert_int_eq(lp_config_set(c, "vxlan-port", "1", why), -1);
	ck_assert_int_eq(lp_config_set(c, "vxlan-port", "65536", why), -1);
	ck_assert_int_eq(lp_config_set(c, "vxlan-port", "0", why), -1);
	ck_assert_int_eq(lp_config_set(c, "keys", "x", why), -1);
	ck_assert_str_eq(why, "no option is called 'keys'");
	ck_assert_int_eq(lp_config_set(c, "cleartext", NULL, why), 0);
	ck_assert(c->cleartext);
	ck_assert_int_eq(lp_config_set(c, "cleartext", "off", why), 0);
	ck_assert(!c->cleartext);
	lp_config_free(c);
}
END_TEST

static struct lp_stream_info example(void)
{
	static const uint8_t a[4] = { 128, 232, 110, 120 }, b[4] = { 66, 35, 250, 204 };
	struct lp_stream_info info = { .family = 4, .port = { 34855, 80 }, .first_number = 7 };

	memcpy(info.addr[0], a, 4);
	memcpy(info.addr[1], b, 4);
	return info;
}

START_TEST(community_id_is_the_published_one)
{
	/* The TCP example of the Community ID specification. */
	struct lp_stream_info info = example(), back = example();
	char id[LP_COMMUNITY_ID];

	memcpy(back.addr[0], info.addr[1], 16);
	memcpy(back.addr[1], info.addr[0], 16);
	back.port[0] = 80;
	back.port[1] = 34855;
	ck_assert_int_eq(lp_community_id(&lp_crypto_mbedtls, &info, id), LP_OK);
	ck_assert_str_eq(id, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
	ck_assert_int_eq(lp_community_id(&lp_crypto_mbedtls, &back, id), LP_OK);
	ck_assert_str_eq(id, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
}
END_TEST

START_TEST(flow_ids_differ_and_fit_json)
{
	struct lp_stream_info info = example(), later = example();
	uint64_t a, b, c;

	later.first_number++;
	ck_assert_int_eq(lp_flowid(&lp_crypto_mbedtls, &info, LP_A2B, &a), LP_OK);
	ck_assert_int_eq(lp_flowid(&lp_crypto_mbedtls, &info, LP_A2B, &b), LP_OK);
	ck_assert_int_eq(lp_flowid(&lp_crypto_mbedtls, &later, LP_A2B, &c), LP_OK);
	ck_assert_uint_eq(a, b);
	ck_assert_uint_ne(a, c);
	ck_assert_uint_lt(a, 1ULL << 51);
	ck_assert_uint_gt(a, 0);
}
END_TEST

Suite *suite_config(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");

	tcase_add_test(t, options_are_checked);
	tcase_add_test(t, community_id_is_the_published_one);
	tcase_add_test(t, flow_ids_differ_and_fit_json);
	suite_add_tcase(s, t);
	return s;
}
