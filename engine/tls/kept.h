/* lp_kept: clear bytes of a flow that are kept for a session which may follow them, both
 * sides in the order of their capture, and gaps between them. When there is no room for
 * more, all of it becomes a gap.
 *
 * Owner: an lp_prelude; on the heap, made with the first bytes. Caps: max_held_session
 * bytes of memory a flow, max_kept of all flows (env->kept is their sum); reaching one is
 * counted in env->cap_kept. Faults (memory) are left in env->fault. */
#ifndef LP_TLS_KEPT_H
#define LP_TLS_KEPT_H

#include "tls/hold.h"

struct lp_kept;

/* Takes clear bytes, or (p NULL) a gap in them. */
typedef void lp_kept_clear(void *user, enum lp_side side, const uint8_t *p, uint64_t n,
			   const struct lp_when *when);

/* A copy of the bytes, or (p NULL) a gap. *k is NULL before the first. */
void lp_kept_add(struct lp_kept **k, struct lp_tls_env *env, enum lp_side side,
		 const uint8_t *p, uint64_t n, const struct lp_when *when);

/* Tells it all and keeps nothing: a gap of each side that found no room first, at when. */
void lp_kept_tell(struct lp_kept *k, struct lp_tls_env *env, lp_kept_clear *clear, void *user,
		  const struct lp_when *when);
void lp_kept_free(struct lp_kept *k, struct lp_tls_env *env);

#endif
