/* examples/sample: built from limpid/plugin.h alone, loaded and driven. The tests
 * run in the top folder of the sources. */
#define _GNU_SOURCE
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help_plugin.h"

START_TEST(sample_is_built_loaded_and_counts)
{
	struct help_plugin h;
	struct help_flow f;
	struct help_session s;
	char path[160], *got;
	void *so;
	int status;

	help_plugin_init(&h, NULL);
	free(help_plugin_run(&h, "make -s -C examples/sample OUT=%s/sample.so CFLAGS='-Wall -Wextra "
				 "-Werror' MAKEFLAGS= 2>&1 >&2", &status));
	ck_assert_int_eq(status, 0);
	help_plugin_path(&h, path, "sample.so");
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(so != NULL, "%s", dlerror());
	h.plugin = dlsym(so, "lp_plugin_entry");
	ck_assert_ptr_nonnull(h.plugin);
	ck_assert_uint_eq(h.plugin->abi, LP_PLUGIN_ABI);
	ck_assert_uint_eq(h.plugin->size, sizeof(struct lp_plugin));
	ck_assert_int_eq(help_plugin_open(&h, NULL, NULL), -1);
	ck_assert_str_eq(h.log, "usage: -o ./sample.so:FILE\n");
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_C2S, "12345");
	help_session_text(&s, LP_C2S, "678");
	help_session_text(&s, LP_S2C, "1");
	ck_assert_int_eq(help_session_end(&s, LP_DECRYPTED, NULL), 0);
	help_session_begin(&s, &f);
	s.tls.sni = NULL;
	ck_assert_int_eq(help_session_end(&s, LP_OPAQUE, "no-key"), 0);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	got = help_plugin_read(&h, "out", NULL);
	ck_assert_str_eq(got, "1 www.example.org 8 1 decrypted\n2 - 0 0 opaque\n");
	free(got);
	help_plugin_clear(&h);
	dlclose(so);
}
END_TEST

START_TEST(header_stands_alone_in_c_and_cxx)
{
	const char *command = _i ? "printf '#include <limpid/plugin.h>\\n' | ${CXX:-c++} -Iinclude "
				   "-Wall -Wextra -Wpedantic -Werror -fsyntax-only -xc++ -"
				 : "printf '#include <limpid/plugin.h>\\n' | ${CC:-cc} -std=c99 "
				   "-Iinclude -Wall -Wextra -Wpedantic -Werror -fsyntax-only -xc -";

	if (_i && system("command -v ${CXX:-c++} >/dev/null")) {
		fprintf(stderr, "test_plugin_sample: no C++ compiler, the header is not tried\n");
		return;
	}
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* A const is private to its file in C++, and its name is not that of C, unless the
 * header says otherwise. */
START_TEST(entry_of_a_plugin_in_cxx)
{
	struct help_plugin h;
	int status;

	if (system("command -v ${CXX:-c++} >/dev/null")) {
		fprintf(stderr, "test_plugin_sample: no C++ compiler, the entry is not tried\n");
		return;
	}
	help_plugin_init(&h, NULL);
	free(help_plugin_run(&h, "printf '#include <limpid/plugin.h>\\nconst struct lp_plugin "
				 "lp_plugin_entry = { LP_PLUGIN_ABI, sizeof(struct lp_plugin), "
				 "\"cxx\" };\n' | ${CXX:-c++} -Iinclude -shared -fPIC -o %s/cxx.so "
				 "-xc++ - && nm -D %s/cxx.so | grep -q ' lp_plugin_entry$'", &status));
	ck_assert_int_eq(status, 0);
	help_plugin_clear(&h);
}
END_TEST

Suite *suite_plugin_sample(void);

Suite *suite_plugin_sample(void)
{
	Suite *suite = suite_create("plugin_sample");
	TCase *t = tcase_create("sample");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, sample_is_built_loaded_and_counts);
	tcase_add_loop_test(t, header_stands_alone_in_c_and_cxx, 0, 2);
	tcase_add_test(t, entry_of_a_plugin_in_cxx);
	suite_add_tcase(suite, t);
	return suite;
}
