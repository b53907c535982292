/* What a session has only while it needs it (session_parts.h): most have nothing of it. */
#include "tls/session_parts.h"

#include <stdlib.h>

/* What a session shares with all that have none of their own. Never written to. */
static const struct lp_shake no_shake = { .alert = -1, .warning = -1 };
const struct lp_hurt lp_tls_no_hurt;
static const struct lp_told no_told;

static struct lp_shake *shake_none(void)
{
	return (struct lp_shake *)(uintptr_t)&no_shake;
}

static struct lp_hurt *hurt_none(void)
{
	return (struct lp_hurt *)(uintptr_t)&lp_tls_no_hurt;
}

void lp_tls_parts_init(struct lp_tls *tls)
{
	tls->shake = shake_none();
	tls->hurt = hurt_none();
	tls->told = (struct lp_told *)(uintptr_t)&no_told;
}

struct lp_shake *lp_tls_shake(struct lp_tls *tls)
{
	struct lp_shake *shake = tls->shake;

	if (shake != &no_shake)
		return shake;
	shake = malloc(sizeof *shake);
	if (!shake) {
		lp_tls_nomem(tls);
		return NULL;
	}
	*shake = no_shake;
	for (int dir = 0; dir < 2; dir++) {
		lp_messages_init(&shake->messages[dir]);
		if (tls->home->env->max_message)
			shake->messages[dir].max = (uint32_t)tls->home->env->max_message;
	}
	lp_buf_init(&shake->early, LP_RECORD_FRAGMENT_MAX);
	tls->shake = shake;
	return shake;
}

void lp_tls_shake_free(struct lp_tls *tls)
{
	struct lp_shake *shake = tls->shake;

	if (shake == &no_shake)
		return;
	for (int dir = 0; dir < 2; dir++)
		lp_messages_clear(&shake->messages[dir]);
	lp_handshake_free(shake->hs);
	lp_buf_clear(&shake->early);
	lp_tls_refill_free(tls);
	free(shake->hole_detail);
	lp_piece_unref(shake->secret);
	lp_snapshot_unref(shake->ready);
	free(shake);
	tls->shake = shake_none();
}

bool lp_tls_shakes(const struct lp_tls *tls)
{
	return tls->shake != &no_shake;
}

void lp_tls_settle(struct lp_tls *tls)
{
	const struct lp_shake *shake = tls->shake;
	bool idle = shake != &no_shake && !shake->hs && !shake->next && !shake->trial &&
		    tls->completed && tls->state == LP_TLS_RUNNING && !lp_buf_len(&shake->early);

	for (int dir = 0; idle && dir < 2; dir++)
		idle = !lp_messages_partial(&shake->messages[dir]) && !shake->messages[dir].in.n &&
		       !shake->messages[dir].fault && !shake->skip_message[dir];
	if (idle)
		lp_tls_shake_free(tls);
}

struct lp_hurt *lp_tls_hurt(struct lp_tls *tls)
{
	struct lp_hurt *hurt = tls->hurt;

	if (hurt != &lp_tls_no_hurt)
		return hurt;
	hurt = calloc(1, sizeof *hurt);
	if (!hurt) {
		lp_tls_nomem(tls);
		return NULL;
	}
	for (int dir = 0; dir < 2; dir++) {
		lp_buf_init(&hurt->back[dir], LP_BACK_MAX);
		hurt->stream_end[dir] = lp_records_offset(&tls->records[dir]) +
					lp_records_held(&tls->records[dir]);
	}
	if (tls->home->env->call_end)
		hurt->stream_end[tls->home->env->call_dir] = tls->home->env->call_end;
	tls->hurt = hurt;
	return hurt;
}

void lp_tls_hurt_free(struct lp_tls *tls, bool all)
{
	struct lp_hurt *hurt = tls->hurt;

	if (hurt == &lp_tls_no_hurt)
		return;
	for (int dir = 0; dir < 2; dir++)
		lp_buf_clear(&hurt->back[dir]);
	lp_tls_seek_clear(tls);
	lp_tls_other_free(tls);
	if (!all && (hurt->dead_bytes[0] || hurt->dead_bytes[1] || hurt->conflict))
		return;
	free(hurt);
	tls->hurt = hurt_none();
}

struct lp_told *lp_tls_told(struct lp_tls *tls)
{
	struct lp_told *told = tls->told;

	if (told != &no_told)
		return told;
	told = calloc(1, sizeof *told);
	if (!told) {
		lp_tls_nomem(tls);
		return NULL;
	}
	tls->told = told;
	return told;
}

void lp_tls_told_free(struct lp_tls *tls)
{
	if (tls->told == &no_told)
		return;
	free(tls->told->detail);
	free(tls->told);
	tls->told = (struct lp_told *)(uintptr_t)&no_told;
}
