#include "capture/pcapng.h"

#include <stdlib.h>

#include "base/clock.h"
#include "capture/source.h"

enum {
	SECTION = 0x0a0d0d0a,
	INTERFACE = 1,
	PACKET = 2, /* obsolete */
	SIMPLE = 3,
	ENHANCED = 6,
	SECRETS = 10,
	ORDER_MAGIC = 0x1a2b3c4d,
	OPT_TSRESOL = 9,
	OPT_TSOFFSET = 14,
	HEAD = 8, /* type, total length */
	TAIL = 4, /* total length again */
	PACKET_HEAD = 20,
};

void lp_pcapng_init(struct lp_pcapng *g, lp_capture_secrets *secrets, void *user)
{
	*g = (struct lp_pcapng){ .secrets = secrets, .user = user };
}

void lp_pcapng_clear(struct lp_pcapng *g)
{
	free(g->iface);
	lp_pcapng_init(g, NULL, NULL);
}

static enum lp_err wrong(struct lp_pcapng *g, const char *text)
{
	g->wrong = text;
	return LP_E_FORMAT;
}

static uint32_t u32(struct lp_cursor *c, bool little)
{
	return (uint32_t)lp_cursor_uint(c, 4, little);
}

static uint16_t u16(struct lp_cursor *c, bool little)
{
	return (uint16_t)lp_cursor_uint(c, 2, little);
}

static uint64_t power10(unsigned n)
{
	uint64_t v = 1;

	while (n--)
		v *= 10;
	return v;
}

/* Ticks of 10^-n s, or 2^-n s where the high bit of tsresol is set, to seconds
 * and nanoseconds. */
static uint64_t split_ticks(uint64_t ticks, uint8_t tsresol, uint64_t *ns)
{
	unsigned n = tsresol & 0x7f;
	uint64_t part;

	if (tsresol & 0x80) {
		part = n < 64 ? ticks & ((UINT64_C(1) << n) - 1) : ticks;
		/* 32 bits of a fraction are finer than a nanosecond. */
		if (n > 32) {
			part = n - 32 < 64 ? part >> (n - 32) : 0;
			*ns = part * LP_NS_PER_S >> 32;
		} else {
			*ns = part * LP_NS_PER_S >> n;
		}
		return n < 64 ? ticks >> n : 0;
	}
	if (n > 19) { /* 10^20 is above 2^64: less than a second */
		*ns = n - 9 <= 19 ? ticks / power10(n - 9) : 0;
		return 0;
	}
	part = ticks % power10(n);
	*ns = n <= 9 ? part * power10(9 - n) : part / power10(n - 9);
	return ticks / power10(n);
}

static const uint64_t most_s = UINT64_MAX / LP_NS_PER_S - 1; /* in nanoseconds below 2^64 */

/* Microseconds or another whole number of nanoseconds since 1970 need no division. */
static void set_unit(struct lp_pcapng_interface *i)
{
	if (i->tsresol > 9 || i->tsoffset)
		return;
	i->unit = power10(9U - i->tsresol);
	i->most_ticks = most_s * power10(i->tsresol);
}

/* Nanoseconds since 1970; what lies outside 64 bits is held at their ends. */
static uint64_t to_ns(const struct lp_pcapng_interface *i, uint64_t ticks)
{
	uint64_t ns, s;

	if (i->unit && ticks <= i->most_ticks)
		return ticks * i->unit;
	s = split_ticks(ticks, i->tsresol, &ns);
	if (s > most_s)
		s = most_s;
	if (i->tsoffset < 0) {
		uint64_t back = -(uint64_t)i->tsoffset;

		if (back > s)
			return 0;
		s -= back;
	} else if ((uint64_t)i->tsoffset > most_s - s) {
		s = most_s;
	} else {
		s += (uint64_t)i->tsoffset;
	}
	return s * LP_NS_PER_S + ns;
}

/* A section header without its first 12 bytes (type, length, order magic). */
static enum lp_err section(struct lp_pcapng *g, struct lp_cursor body)
{
	uint16_t major = u16(&body, g->little);

