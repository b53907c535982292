/* plugins/frame.c against a frame put together byte by byte. */
#include <check.h>
#include <string.h>

#include "plugins/frame.h"

static uint32_t state;

static uint8_t noise(void)
{
	state = state * 1664525 + 1013904223;
	return (uint8_t)(state >> 24);
}

static uint32_t noise32(void)
{
	return (uint32_t)noise() << 24 | (uint32_t)noise() << 16 | (uint32_t)noise() << 8 | noise();
}

struct bytes {
	uint8_t p[LP_FRAME_MAX];
	size_t n;
};

static void add(struct bytes *b, uint32_t v, size_t n)
{
	while (n--)
		b->p[b->n++] = (uint8_t)(v >> 8 * n);
}

static void add_bytes(struct bytes *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		b->p[b->n++] = p[i];
}

static void add_mac(struct bytes *b, int family, const uint8_t *addr)
{
	uint8_t five[5] = { 0 };

	if (family == 4) {
		add(b, 0x0200, 2);
		add_bytes(b, addr, 4);
		return;
	}
	for (size_t i = 0; i < 16; i++)
		five[(15 - i) % 5] ^= addr[i];
	add(b, 6, 1);
	add_bytes(b, five, 5);
}

/* RFC 1071, by the book: v is what was added up before. */
static uint32_t sum(uint32_t v, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		v += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		v = (v & 0xffff) + (v >> 16);
	}
	return v;
}

static void put_sum(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(~v >> 8);
	p[1] = (uint8_t)~v;
}

static void slow(struct bytes *b, const struct lp_frame_ends *e, const struct lp_frame *f)
{
	const int syn = f->flags & LP_FRAME_SYN;
	const size_t addr_n = e->family == 6 ? 16 : 4;
	const uint32_t tcp_n = (uint32_t)f->payload_n + (syn ? 28 : 20);
	size_t tcp;

	b->n = 0;
	add_mac(b, e->family, e->dst_addr);
	add_mac(b, e->family, e->src_addr);
	if (e->family == 6) {
		add(b, 0x86dd, 2);
		add(b, 0x60000000, 4);
		add(b, tcp_n, 2);
		add(b, 6 << 8 | 64, 2);
	} else {
		add(b, 0x0800, 2);
		add(b, 0x4500, 2);
		add(b, 20 + tcp_n, 2);
		add(b, 0x4000, 4);
		add(b, (64 << 8 | 6) << 16, 4);
	}
	add_bytes(b, e->src_addr, addr_n);
	add_bytes(b, e->dst_addr, addr_n);
	if (e->family == 4)
		put_sum(b->p + 24, sum(0, b->p + 14, 20));
	tcp = b->n;
	add(b, e->src_port, 2);
	add(b, e->dst_port, 2);
	add(b, f->seq, 4);
	add(b, f->ack, 4);
	add(b, syn ? 0x70 : 0x50, 1);
	add(b, f->flags, 1);
	add(b, 0xffff, 2);
	add(b, 0, 4);
	if (syn) {
		add(b, e->family == 6 ? 0x020405a0 : 0x020405b4, 4);
		add(b, 0x01030307, 4);
	}
	add_bytes(b, f->payload, f->payload_n);
	put_sum(b->p + tcp + 16,
		sum(sum(6 + tcp_n, b->p + tcp - 2 * addr_n, 2 * addr_n), b->p + tcp, tcp_n));
}

static void compare(const struct lp_frame_ends *ends, const struct lp_frame *f)
{
	struct lp_frame_way way;
	struct bytes right;
	uint8_t got[LP_FRAME_MAX + 1];
	size_t n;

	slow(&right, ends, f);
	lp_frame_begin(&way, ends);
	n = lp_frame_length(&way, f);
	ck_assert_uint_eq(n, right.n);
	/* Twice with what was there before, and nothing behind it. */
	for (int fill = 0; fill < 256; fill += 255) {
		memset(got, fill, sizeof got);
		lp_frame_write(got, &way, f);
		ck_assert_mem_eq(got, right.p, n);
		for (size_t i = n; i < sizeof got; i++)
			ck_assert_uint_eq(got[i], fill);
	}
}

/* ones: all addresses and bytes are 0xff, so that every sum carries. */
static void compare_all(int family, int ones)
{
	static const uint8_t flags[] = { 0x02, 0x12, 0x10, 0x18, 0x11, 0x14, 0x01 };
	const size_t mss = family == 6 ? LP_FRAME_MSS6 : LP_FRAME_MSS4;
	uint8_t src[16], dst[16], payload[LP_FRAME_MSS4 + 8];
	struct lp_frame_ends ends = { family, src, dst, 0, 0 };

	for (size_t n = 0; n <= mss; n++) {
		struct lp_frame f = { .seq = noise32(), .ack = noise32(), .flags = 0x18,
				      .payload = payload + n % 8, .payload_n = n };

		for (size_t i = 0; i < sizeof payload; i++)
			payload[i] = ones ? 0xff : noise();
		for (size_t i = 0; i < 16; i++) {
			src[i] = ones ? 0xff : noise();
			dst[i] = ones ? 0xff : noise();
		}
		if (ones)
			f.seq = f.ack = UINT32_MAX;
		ends.src_port = ones ? 0xffff : (uint16_t)noise32();
		ends.dst_port = ones ? 0xffff : (uint16_t)noise32();
		compare(&ends, &f);
		f.payload_n = 0;
		f.payload = n & 1 ? NULL : payload;
		f.flags = flags[n % sizeof flags];
		compare(&ends, &f);
	}
}

START_TEST(equals_the_slow_one)
{
	state = 7;
	compare_all(_i & 1 ? 6 : 4, _i & 2);
}
END_TEST

Suite *suite_frame(void)
{
	Suite *s = suite_create("frame");
	TCase *t = tcase_create("frame");

	tcase_add_loop_test(t, equals_the_slow_one, 0, 4);
	suite_add_tcase(s, t);
	return s;
}
