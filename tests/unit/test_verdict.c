/* tls/verdict: every code is there once, and can be read. */
#define _GNU_SOURCE
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/verdict.h"

/* The stable codes: scripts match them. */
static const struct {
	const char *code;
	int reason;
	bool decrypted, partial, opaque;
} codes[] = {
	{ "complete", LP_REASON_COMPLETE, true, false, false },
	{ "gap", LP_REASON_GAP, false, true, false },
	{ "gap-not-recovered", LP_REASON_GAP_NOT_RECOVERED, false, true, false },
	{ "record-bad", LP_REASON_RECORD_BAD, false, true, false },
	{ "later-handshake-closed", LP_REASON_LATER_HANDSHAKE_CLOSED, false, true, false },
	{ "limit", LP_REASON_LIMIT, false, true, true },
	{ "no-key", LP_REASON_NO_KEY, false, false, true },
	{ "forward-secret", LP_REASON_FORWARD_SECRET, false, false, true },
	{ "export-key", LP_REASON_EXPORT_KEY, false, false, true },
	{ "static-dh", LP_REASON_STATIC_DH, false, false, true },
	{ "psk-unknown", LP_REASON_PSK_UNKNOWN, false, false, true },
	{ "session-unknown", LP_REASON_SESSION_UNKNOWN, false, false, true },
	{ "ticket-unknown", LP_REASON_TICKET_UNKNOWN, false, false, true },
	{ "start-not-captured", LP_REASON_START_NOT_CAPTURED, false, false, true },
	{ "handshake-lost", LP_REASON_HANDSHAKE_LOST, false, false, true },
	{ "handshake-lost-ems", LP_REASON_HANDSHAKE_LOST_EMS, false, false, true },
	{ "one-direction", LP_REASON_ONE_DIRECTION, false, false, true },
	{ "snaplen", LP_REASON_SNAPLEN, false, false, true },
	{ "keys-disproved", LP_REASON_KEYS_DISPROVED, false, false, true },
	{ "suite-unsupported", LP_REASON_SUITE_UNSUPPORTED, false, false, true },
	{ "cipher-unavailable", LP_REASON_CIPHER_UNAVAILABLE, false, false, true },
	{ "tls13", LP_REASON_TLS13, false, false, true },
	{ "malformed", LP_REASON_MALFORMED, false, false, true },
	{ "rsa-overload", LP_REASON_RSA_OVERLOAD, false, false, true },
	{ "handshake-failed", LP_REASON_HANDSHAKE_FAILED, false, false, true },
	{ "handshake-unfinished", LP_REASON_HANDSHAKE_UNFINISHED, false, false, true },
};

enum { CODES = sizeof codes / sizeof codes[0] };

static const char *const note_codes[] = {
	"transcript-differs", "finished-unchecked", "overlap-conflict", "truncated", "ems-mismatch",
	"key-too-late",
};

START_TEST(codes_and_classes)
{
	ck_assert_int_eq(CODES, LP_REASON_COUNT - 1);
	for (int i = 0; i < CODES; i++) {
		const struct lp_verdict_text *t = lp_reason_text((enum lp_reason)codes[i].reason);

		ck_assert_str_eq(t->code, codes[i].code);
		ck_assert_ptr_eq(lp_verdict_find(codes[i].code), t);
		ck_assert_int_eq(lp_reason_fits((enum lp_reason)codes[i].reason, LP_DECRYPTED), codes[i].decrypted);
		ck_assert_int_eq(lp_reason_fits((enum lp_reason)codes[i].reason, LP_PARTIAL), codes[i].partial);
		ck_assert_int_eq(lp_reason_fits((enum lp_reason)codes[i].reason, LP_OPAQUE), codes[i].opaque);
	}
	for (unsigned i = 0; i < LP_NOTE_COUNT; i++) {
		ck_assert_str_eq(lp_note_text(i)->code, note_codes[i]);
		ck_assert_ptr_eq(lp_verdict_find(note_codes[i]), lp_note_text(i));
	}
	ck_assert_int_eq(LP_NOTE_KEY_TOO_LATE, 1 << (LP_NOTE_COUNT - 1));
	ck_assert_ptr_null(lp_verdict_find("unknown"));
	ck_assert_ptr_null(lp_verdict_find(""));
	/* What the peers gave up themselves did not stay closed to us. */
	ck_assert(!lp_reason_text(LP_REASON_HANDSHAKE_FAILED)->closed);
	ck_assert(!lp_reason_text(LP_REASON_HANDSHAKE_UNFINISHED)->closed);
	ck_assert(!lp_reason_text(LP_REASON_COMPLETE)->closed);
	ck_assert(lp_reason_text(LP_REASON_NO_KEY)->closed);
	ck_assert(!lp_reason_fits(LP_REASON_NONE, LP_OPAQUE));
	ck_assert_str_eq(lp_verdict_name(LP_PARTIAL), "partial");
}
END_TEST