	lp_cursor_skip(&body, 2 + 8); /* minor version, section length */
	if (body.bad)
		return wrong(g, "section header too short");
	if (major != 1)
		return wrong(g, "pcapng of an unknown version");
	g->n_iface = 0;
	g->begun = true;
	return LP_MORE;
}

static enum lp_err interface_options(struct lp_pcapng *g, struct lp_pcapng_interface *i,
				     struct lp_cursor c)
{
	while (lp_cursor_left(&c)) {
		uint16_t code = u16(&c, g->little);
		uint16_t length = u16(&c, g->little);
		struct lp_cursor value;

		if (!code) /* opt_endofopt */
			break;
		value = lp_cursor_span(lp_cursor_bytes(&c, length));
		lp_cursor_skip(&c, -(size_t)length & 3);
		if (code == OPT_TSRESOL && length == 1)
			i->tsresol = lp_cursor_u8(&value);
		else if (code == OPT_TSOFFSET && length == 8)
			i->tsoffset = (int64_t)lp_cursor_uint(&value, 8, g->little);
	}
	return c.bad ? wrong(g, "interface option runs past its block") : LP_MORE;
}

static enum lp_err interface(struct lp_pcapng *g, struct lp_cursor body)
{
	struct lp_pcapng_interface i = { .tsresol = 6 };
	struct lp_pcapng_interface *grown;
	size_t room = g->room ? g->room * 2 : 4;
	enum lp_err err;

	i.link = lp_capture_link(u16(&body, g->little));
	lp_cursor_skip(&body, 2);
	i.snaplen = u32(&body, g->little);
	if (body.bad)
		return wrong(g, "interface block too short");
	err = interface_options(g, &i, body);
	if (err != LP_MORE)
		return err;
	set_unit(&i);
	if (g->n_iface == LP_PCAPNG_MAX_INTERFACES)
		return wrong(g, "too many interfaces");
	if (g->n_iface == g->room) {
		grown = realloc(g->iface, room * sizeof *grown);
		if (!grown)
			return LP_E_NOMEM;
		g->iface = grown;
		g->room = room;
	}
	g->iface[g->n_iface++] = i;
	return LP_MORE;
}

static enum lp_err hand_out(struct lp_pcapng *g, struct lp_cursor *body, uint32_t iface,
			    struct lp_wire *p)
{
	lp_span data = lp_cursor_bytes(body, p->caplen);

	if (body->bad)
		return wrong(g, "packet runs past its block");
	if (p->caplen > LP_MAX_CAPLEN)
		return wrong(g, "packet longer than a packet can be");
	p->data = data.p;
	p->len = p->len < p->caplen ? p->caplen : p->len;
	p->ts_ns = g->last_ts;
	p->link = g->iface[iface].link;
	p->iface = iface;
	return LP_OK;
}

/* Enhanced Packet Block, and the obsolete Packet Block, whose interface number
 * has 16 bits and is followed by a drop count. */
static enum lp_err packet(struct lp_pcapng *g, bool obsolete, struct lp_cursor body,
			  struct lp_wire *p)
{
	struct lp_cursor h = lp_cursor_span(lp_cursor_bytes(&body, PACKET_HEAD));
	uint64_t ticks;
	uint32_t iface;

	if (!h.n)
		return wrong(g, "packet block too short");
	iface = obsolete ? u16(&h, g->little) : u32(&h, g->little);
	if (obsolete)
		lp_cursor_skip(&h, 2);
	ticks = (uint64_t)u32(&h, g->little) << 32;
	ticks |= u32(&h, g->little);
	p->caplen = u32(&h, g->little);
	p->len = u32(&h, g->little);
	if (iface >= g->n_iface)
		return wrong(g, "packet of an interface that was not described");
	g->last_ts = to_ns(&g->iface[iface], ticks);
	return hand_out(g, &body, iface, p);
}

/* Simple Packet Block: interface 0, no time (it gets that of the packet before
 * it), and as long as the original and the snap length allow. */
static enum lp_err simple(struct lp_pcapng *g, struct lp_cursor body, struct lp_wire *p)
{
	p->len = u32(&body, g->little);
	if (body.bad)
		return wrong(g, "packet block too short");
	if (!g->n_iface)
		return wrong(g, "packet of an interface that was not described");
	p->caplen = p->len;
	if (g->iface[0].snaplen && p->caplen > g->iface[0].snaplen)
		p->caplen = g->iface[0].snaplen;
	return hand_out(g, &body, 0, p);
}

