/* Flights of peers (tls/flights.h), and by which names they are kept: a server's by its
 * address and port, the name that the client asked for and the version; a client's
 * Certificate by its own address and all of these. */
#include <string.h>

#include "engine_parts.h"
#include "tls/handshake.h"

enum { FIXED = 1 + 16 + 2 + 2 + 16, NAME = FIXED + 4 * 256 };

static lp_span name_of(const struct lp_tracked *f, const struct lp_handshake *hs, enum lp_dir dir,
		       uint8_t out[NAME])
{
	const size_t c = f->client, s = 1U - c;
	struct lp_stream_info info;
	const char *sni = hs->facts.client && hs->facts.client->sni ? hs->facts.client->sni : "";
	size_t n = strlen(sni) < NAME - FIXED ? strlen(sni) : NAME - FIXED;

	lp_tracked_info(f, &info);
	memset(out, 0, FIXED);
	out[0] = (uint8_t)dir;
	memcpy(out + 1, info.addr[s], 16);
	out[17] = (uint8_t)(info.port[s] >> 8);
	out[18] = (uint8_t)info.port[s];
	out[19] = (uint8_t)(hs->facts.version >> 8);
	out[20] = (uint8_t)hs->facts.version;
	if (dir == LP_C2S)
		memcpy(out + 21, info.addr[c], 16);
	memcpy(out + FIXED, sni, n);
	return lp_span_of(out, FIXED + n);
}

void lp_refills_keep(void *flow, const struct lp_handshake *hs, enum lp_dir dir, lp_span bytes,
		     uint32_t lead, const struct lp_when *when)
{
	struct lp_tracked *f = flow;
	uint8_t name[NAME];

	if (lp_flights_put(f->worker->engine->flights, name_of(f, hs, dir, name), bytes, lead, when))
		f->worker->env.fault = LP_E_NOMEM;
}

bool lp_refills_find(void *flow, const struct lp_handshake *hs, enum lp_dir dir, unsigned nth,
		     const struct lp_when *when, struct lp_buf *out, uint32_t *lead)
{
	struct lp_tracked *f = flow;
	uint8_t name[NAME];
	bool found;

	if (lp_flights_find(f->worker->engine->flights, name_of(f, hs, dir, name), when, nth, out,
			    lead, &found)) {
		f->worker->env.fault = LP_E_NOMEM;
		return false;
	}
	return found;
}
