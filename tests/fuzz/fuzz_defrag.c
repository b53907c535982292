/* net/defrag: byte 0 is the policy, then fragments of eight bytes each: family and flags,
 * id, sender, offset (2), length (2), time. Each datagram that comes out is as long as the end
 * of its last part, memory stays below the cap, and the counters add up. */
#include <stdlib.h>

#include "net/defrag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lp_hash_seed seed = { 1, 2 };
	struct lp_cursor c = lp_cursor_of(data, size);
	struct lp_defrag_config config;
	uint64_t drop[LP_DROPS] = { 0 }, n = 0, sum = 0;
	uint8_t src[16] = { 0 };
	static const uint8_t dst[16] = { 9 }, payload[65536];
	struct lp_defrag t;

	lp_defrag_config_default(&config);
	config.overlap = lp_cursor_u8(&c) & 1 ? LP_OVERLAP_BSD : LP_OVERLAP_LINUX;
	config.max = 100000;
	config.max_host = 60000;
	lp_defrag_init(&t, &config, &seed, drop);
	for (struct lp_fragment f = { .src = src, .dst = dst }; lp_cursor_left(&c) >= 8; n++) {
		uint8_t flags = lp_cursor_u8(&c), proto;
		enum lp_drop end;
		lp_span whole;

		f.family = flags & 1 ? 6 : 4;
		f.more = flags & 2;
		f.proto = flags & 4 ? 6 : 17;
		f.id = lp_cursor_u8(&c);
		src[3] = lp_cursor_u8(&c);
		f.offset = lp_cursor_u16(&c) & 0xfff8U;
		/* Ends where the memory does, so that the address sanitizer sees a byte too many. */
		f.data.n = lp_cursor_u16(&c);
		f.data.p = f.data.n ? payload + 65536 - f.data.n : payload;
		f.ts_ns += lp_cursor_u8(&c) * 100000000ULL;
		end = lp_defrag_push(&t, &f, &whole, &proto);
		drop[end]++;
		if (!end && (whole.n < f.offset || whole.n > 65535))
			abort();
		if (t.bytes > config.max)
			abort();
		if (flags & 8)
			lp_defrag_release(&t, NULL);
	}
	for (int i = 0; i < LP_DROPS; i++)
		sum += drop[i];
	if (sum != n)
		abort();
	lp_defrag_clear(&t);
	return 0;
}
