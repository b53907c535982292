/* What a lost packet may cost at most: for hurt.c, of whose packets and flows it speaks.
 *
 * Both streams of a connection are put together as they were sent, and cut into records,
 * from the hellos on. A packet may cost the records of application data that it has a byte
 * of, which no other packet brings; in TLS 1.0 and below the next one, too, whose IV it is.
 * Of a handshake: all that is said under its keys, and what goes on beside it, where a hello
 * or the ClientKeyExchange cannot be read without it, or anything that Extended Master
 * Secret needs; else nothing. What a later handshake says is under keys: there the order of
 * its records tells them apart, and what it does not tell may be needed. Where there are
 * several sessions in a connection, or the capture has holes of its own, nothing is said. */
struct toll {
	long bytes[2];  /* of the client, of the server; -1: all */
	long stream[2]; /* with the records' headers and padding; -1: not said */
};

struct tube {
	uint8_t *bytes;
	size_t *owner; /* the number of the packet that alone brings the byte; 0: several do */
	size_t n, room;
	uint32_t isn;
	int any;
};

enum { TOLL_PACKETS = 1 << 16, MANY = 0 };

static size_t toll_payload(const struct packet *p, uint32_t *seq, uint8_t *flags, const uint8_t **at)
{
	int six = p->p[12] == 0x86;
	size_t ip = six ? 40 : 4u * (p->p[ETHER] & 15), end;
	const uint8_t *tcp = p->p + ETHER + ip;

	end = ETHER + (six ? 40 + (size_t)(p->p[18] << 8 | p->p[19]) : (size_t)(p->p[16] << 8 | p->p[17]));
	*seq = (uint32_t)tcp[4] << 24 | (uint32_t)tcp[5] << 16 | (uint32_t)tcp[6] << 8 | tcp[7];
	*flags = tcp[13];
	*at = tcp + 4 * (tcp[12] >> 4);
	if (end > p->caplen)
		end = p->caplen;
	return (size_t)(*at - p->p) < end ? end - (size_t)(*at - p->p) : 0;
}

/* length: so many packets are lost at a time; the last to bring a byte is held to account
 * where these may be all that do. */
static void toll_fill(struct tube *t, const struct packet *p, size_t length)
{
	const uint8_t *at;
	uint32_t seq;
	uint8_t flags;
	size_t n = toll_payload(p, &seq, &flags, &at), from, room = t->room;

	if (flags & 2)
		seq++;
	if (!t->any && (flags & 2 || n)) {
		t->any = 1;
		t->isn = seq;
	}
	from = seq - t->isn;
	if (!n || from > 1 << 26)
		return;
	while (t->room < from + n)
		t->room = 2 * (t->room + from + n);
	t->bytes = need(realloc(t->bytes, t->room + 1));
	t->owner = need(realloc(t->owner, (t->room + 1) * sizeof *t->owner));
	for (size_t i = room; i < t->room; i++)
		t->owner[i] = SIZE_MAX;
	for (size_t i = 0; i < n; i++) {
		t->owner[from + i] = length > 1 || t->owner[from + i] == SIZE_MAX ? p->number : MANY;
		t->bytes[from + i] = at[i];
	}
	if (from + n > t->n)
		t->n = from + n;
}

struct cut { /* a record */
	size_t at, next, epoch; /* ChangeCipherSpecs before it */
	uint8_t type;
	int finished;
};

enum { NOTHING = 1 << 20, HANDSHAKES = 64 };

struct reading {
	struct toll *toll; /* by number of the packet */
	size_t *vital;     /* … and the first handshake that needs it, or NOTHING */
	int *prelude;      /* … the directions in which it has what is said before TLS */
	size_t packets;
	struct tube *t;
	struct cut *cuts;
	size_t n;
	int dir;
	int ems, kx, old, compressed, strange; /* of the connection */
	size_t switched[HANDSHAKES];  /* numbers of the packets with the client's ChangeCipherSpecs */
	long after[2][HANDSHAKES];    /* bytes of data from the beginning of each handshake on */
};

/* What stands from..to may cost so much, and all of that handshake. */
static void toll_charge(struct reading *r, size_t from, size_t to, long bytes, long stream, size_t vital)
{
	size_t last = 0;

	for (size_t i = from; i < to && i < r->t->n; i++) {
		size_t k = r->t->owner[i];
		struct toll *toll = &r->toll[k <= r->packets ? k : 0];

		if (k == last || k > r->packets)
			continue;
		last = k;
		if (vital < r->vital[k])
			r->vital[k] = vital;
		toll->bytes[r->dir] += bytes;
		if (stream < 0)
			toll->stream[r->dir] = -1;
		else if (toll->stream[r->dir] >= 0)
			toll->stream[r->dir] += stream;
	}
}

