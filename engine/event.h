/* lp_event: what a worker tells the outputs, on its way through the order queue.
 * lp_out_flow and lp_out_session are the outputs' side of a flow and a session:
 * made by the worker, from then on touched by the output side only, freed with
 * the event that ends them. */
#ifndef LP_EVENT_H
#define LP_EVENT_H

#include <limpid/plugin.h>

#include "base/stream.h"
#include "chunk.h"
#include "tls/snapshot.h"

enum { LP_OUTPUTS_MAX = 16 };

struct lp_out_session {
	void *plugin[LP_OUTPUTS_MAX]; /* each output's own pointer */
	struct lp_snapshot *facts;       /* newest delivered; holds a reference */
	struct lp_session_view view;  /* of facts, with the number filled in */
};

struct lp_out_flow {
	void *plugin[LP_OUTPUTS_MAX];
	struct lp_flow_info info;
	struct lp_out_session *session; /* between session_begin and session_end */
	char text[2][48];               /* addresses as text */
};

enum lp_event_kind {
	LP_EVENT_FLOW_BEGIN,
	LP_EVENT_SESSION_BEGIN, /* facts */
	LP_EVENT_SESSION_READY, /* facts */
	LP_EVENT_DATA,          /* bytes, n, dir, data */
	LP_EVENT_GAP,           /* gap, dir */
	LP_EVENT_SESSION_END,   /* facts, result */
	LP_EVENT_FLOW_END,      /* end */
	LP_EVENT_TICK,          /* of no flow: the outputs' clock */
	LP_EVENT_ROTATE,        /* of no flow: files are to be opened anew */
};

struct lp_event {
	struct lp_when when;
	uint64_t serial;            /* breaks ties, in order of emission */
	enum lp_event_kind kind;
	enum lp_dir dir;
	enum lp_data_kind data;
	struct lp_out_flow *flow;
	struct lp_out_session *session; /* session_begin: empty, made by the worker */
	struct lp_snapshot *facts;     /* a reference that goes with the event */
	struct lp_result *result;   /* owned by the event */
	const uint8_t *bytes;       /* in the chunk, or the caller's */
	size_t n;
	struct lp_chunk *chunk;     /* a reference that goes with the event; NULL: none */
	struct lp_gap_info gap;
	enum lp_end end[2];
};

#endif
