/* The datagrams between the engine and the store's process, which are one program: structs
 * as they lie in memory, each exactly of its length, zeroed before it is filled.
 *
 *   engine → store   CONFIG once; then PUT and GET, any number; then the end of writing
 *   store → engine   LOG any number, then FAULT (and the end) or READY; then ANSWER, one for
 *                    each GET, and LOG; STATS at the end */
#ifndef LP_STORE_TALK_H
#define LP_STORE_TALK_H

#include "base/child.h"
#include "store/store.h"

enum lp_talk_type {
	LP_TALK_CONFIG = 1,
	LP_TALK_PUT,
	LP_TALK_GET,
	LP_TALK_LOG = 65,
	LP_TALK_FAULT,
	LP_TALK_READY,
	LP_TALK_ANSWER,
	LP_TALK_STATS,
};

struct lp_talk_config {
	char version[32];
	char servers[LP_STORE_TEXT];
	char key_file[LP_STORE_TEXT];
	uint32_t timeout_ms;
	bool strict_key_modes;
};

/* PUT: one name and its value. GET: the names. */
struct lp_talk_work {
	uint64_t id;
	uint64_t left_ns;
	uint64_t since_ns;                /* CLOCK_MONOTONIC, the same in all processes */
	uint32_t names;
	uint8_t name[LP_STORE_NAMES][LP_STORE_NAME];
	struct lp_store_value value;
};

struct lp_talk_answer {
	uint64_t id;
	uint64_t left_ns;
	bool found;
	struct lp_store_value value;
};

struct lp_talk_stats {
	uint64_t stored, not_stored, forged, stale, errors;
};

struct lp_talk {
	uint32_t type;                    /* enum lp_talk_type */
	union {
		struct lp_talk_config config;
		struct lp_talk_work work;
		struct lp_talk_answer answer;
		struct lp_talk_stats stats;
		char text[LP_CHILD_WHY];
	} u;
};

/* Bytes of a datagram of that type; 0: there is none. */
static inline size_t lp_talk_size(uint32_t type)
{
	const size_t head = offsetof(struct lp_talk, u);

	switch (type) {
	case LP_TALK_CONFIG:
		return head + sizeof(struct lp_talk_config);
	case LP_TALK_PUT:
	case LP_TALK_GET:
		return head + sizeof(struct lp_talk_work);
	case LP_TALK_LOG:
	case LP_TALK_FAULT:
		return head + LP_CHILD_WHY;
	case LP_TALK_READY:
		return head;
	case LP_TALK_ANSWER:
		return head + sizeof(struct lp_talk_answer);
	case LP_TALK_STATS:
		return head + sizeof(struct lp_talk_stats);
	default:
		return 0;
	}
}

/* n bytes came in: are they one message, and whole? Text ends in NUL. */
static inline bool lp_talk_sound(const struct lp_talk *m, size_t n)
{
	if (n < offsetof(struct lp_talk, u) || n != lp_talk_size(m->type))
		return false;
	switch (m->type) {
	case LP_TALK_CONFIG:
		return !m->u.config.version[sizeof m->u.config.version - 1] &&
		       !m->u.config.servers[LP_STORE_TEXT - 1] &&
		       !m->u.config.key_file[LP_STORE_TEXT - 1];
	case LP_TALK_PUT:
		return m->u.work.names == 1;
	case LP_TALK_GET:
		return m->u.work.names >= 1 && m->u.work.names <= LP_STORE_NAMES;
	case LP_TALK_LOG:
	case LP_TALK_FAULT:
		return !m->u.text[LP_CHILD_WHY - 1];
	default:
		return true;
	}
}

#endif
