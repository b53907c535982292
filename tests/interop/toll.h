/* What a lost packet may cost at most: for hurt.c, of whose packets and flows it speaks.
 *
 * Both streams of a connection are put together as they were sent, and cut into records. A
 * packet may cost the records of application data that it has a byte of, which no other
 * packet brings; in TLS 1.0 and below the next one, too, whose IV it is. Of the handshake:
 * all, where a hello or the ClientKeyExchange cannot be read without it; else nothing. Where
 * there are several handshakes, or something else than TLS, nothing is said. */
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

static void toll_fill(struct tube *t, const struct packet *p)
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
		t->owner[from + i] = t->owner[from + i] == SIZE_MAX ? p->number : MANY;
		t->bytes[from + i] = at[i];
	}
	if (from + n > t->n)
		t->n = from + n;
}

struct reading {
	struct toll *toll; /* by number of the packet */
	size_t packets;
	const struct tube *t;
	int dir;
	int ems, kx, old, compressed, strange; /* of the connection */
};

/* What stands from..to may cost so much. all: the session. */
static void toll_charge(struct reading *r, size_t from, size_t to, long bytes, long stream, int all)
{
	size_t last = 0;

	for (size_t i = from; i < to && i < r->t->n; i++) {
		size_t k = r->t->owner[i];
		struct toll *toll = &r->toll[k <= r->packets ? k : 0];

		if (k == last || k > r->packets)
			continue;
		last = k;
		if (all)
			toll->bytes[0] = toll->bytes[1] = toll->stream[0] = toll->stream[1] = -1;
		if (toll->bytes[r->dir] >= 0)
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

	toll_charge(r, from, end, 0, -1, r->ems && r->kx);
	for (size_t m = at; m < end;) {
		size_t n;
		int vital;

		if (!*left) {
			if (end - m < 4) {
				toll_charge(r, from, end, 0, -1, 1);
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
			toll_charge(r, from, m + n, 0, -1, 1);
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

static void toll_stream(struct reading *r)
{
	const struct tube *t = r->t;
	size_t at = 0, left = 0, finished = 0, len, next;
	int sealed = 0;
	uint8_t type = 0;

	for (; at + 5 <= t->n; at = next) {
		const uint8_t *h = t->bytes + at;

		len = (size_t)(h[3] << 8 | h[4]);
		next = at + 5 + len;
		if (h[0] < 20 || h[0] > 24 || h[1] != 3) {
			r->strange = 1;
			break;
		}
		if (!sealed && h[0] == 22) {
			toll_messages(r, at + 5, next < t->n ? next : t->n, &left, &type);
			continue;
		}
		if (sealed && r->old && next + 5 <= t->n) { /* the next one's IV */
			size_t more = (size_t)(t->bytes[next + 3] << 8 | t->bytes[next + 4]);

			toll_charge(r, at, next, (long)more, (long)more + 5, 0);
		}
		if (!sealed) {
			sealed = h[0] == 20;
			toll_charge(r, at, next, 0, -1, 0);
		} else if (h[0] == 22 && !finished) {
			finished = 1;
			toll_charge(r, at, next, 0, -1, r->compressed);
		} else if (h[0] == 22 || h[0] == 20) {
			r->strange = 1; /* another handshake */
		} else {
			toll_charge(r, at, next, (long)len, (long)len + 5, r->compressed);
		}
	}
}

static void toll_flow(size_t flow)
{
	uint32_t seq;
	uint8_t flags;
	const uint8_t *payload;
	struct tube tube[2] = { { .n = 0 }, { .n = 0 } };
	struct reading r = { .packets = flows[flow - 1].n };
	struct toll *tolls = need(calloc(r.packets + 1, sizeof *tolls));

	for (size_t i = 0; i < packets_n; i++)
		if (packets[i].flow == flow)
			toll_fill(&tube[!packets[i].client], &packets[i]);
	r.toll = tolls;
	if (tube[1].n)
		toll_hello(&r, tube[1].bytes, tube[1].n);
	/* An ephemeral key is another one every time: nothing that was said before helps. */
	for (size_t i = 0; r.ems && i + 9 < tube[1].n && tube[1].bytes[i] == 22;
	     i += 5 + (size_t)(tube[1].bytes[i + 3] << 8 | tube[1].bytes[i + 4]))
		r.kx |= tube[1].bytes[i + 5] == 12;
	for (r.dir = 0; r.dir < 2; r.dir++) {
		r.t = &tube[r.dir];
		toll_stream(&r);
	}
	/* A lost FIN counts as a byte. */
	for (size_t i = 0; i < packets_n; i++) {
		long *stream = &tolls[packets[i].number].stream[!packets[i].client];

		if (packets[i].flow == flow && toll_payload(&packets[i], &seq, &flags, &payload) &&
		    flags & 1 && *stream > 0)
			++*stream;
	}
	for (size_t k = 1; k <= r.packets; k++) {
		const struct toll *t = &tolls[k];

		if (r.strange)
			printf("toll %d %zu -1 -1 -1 -1\n", flows[flow - 1].id[33] << 8 | flows[flow - 1].id[34], k);
		else if (t->bytes[0] || t->bytes[1] || t->stream[0] || t->stream[1])
			printf("toll %d %zu %ld %ld %ld %ld\n", flows[flow - 1].id[33] << 8 | flows[flow - 1].id[34],
			       k, t->bytes[0], t->bytes[1], t->stream[0], t->stream[1]);
	}
	for (int dir = 0; dir < 2; dir++) {
		free(tube[dir].bytes);
		free(tube[dir].owner);
	}
	free(tolls);
}