static enum lp_err secrets(struct lp_pcapng *g, struct lp_cursor body, lp_span *secret)
{
	uint32_t type = u32(&body, g->little);
	uint32_t length = u32(&body, g->little);

	*secret = lp_cursor_bytes(&body, length);
	if (body.bad)
		return wrong(g, "secrets run past their block");
	if (g->secrets)
		g->secrets(g->user, type, *secret);
	return LP_MORE;
}

/* Goes on through a block that is stepped over, which may be longer than any
 * buffer, down to its trailer. */
static enum lp_err step_over(struct lp_pcapng *g, lp_span in, size_t *used, size_t *want)
{
	struct lp_cursor c = lp_cursor_span(in);

	if (g->skip) {
		*used = in.n < g->skip ? in.n : g->skip;
		*want = 1;
		g->skip -= (uint32_t)*used;
		return LP_MORE;
	}
	*want = TAIL;
	if (in.n < TAIL)
		return LP_MORE;
	if (u32(&c, g->little) != g->trailer)
		return wrong(g, "block ends with another length than it begins with");
	*used = TAIL;
	g->trailer = 0;
	return LP_MORE;
}

/* The order magic of a section header tells how to read its length. */
static enum lp_err section_order(struct lp_pcapng *g, lp_span in)
{
	struct lp_cursor c = lp_cursor_span(in);
	uint32_t magic;

	lp_cursor_skip(&c, HEAD);
	magic = u32(&c, true);
	g->little = magic == ORDER_MAGIC;
	if (magic != ORDER_MAGIC && magic != __builtin_bswap32(ORDER_MAGIC))
		return wrong(g, "section header without its byte-order magic");
	return LP_OK;
}

static enum lp_err block(struct lp_pcapng *g, uint32_t type, struct lp_cursor body,
			 struct lp_wire *p, lp_span *secret)
{
	switch (type) {
	case SECTION:
		lp_cursor_skip(&body, 4);
		return section(g, body);
	case INTERFACE:
		return interface(g, body);
	case ENHANCED:
	case PACKET:
		return packet(g, type == PACKET, body, p);
	case SIMPLE:
		return simple(g, body, p);
	default:
		return secrets(g, body, secret);
	}
}

static bool is_read(uint32_t type)
{
	return type == SECTION || type == INTERFACE || type == ENHANCED || type == PACKET ||
	       type == SIMPLE || type == SECRETS;
}

enum lp_err lp_pcapng_next(struct lp_pcapng *g, lp_span in, size_t *used, size_t *want,
			   struct lp_wire *p, lp_span *secret)
{
	struct lp_cursor c = lp_cursor_span(in), body, tail;
	uint32_t type, total;
	enum lp_err err;

	*used = 0;
	*secret = (lp_span){ NULL, 0 };
	if (g->trailer)
		return step_over(g, in, used, want);
	*want = g->begun ? HEAD : HEAD + 4;
	if (in.n < *want)
		return LP_MORE;
	type = u32(&c, g->little);
	if (type == SECTION) { /* the same in either order */
		*want = HEAD + 4;
		if (in.n < *want)
			return LP_MORE;
		err = section_order(g, in);
		if (err)
			return err;
	} else if (!g->begun) {
		return wrong(g, "no section header");
	}
	total = u32(&c, g->little);
	if (total < HEAD + TAIL || total & 3)
		return wrong(g, "block of an impossible length");
	if (!is_read(type)) {
		g->skip = total - HEAD - TAIL;
		g->trailer = total;
		*used = HEAD;
		return LP_MORE;
	}
	if (total > LP_PCAPNG_MAX_BLOCK)
		return wrong(g, "block longer than a block can be");
	*want = total;
	if (in.n < total)
		return LP_MORE;
	body = lp_cursor_span(lp_cursor_bytes(&c, total - HEAD - TAIL));
	tail = c;
	if (u32(&tail, g->little) != total)
		return wrong(g, "block ends with another length than it begins with");
	err = block(g, type, body, p, secret);
	if (err >= LP_OK)
		*used = total;
	return err;
}
