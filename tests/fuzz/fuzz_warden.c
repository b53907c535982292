/* warden/message, both ends: any datagram. What reads must write back to the very
 * same bytes, so nothing has two forms and nothing is lost. */
#include <stdlib.h>
#include <string.h>

#include "warden/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t write_again(struct lp_message *m, uint8_t *out, size_t room)
{
	static struct lp_warden_key keys[2048];
	char text[LP_MESSAGE_PATH_MAX + 1] = "";
	size_t n = 0, taken;

	if (m->type == LP_MESSAGE_PATH || m->type == LP_MESSAGE_PSKS ||
	    m->type == LP_MESSAGE_TICKETS || m->type == LP_MESSAGE_LOG ||
	    m->type == LP_MESSAGE_FAULT)
		memcpy(text, m->text.n ? m->text.p : (const uint8_t *)"", m->text.n);
	switch (m->type) {
	case LP_MESSAGE_OPTIONS:
		return lp_message_write_options(out, room, &m->options);
	case LP_MESSAGE_PATH:
	case LP_MESSAGE_PSKS:
	case LP_MESSAGE_TICKETS:
		return lp_message_write_path(out, room, m->type, text);
	case LP_MESSAGE_GO:
		return lp_message_write_go(out, room);
	case LP_MESSAGE_RELOAD:
		return lp_message_write_reload(out, room);
	case LP_MESSAGE_ASK:
		return lp_message_write_ask(out, room, &m->ask);
	case LP_MESSAGE_LOG:
		return lp_message_write_log(out, room, text);
	case LP_MESSAGE_FAULT:
		return lp_message_write_fault(out, room, m->fault, text);
	case LP_MESSAGE_ANSWER:
		n = lp_message_write_answer(out, room, &m->answer);
		while (lp_message_next_answer(m) == LP_OK)
			n = lp_message_add_answer(out, n, room, &m->answer);
		return n;
	case LP_MESSAGE_KEYS:
		while (n < 2048 && lp_message_next_key(&m->keys, &keys[n]) == LP_OK)
			n++;
		taken = lp_message_write_keys(out, room, keys, n, m->keys.skipped, &taken);
		out[1] = m->keys.last;
		return taken;
	}
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[LP_MESSAGE_MAX];
	struct lp_message m = { 0 };

	if (lp_message_read(&m, lp_span_of(data, size)) == LP_OK &&
	    (write_again(&m, out, sizeof out) != size || memcmp(out, data, size)))
		abort();
	return 0;
}