/* A record of messages in clear. left: bytes of a message that began in one before. */
static void toll_messages(struct reading *r, size_t at, size_t end, size_t *left, uint8_t *type)
{
	const uint8_t *b = r->t->bytes;
	size_t from = at - 5;

	toll_charge(r, from, end, 0, -1, r->ems && r->kx ? 0 : NOTHING);
	for (size_t m = at; m < end;) {
		size_t n;
		int vital;

		if (!*left) {
			if (end - m < 4) {
				toll_charge(r, from, end, 0, -1, 0);
				return;
			}
			*type = b[m];
			*left = 4u + ((size_t)b[m + 1] << 16 | (size_t)b[m + 2] << 8 | b[m + 3]);
			if (*type == 2 && !r->dir)
				r->strange = 1;
		}
		vital = *type == 1 || *type == 2 || *type == 16;
		n = *left < end - m ? *left : end - m;
		/* Where it begins is told by what stands before it in the record. */
		if (vital)
			toll_charge(r, from, m + n, 0, -1, 0);
		m += n;
		*left -= n;
	}
}

static void toll_hello(struct reading *r, const uint8_t *b, size_t n)
{
	size_t at, end;

	if (n < 44 || b[5] != 2 || n < (size_t)b[43] + 47)
		return;
	r->old = b[10] <= 1;
	at = 44u + b[43] + 2;
	r->compressed = b[at] != 0;
	at += 3;
	end = 9 + (size_t)(b[7] << 8 | b[8]);
	while (at + 4 <= end && at + 4 <= n) {
		r->ems |= b[at] == 0 && b[at + 1] == 23;
		at += 4 + (size_t)(b[at + 2] << 8 | b[at + 3]);
	}
}

/* Where TLS begins, behind what may be before it: with a hello, and records to the end. */
static size_t toll_begin(const struct tube *t, int dir)
{
	for (size_t at = 0; at + 9 < t->n; at++) {
		const uint8_t *h = t->bytes + at;
		size_t next = at;

		if (h[0] != 22 || h[1] != 3 || h[5] != 1 + dir)
			continue;
		while (next + 5 <= t->n && t->bytes[next] >= 20 && t->bytes[next] <= 24 && t->bytes[next + 1] == 3)
			next += 5u + (size_t)(t->bytes[next + 3] << 8 | t->bytes[next + 4]);
		if (next + 5 > t->n)
			return at;
	}
	return 0;
}

static void toll_skip(struct tube *t, size_t n)
{
	t->n -= n;
	memmove(t->bytes, t->bytes + n, t->n);
	memmove(t->owner, t->owner + n, t->n * sizeof *t->owner);
}

static void toll_cut(struct reading *r)
{
	const struct tube *t = r->t;
	size_t at = 0, epoch = 0, room = 0;
	int finished = 0;

	r->n = 0;
	for (size_t i = 0; i < t->n; i++)
		r->strange |= t->owner[i] == SIZE_MAX;
	while (at + 5 <= t->n && !r->strange) {
		const uint8_t *h = t->bytes + at;
		struct cut c = { at, at + 5u + (size_t)(h[3] << 8 | h[4]), epoch, h[0], 0 };

		if (h[0] < 20 || h[0] > 24 || h[1] != 3 || epoch + 1 == HANDSHAKES ||
		    /* a hello in clear, of another session */
		    (epoch && c.next <= t->n && h[0] == 22 && h[5] == 1 && !h[6] &&
		     c.next == at + 9u + (size_t)(h[7] << 8 | h[8]))) {
			r->strange = 1;
			break;
		}
		c.finished = h[0] == 22 && epoch && !finished;
		finished |= c.finished;
		if (h[0] == 20) {
			if (!r->dir)
				r->switched[epoch] = t->owner[at];
			finished = 0;
			epoch++;
		}
		if (r->n == room)
			r->cuts = need(realloc(r->cuts, (room = 2 * room + 16) * sizeof *r->cuts));
		r->cuts[r->n++] = c;
		at = c.next;
	}
}

/* A message of a later handshake, number i of the records: the first one that needs it. */
static size_t toll_later(const struct reading *r, size_t i)
{
	const struct cut *c = &r->cuts[i];
	size_t hello = i, length = 0, by = r->t->owner[c->at];

	while (hello && !r->cuts[hello - 1].finished)
		hello--;
	for (size_t k = i; k < r->n && !length; k++)
		if (r->cuts[k].type == 20)
			length = r->cuts[k].next - r->cuts[k].at;
	if (!r->dir || !length || r->compressed)
		return c->epoch;
	/* Behind the client's ChangeCipherSpec: a ticket. */
	if (r->switched[c->epoch] && by > r->switched[c->epoch])
		return NOTHING;
	if (r->ems || r->kx)
		return c->epoch;
	/* The first that is longer than a HelloRequest is the ServerHello. */
	for (size_t k = hello; k < i; k++)
		if (r->cuts[k].type == 22 && r->cuts[k].next - r->cuts[k].at > length + 16)
			return NOTHING;
	return c->epoch;
}

/* Record number i of those under keys, of which from..to is charged. */
static void toll_sealed(struct reading *r, size_t i, size_t from, size_t to)
{
	const struct cut *c = &r->cuts[i];
	long len = (long)(c->next - c->at) - 5;

	if (c->type == 22 || c->type == 20)
		toll_charge(r, from, to, 0, -1, c->type == 22 && !c->finished ? toll_later(r, i)
					       : r->compressed ? c->epoch - c->finished : NOTHING);
	else
		toll_charge(r, from, to, len, len + 5, r->compressed ? c->epoch - 1 : NOTHING);
}

