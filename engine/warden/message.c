#define _GNU_SOURCE
#include "warden/message.h"

#include <string.h>

#include "crypto/crypto.h"

/* The writer's twin of lp_cursor: sticks when the room is used up. */
struct out {
	uint8_t *p;
	size_t n;
	size_t room;
	bool bad;
};

static void put(struct out *o, const void *p, size_t n)
{
	if (o->bad || n > o->room - o->n) {
		o->bad = true;
		return;
	}
	if (n)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void put_be(struct out *o, uint64_t v, size_t width)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
	put(o, bytes, width);
}

static void put_vec16(struct out *o, const void *p, size_t n, size_t max)
{
	if (n > max)
		o->bad = true;
	put_be(o, n, 2);
	put(o, p, n);
}

static struct out begin(uint8_t *p, size_t room, enum lp_message_type type)
{
	struct out o = { p, 0, room, false };

	put_be(&o, type, 1);
	return o;
}

static size_t end(const struct out *o)
{
	return o->bad ? 0 : o->n;
}

/* Lines and names were escaped by the warden, so a control character in them
 * came from something that is not the warden. */
static bool is_line(lp_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool is_path(lp_span s)
{
	return s.n <= LP_MESSAGE_PATH_MAX && (!s.n || !memchr(s.p, 0, s.n));
}

/* What may be asked. TLS (and SSL 3.0) versions, and a seed of just the length that
 * the derivation takes, so that the warden's PRF is no tool for anything else. The
 * operations that are not answered have no rules. */
static bool ask_is_sound(const struct lp_ask *ask)
{
	if (ask->op < LP_ASK_RSA || ask->op > LP_ASK_TICKET || ask->prf > LP_MD5_SHA1 ||
	    ask->seed_len > LP_WARDEN_SEED || ask->input_len > LP_WARDEN_INPUT)
		return false;
	if (ask->op == LP_ASK_TICKET)
		return !ask->seed_len && !ask->input_len && ask->ticket.n &&
		       ask->ticket.n <= LP_WARDEN_TICKET;
	if (ask->ticket.n || ask->time_s)
		return false;
	if (ask->op == LP_ASK_DH)
		return true;
	if (ask->version < 0x0300 || ask->version > 0x0303)
		return false;
	if (ask->version == 0x0303 && (ask->prf == LP_DIGEST_NONE || ask->prf == LP_MD5_SHA1))
		return false;
	if (!ask->extended)
		return ask->seed_len == 64;
	if (ask->version == 0x0300)
		return false;
	if (ask->version < 0x0303)
		return ask->seed_len == lp_digest_size(LP_MD5_SHA1);
	return ask->seed_len == lp_digest_size((enum lp_digest)ask->prf);
}

static enum lp_err read_options(struct lp_message_options *o, struct lp_cursor *c)
{
	uint16_t protocol = lp_cursor_u16(c);
	uint8_t strict = lp_cursor_u8(c), follow;

	o->lines = lp_cursor_u32(c);
	o->threads = lp_cursor_u32(c);
	o->delay_ms = lp_cursor_u32(c);
	o->crypto = lp_cursor_vec16(c);
	o->passphrase_file = lp_cursor_vec16(c);
	follow = lp_cursor_u8(c);
	o->ticket_life_s = lp_cursor_u32(c);
	o->strict_key_modes = strict != 0;
	o->follow = follow != 0;
	if (protocol != LP_MESSAGE_PROTOCOL || strict > 1 || follow > 1 || !o->lines ||
	    o->lines > LP_WARDEN_LINES || o->crypto.n > LP_MESSAGE_NAME_MAX ||
	    !is_line(o->crypto) || !is_path(o->passphrase_file))
		return LP_E_FORMAT;
	return LP_OK;
}

static enum lp_err read_ask(struct lp_ask *ask, struct lp_cursor *c)
{
	uint8_t extended;
	lp_span seed, input;

	ask->id = lp_cursor_u64(c);
	ask->op = (enum lp_warden_op)lp_cursor_u8(c);
	ask->key = lp_cursor_u32(c);
	ask->version = lp_cursor_u16(c);
	ask->client_version = lp_cursor_u16(c);
	ask->prf = lp_cursor_u8(c);
	extended = lp_cursor_u8(c);
	seed = lp_cursor_vec8(c);
	input = lp_cursor_vec16(c);
	if (extended > 1 || seed.n > sizeof ask->seed || input.n > sizeof ask->input)
		return LP_E_FORMAT;
	ask->extended = extended != 0;
	ask->seed_len = (uint8_t)seed.n;
	if (seed.n)
		memcpy(ask->seed, seed.p, seed.n);
	ask->input_len = (uint16_t)input.n;
	if (input.n)
		memcpy(ask->input, input.p, input.n);
	ask->psk = lp_cursor_u32(c);
	ask->time_s = lp_cursor_u64(c);
	ask->ticket = lp_cursor_vec16(c);
	return ask_is_sound(ask) ? LP_OK : LP_E_FORMAT;
}

static enum lp_err read_answer(struct lp_answer *a, struct lp_cursor *c)
{
	uint8_t code, loose;
	lp_span secret;

	a->id = lp_cursor_u64(c);
	code = lp_cursor_u8(c);
	secret = lp_cursor_vec8(c);
	a->version = lp_cursor_u16(c);
	a->suite = lp_cursor_u16(c);
	a->ems = (int8_t)lp_cursor_u8(c);
	loose = lp_cursor_u8(c);
	a->key = lp_cursor_u32(c);
	a->loose = loose != 0;
	if (a->ems < -1 || a->ems > 1 || loose > 1)
		return LP_E_FORMAT;
	if (code > LP_ANSWER_BUSY || secret.n > sizeof a->secret ||
	    (code == LP_ANSWER_DONE) != (secret.n != 0))
		return LP_E_FORMAT;
	a->code = (enum lp_answer_code)code;
	a->secret_len = secret.n;
	if (secret.n)
		memcpy(a->secret, secret.p, secret.n);
	return LP_OK;
}

static enum lp_err read_key(struct lp_cursor *c, struct lp_warden_key *key)
{
	lp_span hash, name;

	key->id = lp_cursor_u32(c);
	key->kind = lp_cursor_u32(c);
	key->bits = lp_cursor_u32(c);
	hash = lp_cursor_bytes(c, sizeof key->spki_sha256);
	name = lp_cursor_vec16(c);
	if (c->bad)
		return LP_E_TRUNCATED;
	if (name.n >= sizeof key->name || !is_line(name))
		return LP_E_FORMAT;
	memcpy(key->spki_sha256, hash.p, hash.n);
	if (name.n)
		memcpy(key->name, name.p, name.n);
	key->name[name.n] = '\0';
	return LP_OK;
}

enum lp_err lp_message_next_key(struct lp_message_keys *keys, struct lp_warden_key *out)
{
	return lp_cursor_left(&keys->at) ? read_key(&keys->at, out) : LP_EOF;
}

static enum lp_err read_keys(struct lp_message_keys *keys, struct lp_cursor *c)
{
	struct lp_warden_key key;
	struct lp_message_keys walk;
	uint8_t last = lp_cursor_u8(c);
	enum lp_err err;

	keys->skipped = lp_cursor_u32(c);
	keys->last = last != 0;
	if (c->bad || last > 1)
		return LP_E_FORMAT;
	keys->at = *c;
	walk = *keys;
	while ((err = lp_message_next_key(&walk, &key)) == LP_OK)
		;
	*c = walk.at;
	return err == LP_EOF ? LP_OK : err;
}

enum lp_err lp_message_next_answer(struct lp_message *m)
{
	enum lp_err err = LP_EOF;

	if (lp_cursor_left(&m->answers)) {
		err = read_answer(&m->answer, &m->answers);
		if (!err && m->answers.bad)
			err = LP_E_TRUNCATED;
	}
	return err;
}

/* All of them are checked, and the first is left in m->answer. */
static enum lp_err read_answers(struct lp_message *m, struct lp_cursor *c)
{
	const struct lp_cursor first = *c;
	enum lp_err err;

	m->answers = *c;
	do
		err = lp_message_next_answer(m);
	while (!err);
	*c = m->answers;
	if (err != LP_EOF)
		return err;
	m->answers = first;
	err = lp_message_next_answer(m);
	return err == LP_EOF ? LP_E_TRUNCATED : err;
}

static enum lp_err read_line(struct lp_message *m, struct lp_cursor *c)
{
	m->text = lp_cursor_vec16(c);
	return m->text.n <= LP_MESSAGE_TEXT_MAX && is_line(m->text) ? LP_OK : LP_E_FORMAT;
}

static enum lp_err read_fault(struct lp_message *m, struct lp_cursor *c)
{
	int code = -(int)lp_cursor_u8(c);

	if (code > LP_E_NOMEM || code < LP_E_MISMATCH)
		return LP_E_FORMAT;
	m->fault = (enum lp_err)code;
	return read_line(m, c);
}

static enum lp_err read_body(struct lp_message *m, struct lp_cursor *c)
{
	switch (m->type) {
	case LP_MESSAGE_OPTIONS:
		return read_options(&m->options, c);
	case LP_MESSAGE_PATH:
	case LP_MESSAGE_PSKS:
	case LP_MESSAGE_TICKETS:
		m->text = lp_cursor_vec16(c);
		return m->text.n && is_path(m->text) ? LP_OK : LP_E_FORMAT;
	case LP_MESSAGE_GO:
	case LP_MESSAGE_RELOAD:
		return LP_OK;
	case LP_MESSAGE_ASK:
		return read_ask(&m->ask, c);
	case LP_MESSAGE_LOG:
		return read_line(m, c);
	case LP_MESSAGE_FAULT:
		return read_fault(m, c);
	case LP_MESSAGE_KEYS:
		return read_keys(&m->keys, c);
	case LP_MESSAGE_ANSWER:
		return read_answers(m, c);
	}
	return LP_E_FORMAT;
}

enum lp_err lp_message_read(struct lp_message *m, lp_span datagram)
{
	struct lp_cursor c = lp_cursor_span(datagram);
	enum lp_err err;

	if (datagram.n > LP_MESSAGE_MAX)
		return LP_E_FORMAT;
	m->type = (enum lp_message_type)lp_cursor_u8(&c);
	err = read_body(m, &c);
	return err ? err : lp_cursor_end(&c);
}

size_t lp_message_write_options(uint8_t *out, size_t room, const struct lp_message_options *o)
{
	struct out to = begin(out, room, LP_MESSAGE_OPTIONS);

	put_be(&to, LP_MESSAGE_PROTOCOL, 2);
	put_be(&to, o->strict_key_modes, 1);
	put_be(&to, o->lines, 4);
	put_be(&to, o->threads, 4);
	put_be(&to, o->delay_ms, 4);
	put_vec16(&to, o->crypto.p, o->crypto.n, LP_MESSAGE_NAME_MAX);
	put_vec16(&to, o->passphrase_file.p, o->passphrase_file.n, LP_MESSAGE_PATH_MAX);
	put_be(&to, o->follow, 1);
	put_be(&to, o->ticket_life_s, 4);
	return is_line(o->crypto) && is_path(o->passphrase_file) ? end(&to) : 0;
}

size_t lp_message_write_path(uint8_t *out, size_t room, enum lp_message_type type,
			     const char *path)
{
	struct out to = begin(out, room, type);

	put_vec16(&to, path, strlen(path), LP_MESSAGE_PATH_MAX);
	return *path ? end(&to) : 0;
}

size_t lp_message_write_go(uint8_t *out, size_t room)
{
	struct out to = begin(out, room, LP_MESSAGE_GO);

	return end(&to);
}

size_t lp_message_write_reload(uint8_t *out, size_t room)
{
	struct out to = begin(out, room, LP_MESSAGE_RELOAD);

	return end(&to);
}

size_t lp_message_write_ask(uint8_t *out, size_t room, const struct lp_ask *ask)
{
	struct out to = begin(out, room, LP_MESSAGE_ASK);

	if (!ask_is_sound(ask))
		return 0;
	put_be(&to, ask->id, 8);
	put_be(&to, ask->op, 1);
	put_be(&to, ask->key, 4);
	put_be(&to, ask->version, 2);
	put_be(&to, ask->client_version, 2);
	put_be(&to, ask->prf, 1);
	put_be(&to, ask->extended, 1);
	put_be(&to, ask->seed_len, 1);
	put(&to, ask->seed, ask->seed_len);
	put_vec16(&to, ask->input, ask->input_len, LP_WARDEN_INPUT);
	put_be(&to, ask->psk, 4);
	put_be(&to, ask->time_s, 8);
	put_vec16(&to, ask->ticket.p, ask->ticket.n, LP_WARDEN_TICKET);
	return end(&to);
}

/* A line that is too long is cut: better a short reason than none. */
static size_t line_length(const char *text)
{
	return strnlen(text, LP_MESSAGE_TEXT_MAX);
}

size_t lp_message_write_log(uint8_t *out, size_t room, const char *text)
{
	struct out to = begin(out, room, LP_MESSAGE_LOG);

	put_vec16(&to, text, line_length(text), LP_MESSAGE_TEXT_MAX);
	return end(&to);
}

size_t lp_message_write_fault(uint8_t *out, size_t room, enum lp_err err, const char *text)
{
	struct out to = begin(out, room, LP_MESSAGE_FAULT);

	put_be(&to, (uint64_t)-(int)err, 1);
	put_vec16(&to, text, line_length(text), LP_MESSAGE_TEXT_MAX);
	return err < 0 ? end(&to) : 0;
}

size_t lp_message_write_answer(uint8_t *out, size_t room, const struct lp_answer *answer)
{
	return lp_message_add_answer(out, begin(out, room, LP_MESSAGE_ANSWER).n, room, answer);
}

size_t lp_message_add_answer(uint8_t *out, size_t n, size_t room, const struct lp_answer *answer)
{
	struct out to = { out, n, room, !n };

	if (answer->secret_len > sizeof answer->secret)
		return 0;
	put_be(&to, answer->id, 8);
	put_be(&to, answer->code, 1);
	put_be(&to, answer->secret_len, 1);
	put(&to, answer->secret, answer->secret_len);
	put_be(&to, answer->version, 2);
	put_be(&to, answer->suite, 2);
	put_be(&to, (uint8_t)answer->ems, 1);
	put_be(&to, answer->loose, 1);
	put_be(&to, answer->key, 4);
	return end(&to);
}

static void put_key(struct out *to, const struct lp_warden_key *key)
{
	put_be(to, key->id, 4);
	put_be(to, key->kind, 4);
	put_be(to, key->bits, 4);
	put(to, key->spki_sha256, sizeof key->spki_sha256);
	put_vec16(to, key->name, strnlen(key->name, sizeof key->name), sizeof key->name - 1);
}

size_t lp_message_write_keys(uint8_t *out, size_t room, const struct lp_warden_key *keys, size_t n,
			     uint32_t skipped, size_t *taken)
{
	struct out to = begin(out, room < LP_MESSAGE_MAX ? room : LP_MESSAGE_MAX, LP_MESSAGE_KEYS);
	struct out before;
	size_t i;

	put_be(&to, 0, 1);
	put_be(&to, skipped, 4);
	for (i = 0; i < n; i++) {
		before = to;
		put_key(&to, &keys[i]);
		if (to.bad) {
			to = before;
			break;
		}
	}
	*taken = i;
	if (to.bad || (n && !i))
		return 0;
	out[1] = i == n;
	return end(&to);
}
