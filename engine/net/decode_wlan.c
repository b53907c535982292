/* IEEE 802.11 data frames, and the radiotap header that captures put before them.
 * See net/layer.h. */
#include "net/layer.h"

enum {
	/* Frame control, as its two bytes stand: type and subtype, flags. */
	TYPE_MASK = 0x0c,
	TYPE_DATA = 0x08,
	SUBTYPE_NULL = 0x40, /* no data */
	SUBTYPE_QOS = 0x80,
	FLAG_TO_FROM = 0x03, /* both: four addresses */
	FLAG_MORE = 0x04,
	FLAG_PROTECTED = 0x40,
	FLAG_ORDER = 0x80,   /* in a QoS frame: HT control follows */
	QOS_AMSDU = 0x80,
	/* Radiotap, bits of its first word of "present". */
	HAS_TSFT = 1 << 0,
	HAS_FLAGS = 1 << 1,
	FLAGS_PAD = 0x20,    /* the header is padded to 4 bytes */
};

#define HAS_MORE (1U << 31)

/* IEEE 802.11 section 9.3.2.1. padded: the header was padded to a multiple of 4. */
enum lp_drop lp_decode_wlan(struct lp_decode *d, struct lp_layer *l, bool padded,
			    struct lp_segment *s)
{
	struct lp_cursor h = lp_layer_fixed(l, 24);
	uint8_t kind, flags, part;
	size_t more = 0;

	if (!h.n)
		return lp_layer_ended(l);
	kind = lp_cursor_u8(&h);
	flags = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 20);
	part = lp_cursor_u8(&h) & 0xf;
	if (kind & 3 || (kind & TYPE_MASK) != TYPE_DATA || kind & SUBTYPE_NULL)
		return LP_DROP_WLAN;
	if (flags & FLAG_PROTECTED)
		return LP_DROP_WLAN_CRYPT;
	if (flags & FLAG_MORE || part)
		return LP_DROP_WLAN_PARTS;
	if ((flags & FLAG_TO_FROM) == FLAG_TO_FROM) {
		lp_cursor_skip(&l->c, 6);
		more += 6;
	}
	if (kind & SUBTYPE_QOS) {
		if (lp_cursor_u8(&l->c) & QOS_AMSDU)
			return LP_DROP_WLAN_PARTS;
		lp_cursor_skip(&l->c, 1);
		more += 2;
		if (flags & FLAG_ORDER) {
			lp_cursor_skip(&l->c, 4);
			more += 4;
		}
	}
	if (padded)
		lp_cursor_skip(&l->c, -more & 3);
	return lp_cursor_ok(&l->c) ? lp_layer_ended(l) : lp_decode_llc(d, l, s);
}

/* radiotap.org: a little-endian header that states its own length; of its fields only
 * the flags say something about what follows. Fields are aligned by their size. */
enum lp_drop lp_decode_radiotap(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	struct lp_cursor h = lp_layer_fixed(l, 4);
	uint32_t present, first;
	uint8_t version, flags = 0;
	size_t at = 4;
	uint64_t len;

	if (!h.n)
		return lp_layer_ended(l);
	version = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 1);
	len = lp_cursor_uint(&h, 2, true);
	if (version || len < 8)
		return LP_DROP_WLAN;
	h = lp_layer_fixed(l, (size_t)len - 4);
	if (!h.n)
		return lp_layer_ended(l);
	first = present = (uint32_t)lp_cursor_uint(&h, 4, true);
	for (at += 4; present & HAS_MORE; at += 4)
		present = (uint32_t)lp_cursor_uint(&h, 4, true);
	if (first & HAS_TSFT)
		lp_cursor_skip(&h, (-at & 7) + 8);
	if (first & HAS_FLAGS)
		flags = lp_cursor_u8(&h);
	if (lp_cursor_ok(&h))
		return LP_DROP_WLAN;
	return lp_decode_wlan(d, l, flags & FLAGS_PAD, s);
}