static void toll_stream(struct reading *r)
{
	size_t left = 0;
	uint8_t type = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct cut *c = &r->cuts[i];
		size_t end = c->next < r->t->n ? c->next : r->t->n;

		if (!c->epoch && c->type == 22)
			toll_messages(r, c->at + 5, end, &left, &type);
		else if (!c->epoch)
			toll_charge(r, c->at, end, 0, -1, NOTHING);
		else
			toll_sealed(r, i, c->at, end);
		if (c->epoch && r->old && i + 1 < r->n) /* the next one's IV */
			toll_sealed(r, i + 1, c->at, end);
		for (size_t k = 0; k <= c->epoch; k++)
			if (c->type != 20 && c->type != 22 && (k < c->epoch || r->after[r->dir][k]))
				r->after[r->dir][k] += (long)(c->next - c->at);
			else if (k == c->epoch && !c->finished && !r->after[r->dir][k])
				r->after[r->dir][k] = 1; /* it has begun */
	}
}

static void toll_tell(const struct reading *r, const struct flow *flow, size_t length)
{
	for (size_t k = 1; k <= r->packets; k++) {
		struct toll sum = { { 0, 0 }, { 0, 0 } };
		int prelude = 0;

		for (size_t i = k; i < k + length && i <= r->packets; i++)
			prelude |= r->prelude[i];
		for (size_t i = k; i < k + length && i <= r->packets; i++)
			for (int dir = 0; dir < 2; dir++) {
				long b = r->toll[i].bytes[dir], s = r->toll[i].stream[dir];
				size_t vital = r->vital[i];

				if (vital != NOTHING) {
					b = vital ? b + r->after[dir][vital] : -1;
					s = -1;
				}
				if (r->strange || prelude == 3) /* nothing tells TLS from it */
					b = s = -1;
				sum.bytes[dir] = b < 0 || sum.bytes[dir] < 0 ? -1 : sum.bytes[dir] + b;
				sum.stream[dir] = s < 0 || sum.stream[dir] < 0 ? -1 : sum.stream[dir] + s;
			}
		if (sum.bytes[0] || sum.bytes[1] || sum.stream[0] || sum.stream[1])
			printf("toll %d %zu %ld %ld %ld %ld\n", flow->id[33] << 8 | flow->id[34], k,
			       sum.bytes[0], sum.bytes[1], sum.stream[0], sum.stream[1]);
	}
}

/* length: so many packets are lost at a time. */
static void toll_flow(size_t flow, size_t length)
{
	uint32_t seq;
	uint8_t flags;
	const uint8_t *payload;
	struct tube tube[2] = { { .n = 0 }, { .n = 0 } };
	struct reading r = { .packets = flows[flow - 1].n };

	for (size_t i = 0; i < packets_n; i++)
		if (packets[i].flow == flow)
			toll_fill(&tube[!packets[i].client], &packets[i], length);
	r.toll = need(calloc(r.packets + 1, sizeof *r.toll));
	r.vital = need(calloc(r.packets + 1, sizeof *r.vital));
	for (size_t k = 0; k <= r.packets; k++)
		r.vital[k] = NOTHING;
	r.prelude = need(calloc(r.packets + 1, sizeof *r.prelude));
	for (int dir = 0; dir < 2; dir++) {
		size_t n = toll_begin(&tube[dir], dir);

		for (size_t i = 0; i < n; i++)
			r.prelude[tube[dir].owner[i] <= r.packets ? tube[dir].owner[i] : 0] |= 1 << dir;
		toll_skip(&tube[dir], n);
	}
	if (tube[1].n)
		toll_hello(&r, tube[1].bytes, tube[1].n);
	/* An ephemeral key is another one every time: nothing that was said before helps. */
	for (size_t i = 0; r.ems && i + 9 < tube[1].n && tube[1].bytes[i] == 22;
	     i += 5 + (size_t)(tube[1].bytes[i + 3] << 8 | tube[1].bytes[i + 4]))
		r.kx |= tube[1].bytes[i + 5] == 12;
	for (r.dir = 0; r.dir < 2; r.dir++) {
		r.t = &tube[r.dir];
		toll_cut(&r);
		if (!r.strange)
			toll_stream(&r);
	}
	/* A lost FIN counts as a byte. */
	for (size_t i = 0; i < packets_n; i++) {
		long *stream;

		if (packets[i].flow != flow)
			continue;
		stream = &r.toll[packets[i].number].stream[!packets[i].client];
		(void)toll_payload(&packets[i], &seq, &flags, &payload);
		*stream += flags & 1;
	}
	toll_tell(&r, &flows[flow - 1], length);
	for (int dir = 0; dir < 2; dir++) {
		free(tube[dir].bytes);
		free(tube[dir].owner);
	}
	free(r.cuts);
	free(r.prelude);
	free(r.vital);
	free(r.toll);
}
