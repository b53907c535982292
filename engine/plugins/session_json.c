#include "plugins/session_json.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "plugins/label.h"

void lp_session_json_set(json_t *object, const char *key, json_t *value, int *bad)
{
	/* Takes the reference over even when it fails. */
	if (!value || json_object_set_new(object, key, value))
		*bad = 1;
}

json_t *lp_session_json_done(json_t *object, int bad)
{
	if (!bad)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *text_value(const char *text)
{
	json_t *value = json_string(text);
	char plain[LP_LABEL_TEXT];

	/* The host promises valid UTF-8; a plugin host that breaks it costs no line. */
	return value ? value : json_string(lp_label_plain(plain, sizeof plain, text));
}

static void set_text(json_t *o, const char *key, const char *text, int *bad)
{
	if (text)
		lp_session_json_set(o, key, text_value(text), bad);
}

static void set_number(json_t *o, const char *key, uint64_t n, int *bad)
{
	lp_session_json_set(o, key, json_integer((json_int_t)n), bad);
}

/* -1 is unknown. */
static void set_flag(json_t *o, const char *key, int flag, int *bad)
{
	if (flag >= 0)
		lp_session_json_set(o, key, json_boolean(flag), bad);
}

static json_t *texts_value(const char *const *texts)
{
	json_t *a = json_array();
	int bad = !a;

	for (size_t i = 0; !bad && texts && texts[i]; i++)
		bad = json_array_append_new(a, text_value(texts[i])) != 0;
	return lp_session_json_done(a, bad);
}

static void set_head(json_t *o, const char *type, uint64_t ts_ns,
		     const struct lp_flow_info *info, int *bad)
{
	char time[LP_CLOCK_TEXT];

	lp_clock_text(time, ts_ns);
	set_text(o, "timestamp", time, bad);
	set_number(o, "flow_id", info->flow_id, bad);
	set_text(o, "event_type", type, bad);
	set_text(o, "src_ip", info->client_text, bad);
	set_number(o, "src_port", info->client_port, bad);
	set_text(o, "dest_ip", info->server_text, bad);
	set_number(o, "dest_port", info->server_port, bad);
	set_text(o, "proto", "TCP", bad);
	if (info->community_id[0])
		set_text(o, "community_id", info->community_id, bad);
}

static void set_cert(json_t *o, const struct lp_cert_info *cert, int *bad)
{
	set_text(o, "subject", cert->subject, bad);
	set_text(o, "issuerdn", cert->issuer, bad);
	set_text(o, "serial", cert->serial, bad);
	set_text(o, "fingerprint", cert->sha1, bad);
	set_text(o, "notbefore", cert->not_before, bad);
	set_text(o, "notafter", cert->not_after, bad);
}

static void set_fingerprint(json_t *o, const char *key, const char *hash, const char *string,
			    int *bad)
{
	json_t *f;

	if (!hash && !string)
		return;
	f = json_object();
	if (!f) {
		*bad = 1;
		return;
	}
	set_text(f, "hash", hash, bad);
	set_text(f, "string", string, bad);
	lp_session_json_set(o, key, f, bad);
}

/* Suricata 7 has other names for these two; whoever reads its log looks for them. */
static const char *eve_version(const struct lp_session_info *tls)
{
	if (tls->version == 0x0300)
		return "SSLv3";
	return tls->version == 0x0301 ? "TLSv1" : tls->version_text;
}

static json_t *tls_part(const struct lp_session_info *tls)
{
	json_t *o = json_object();
	json_t *client;
	int bad = 0;

	if (!o)
		return NULL;
	if (tls->server_cert)
		set_cert(o, tls->server_cert, &bad);
	if (tls->resumed > LP_RESUMED_NO)
		set_flag(o, "session_resumed", 1, &bad);
	set_text(o, "sni", tls->sni, &bad);
	set_text(o, "version", eve_version(tls), &bad);
	set_fingerprint(o, "ja3", tls->ja3_hash, tls->ja3_string, &bad);
	set_fingerprint(o, "ja3s", tls->ja3s_hash, tls->ja3s_string, &bad);
	set_text(o, "ja4", tls->ja4, &bad);
	if (tls->client_alpns)
		lp_session_json_set(o, "client_alpns", texts_value(tls->client_alpns), &bad);
	if (tls->server_alpns)
		lp_session_json_set(o, "server_alpns", texts_value(tls->server_alpns), &bad);
	if (tls->client_cert_info && (client = json_object()) != NULL) {
		set_cert(client, tls->client_cert_info, &bad);
		lp_session_json_set(o, "client", client, &bad);
	}
	return lp_session_json_done(o, bad);
}

/* How each direction ended. */
static json_t *end_part(const enum lp_end end[2])
{
	json_t *o = json_object();
	int bad = 0;

	if (!o)
		return NULL;
	set_text(o, "client", lp_label_end(end[LP_C2S]), &bad);
	set_text(o, "server", lp_label_end(end[LP_S2C]), &bad);
	return lp_session_json_done(o, bad);
}

static json_t *limpid_part(const struct lp_session_info *tls,
			   const struct lp_session_result *result)
{
	static const char *const resumed[] = { "no", "id", "ticket" };
	const struct lp_dir_totals *total = result->total;
	json_t *o = json_object();
	int bad = 0;

	if (!o)
		return NULL;
	set_number(o, "session", tls->number, &bad);
	set_text(o, "suite", tls->suite_text, &bad);
	set_flag(o, "ems", tls->ems, &bad);
	set_flag(o, "etm", tls->etm, &bad);
	set_text(o, "curve", tls->group_text, &bad);
	if (tls->exchange_bits)
		set_number(o, "exchange_bits", tls->exchange_bits, &bad);
	set_text(o, "compression", tls->compression_text, &bad);
	if (tls->resumed >= LP_RESUMED_NO && tls->resumed <= LP_RESUMED_TICKET)
		set_text(o, "resumed", resumed[tls->resumed], &bad);
	if (tls->server_cert)
		set_text(o, "cert_sha256", tls->server_cert->sha256, &bad);
	set_flag(o, "client_cert", tls->client_cert, &bad);
	if (tls->client_cert_info)
		set_text(o, "client_cert_sha256", tls->client_cert_info->sha256, &bad);
	set_number(o, "renegotiations", tls->renegotiations, &bad);
	set_text(o, "verdict", lp_label_verdict(result->verdict), &bad);
	set_text(o, "reason", result->reason, &bad);
	if (result->detail && *result->detail)
		set_text(o, "detail", result->detail, &bad);
	if (result->verdict != LP_DECRYPTED && result->advice && *result->advice)
		set_text(o, "advice", result->advice, &bad);
	lp_session_json_set(o, "notes", texts_value(result->notes), &bad);
	set_text(o, "secret", tls->secret, &bad);
	set_text(o, "verified", result->verified, &bad);
	lp_session_json_set(o, "end", end_part(result->end), &bad);
	set_number(o, "client_bytes", total[LP_C2S].clear, &bad);
	set_number(o, "server_bytes", total[LP_S2C].clear, &bad);
	set_number(o, "client_lost", total[LP_C2S].lost, &bad);
	set_number(o, "server_lost", total[LP_S2C].lost, &bad);
	return lp_session_json_done(o, bad);
}

json_t *lp_session_json(const struct lp_flow_info *info, const struct lp_session_info *tls,
			const struct lp_session_result *result)
{
	json_t *o = json_object();
	int bad = 0;

	if (!o)
		return NULL;
	set_head(o, "tls", tls->start_ns, info, &bad);
	lp_session_json_set(o, "tls", tls_part(tls), &bad);
	lp_session_json_set(o, "limpid", limpid_part(tls, result), &bad);
	return lp_session_json_done(o, bad);
}

json_t *lp_session_json_flow(const struct lp_flow_info *info, const enum lp_end end[2],
			     const uint64_t bytes[2], const uint64_t lost[2])
{
	json_t *o = json_object();
	json_t *own = json_object();
	int bad = 0;

	if (!o || !own) {
		json_decref(o);
		json_decref(own);
		return NULL;
	}
	set_head(o, "flow", info->first_ns, info, &bad);
	lp_session_json_set(own, "end", end_part(end), &bad);
	set_number(own, "client_bytes", bytes[LP_C2S], &bad);
	set_number(own, "server_bytes", bytes[LP_S2C], &bad);
	set_number(own, "client_lost", lost[LP_C2S], &bad);
	set_number(own, "server_lost", lost[LP_S2C], &bad);
	lp_session_json_set(o, "limpid", own, &bad);
	return lp_session_json_done(o, bad);
}