static void check_text(const struct lp_verdict_text *t, bool advice)
{
	size_t n = strlen(t->explain), column = 0;

	/* For a table of reasons: half a line. */
	ck_assert_msg(strlen(t->meaning) > 10 && strlen(t->meaning) <= 64, "%s", t->code);
	ck_assert(!isupper((unsigned char)t->meaning[0]) || !strncmp(t->meaning, "TLS", 3) ||
		  !strncmp(t->meaning, "EMS", 3));
	ck_assert_int_ne(t->meaning[strlen(t->meaning) - 1], '.');
	/* A sentence. */
	if (advice) {
		ck_assert_msg(t->advice[0] && t->advice[strlen(t->advice) - 1] == '.', "%s", t->code);
		ck_assert(isupper((unsigned char)t->advice[0]));
	}
	ck_assert_msg(n > 100 && t->explain[n - 1] == '\n', "%s", t->code);
	for (size_t i = 0; i < n; i++) {
		column = t->explain[i] == '\n' ? 0 : column + 1;
		ck_assert_msg(column <= 92, "%s", t->code);
		ck_assert(t->explain[i] == '\n' || (t->explain[i] >= ' ' && t->explain[i] <= '~'));
	}
}

START_TEST(texts_can_be_read)
{
	for (int i = 1; i < LP_REASON_COUNT; i++)
		check_text(lp_reason_text((enum lp_reason)i), i != LP_REASON_COMPLETE);
	for (unsigned i = 0; i < LP_NOTE_COUNT; i++)
		check_text(lp_note_text(i), false);
}
END_TEST

/* ---- the manual page ---- */

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 17);

	ck_assert(f && text);
	ck_assert_uint_lt(fread(text, 1, (1 << 17) - 1, f), (1 << 17) - 1);
	fclose(f);
	return text;
}

static void print_head(FILE *f, const char *name, bool first)
{
	fprintf(f, "%s.It %s\n.Bl -tag -compact -width \"later-handshake-closed\"\n",
		first ? "" : ".El\n", name);
}

static void print_text(FILE *f, const struct lp_verdict_text *t)
{
	fprintf(f, ".It Cm %s\n%s\n", t->code, t->meaning);
}

/* The list there is this one, to the letter; what differs is printed as it has to be. */
START_TEST(manual_page_lists_the_same)
{
	char *page = read_file("docs/limpid.1"), *list = NULL;
	size_t n;
	FILE *f = open_memstream(&list, &n);

	for (int v = LP_DECRYPTED; v <= LP_OPAQUE; v++) {
		print_head(f, lp_verdict_name((enum lp_verdict)v), v == LP_DECRYPTED);
		for (int i = 1; i < LP_REASON_COUNT; i++)
			if (lp_reason_fits((enum lp_reason)i, (enum lp_verdict)v))
				print_text(f, lp_reason_text((enum lp_reason)i));
	}
	print_head(f, "notes beside the reason", false);
	for (unsigned i = 0; i < LP_NOTE_COUNT; i++)
		print_text(f, lp_note_text(i));
	fprintf(f, ".El\n");
	ck_assert(!fclose(f));
	ck_assert_msg(strstr(page, list) != NULL, "docs/limpid.1 should list:\n%s", list);
	free(list);
	free(page);
}
END_TEST

Suite *suite_verdict(void)
{
	Suite *s = suite_create("verdict");
	TCase *t = tcase_create("verdict");

	tcase_add_test(t, codes_and_classes);
	tcase_add_test(t, texts_can_be_read);
	tcase_add_test(t, manual_page_lists_the_same);
	suite_add_tcase(s, t);
	return s;
}
