/* warden/: its life and its end, for which it needs no keys. */
#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "help_warden.h"
#include "warden/service.h"

static struct lp_warden *start(const struct lp_warden_config *config)
{
	struct lp_warden *w;
	char why[512];

	ck_assert_msg(lp_warden_start(&w, config, why) == LP_OK, "%s", why);
	return w;
}

static void ignore(void *user, const struct lp_answer *a)
{
	(void)user;
	(void)a;
}

static bool gone(pid_t pid)
{
	for (int i = 0; i < 200; i++) {
		if (kill(pid, 0) && errno == ESRCH)
			return true;
		usleep(20000);
	}
	return false;
}

START_TEST(killed_warden)
{
	struct lp_warden *w = start(&(struct lp_warden_config){ .delay_ms = 60000 });
	struct lp_ask ask = { .op = LP_ASK_DH };
	pid_t pid = lp_warden_pid(w);

	ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
	/* What a terminal or a service manager sends to all is not for the warden. */
	ck_assert_int_eq(kill(pid, SIGINT), 0);
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	ck_assert_int_eq(kill(pid, SIGHUP), 0);
	ck_assert_int_eq(kill(pid, SIGUSR1), 0);
	ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), 200, ignore, NULL), LP_OK);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), -1, ignore, NULL), LP_E_IO);
	ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), -1, ignore, NULL), LP_E_IO);
	ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_E_IO);
	ck_assert(gone(pid));
	lp_warden_stop(w);
	lp_warden_stop(NULL);
}
END_TEST

/* A thread for each core that we may use, unless told otherwise; beside them the main thread
 * and the clock's. */
START_TEST(a_thread_for_each_core)
{
	const unsigned threads[] = { 0, 1, 5 };
	struct lp_warden *w = start(&(struct lp_warden_config){ .threads = threads[_i] });
	const struct dirent *e;
	unsigned tasks = 0;
	cpu_set_t cores;
	char path[64];
	DIR *d;

	ck_assert_int_eq(sched_getaffinity(0, sizeof cores, &cores), 0);
	snprintf(path, sizeof path, "/proc/%d/task", lp_warden_pid(w));
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)))
		tasks += e->d_name[0] != '.';
	closedir(d);
#ifdef __SANITIZE_THREAD__
	tasks--; /* its own */
#endif
	ck_assert_uint_eq(tasks, 2 + lp_service_threads(_i ? threads[_i]
							   : (unsigned)CPU_COUNT(&cores)));
	lp_warden_stop(w);
}
END_TEST

START_TEST(stopped_warden_is_gone)
{
	struct lp_warden *w = start(&(struct lp_warden_config){ 0 });
	pid_t pid = lp_warden_pid(w);

	ck_assert_int_eq(kill(pid, 0), 0);
	lp_warden_stop(w);
	ck_assert_int_eq(kill(pid, 0), -1);
	w = start(&(struct lp_warden_config){ 0 });
	pid = lp_warden_pid(w);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0); /* it cannot end by itself */
	lp_warden_stop(w);
	ck_assert_int_eq(kill(pid, 0), -1);
}
END_TEST

/* The engine is killed while a child that it forked still holds the socket. The
 * warden's new parent may never reap it, so a zombie counts as gone. */
START_TEST(never_survives_the_engine)
{
	int pipes[2];
	pid_t child, pids[2] = { 0, 0 };
	char path[64], state[512];
	bool dead = false;

	ck_assert_int_eq(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		struct lp_warden *w;
		char why[512];

		if (lp_warden_start(&w, &(struct lp_warden_config){ 0 }, why))
			_exit(1);
		pids[0] = lp_warden_pid(w);
		pids[1] = fork();
		if (pids[1] == 0) {
			close(pipes[0]);
			close(pipes[1]);
			sleep(30);
			_exit(0);
		}
		(void)!write(pipes[1], pids, sizeof pids);
		sleep(30);
		_exit(0);
	}
	close(pipes[1]);
	ck_assert_int_eq(read(pipes[0], pids, sizeof pids), sizeof pids);
	close(pipes[0]);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	snprintf(path, sizeof path, "/proc/%d/stat", pids[0]);
	for (int i = 0; i < 200 && !dead; i++) {
		FILE *f = fopen(path, "r");

		dead = !f || !fgets(state, sizeof state, f) || strstr(state, ") Z ");
		if (f)
			fclose(f);
		usleep(20000);
	}
	kill(pids[1], SIGKILL);
	ck_assert(dead);
}
END_TEST

START_TEST(helper_that_is_none)
{
	struct lp_warden_config config = { .helper = "/nowhere/limpid" };
	struct lp_warden *w;
	char why[512];

	ck_assert_int_eq(lp_warden_start(&w, &config, why), LP_E_IO);
	ck_assert_str_eq(why, "cannot start the key process /nowhere/limpid: "
			 "No such file or directory");
	ck_assert_ptr_null(w);
	config.helper = "/bin/true";
	ck_assert_int_eq(lp_warden_start(&w, &config, why), LP_E_IO);
	ck_assert_str_eq(why, "the key process has ended (exit status 0)");
	config = (struct lp_warden_config){ .crypto = "enigma" };
	ck_assert_int_lt(lp_warden_start(&w, &config, why), 0);
	ck_assert_ptr_nonnull(strstr(why, "enigma"));
}
END_TEST

Suite *suite_warden_life(void);
Suite *suite_warden_life(void)
{
	Suite *s = suite_create("warden_life");
	TCase *t = tcase_create("life");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, killed_warden);
	tcase_add_loop_test(t, a_thread_for_each_core, 0, 3);
	tcase_add_test(t, stopped_warden_is_gone);
	tcase_add_test(t, never_survives_the_engine);
	tcase_add_test(t, helper_that_is_none);
	suite_add_tcase(s, t);
	return s;
}
