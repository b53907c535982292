/* asks.h: the cap on questions that wait, and what is shed at it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asks.h"
#include "help_warden.h"

enum { MORE = 10, CAP = 3, ALL = LP_WARDEN_QUEUE + MORE };

static unsigned shed[ALL], answered;

static void take(void *asker, const struct lp_answer *answer)
{
	unsigned *n = asker;

	if (!answer)
		shed[*n]++;
	else
		answered++;
}

/* The warden has its fill; of the rest, live, the oldest above the cap go. A replay
 * keeps them all, and stops reading. */
START_TEST(the_oldest_are_shed)
{
	static unsigned number[ALL];
	bool live = _i;
	uint8_t premaster[48];
	char path[128], why[256];
	const char *paths[] = { path };
	struct lp_warden_config config = { .key_paths = paths, .key_paths_n = 1, .threads = 1,
					   .crypto = "mbedtls", .delay_ms = 60000 };
	struct lp_warden *warden;
	mbedtls_pk_context pk;
	struct help_dir d;
	struct lp_asks *a;
	struct lp_ask ask;

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "openssl genrsa -out k.pem 1024 && chmod 600 k.pem && "
			       "openssl rsa -in k.pem -pubout -out p.pem"));
	snprintf(path, sizeof path, "%s/k.pem", d.path);
	help_public_open(&pk, &d, "p.pem");
	ck_assert_int_eq(lp_warden_start(&warden, &config, why), LP_OK);
	ck_assert_int_eq(lp_asks_new(&a, lp_warden_line(warden, 0), live, CAP), LP_OK);
	help_ask(&ask, &pk, 0, 0, HELP_WELL, premaster);
	for (unsigned i = 0; i < ALL; i++) {
		number[i] = i;
		ck_assert_int_eq(lp_asks_put(a, &ask, &number[i]), LP_OK);
	}
	ck_assert_uint_eq(lp_asks_pending(a), ALL);
	ck_assert_int_eq(lp_asks_full(a), !live);
	ck_assert_int_eq(lp_asks_poll(a, 0, take), LP_OK);
	ck_assert_uint_eq(answered, 0);
	ck_assert_uint_eq(lp_asks_shed(a), live ? MORE - CAP : 0);
	ck_assert_uint_eq(lp_asks_count(a), ALL);
	for (unsigned i = 0; i < ALL; i++)
		ck_assert_uint_eq(shed[i], live && i >= LP_WARDEN_QUEUE && i < ALL - CAP);
	lp_asks_free(a);
	lp_warden_stop(warden);
	mbedtls_pk_free(&pk);
	help_dir_close(&d);
}
END_TEST

Suite *suite_asks(void);

Suite *suite_asks(void)
{
	Suite *s = suite_create("asks");
	TCase *t = tcase_create("asks");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_oldest_are_shed, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
