/* pcap: the clear bytes as TCP conversations that an IDS accepts.
 *
 *     -w FILE      -o pcap:FILE[,port=N][,time=us|ns]      pcap:- for standard output
 *
 * Only flows that gave clear bytes are written, beginning with a handshake at the
 * time of the first of them. Every data segment is acknowledged at once, for an IDS
 * looks at acknowledged bytes only. A gap is a jump of the sequence number that the
 * peer acknowledges too; one above GAP_MAX ends the conversation with a RST and the
 * next bytes begin another. port=N maps the server's port, for rules that are bound
 * to one. A packet is as old as the packet that carried its bytes, but time never
 * goes back. Where packets could not be written (see lp_sink), a conversation that
 * goes on begins again with a handshake, as it does in the new file of a rotation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "plugins/frame.h"
#include "plugins/plugins.h"
#include "plugins/sink.h"
#include "plugins/states.h"

enum {
	GAP_MAX = 1024 * 1024,   /* bytes; within the window that both sides offer */
	FILE_HEADER = 24,
	PACKET_HEADER = 16,
	SNAPLEN = 262144,
	LINK_ETHERNET = 1,
};

struct pcap {
	const struct lp_host *host;
	struct lp_sink sink;
	struct lp_states flows;
	uint16_t port;           /* 0: as on the wire */
	int nanoseconds;
	uint64_t last_ns;        /* of the packet written last */
	uint32_t stamp[2];       /* the same as the file has it: seconds, and the rest */
};

struct flow {
	struct lp_state state;
	struct lp_frame_way way[2]; /* from each side */
	int open;                /* the handshake is written, the end is not */
	uint32_t runs;           /* conversations begun under these addresses and ports */
	uint64_t breaks;         /* of the sink, when the conversation began */
	uint32_t next[2];        /* sequence number each side sends next */
	uint64_t before[2];      /* clear bytes lost before the conversation began */
};

static int say(const struct lp_host *host, const char *key, const char *value)
{
	char line[256];

	snprintf(line, sizeof line, "unknown option %.80s=%.80s (pcap has port=1-65535, time=us|ns)",
		 key, value);
	host->log(host, line);
	return -1;
}

static int read_options(struct pcap *p, const struct lp_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *key = options[i].key, *value = options[i].value;

		if (!strcmp(key, "port")) {
			char *end;
			unsigned long port = strtoul(value, &end, 10);

			if (*value < '1' || *value > '9' || *end || port > 65535)
				return say(p->host, key, value);
			p->port = (uint16_t)port;
		} else if (!strcmp(key, "time") && (!strcmp(value, "ns") || !strcmp(value, "us"))) {
			p->nanoseconds = *value == 'n';
		} else {
			return say(p->host, key, value);
		}
	}
	return 0;
}

/* Fields in the byte order of this machine: that is what the magic is there for. */
static int write_file_header(struct pcap *p)
{
	uint32_t magic = p->nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4;
	uint16_t version[2] = { 2, 4 };
	uint32_t rest[4] = { 0, 0, SNAPLEN, LINK_ETHERNET };
	uint8_t header[FILE_HEADER];

	memcpy(header, &magic, 4);
	memcpy(header + 4, version, 4);
	memcpy(header + 8, rest, 16);
	return lp_sink_header(&p->sink, header, sizeof header);
}

static int pcap_open(void **self, const struct lp_host *host, const char *arg,
		     const struct lp_option *options, size_t options_n)
{
	struct pcap *p;

	if (!arg || !*arg) {
		host->log(host, "needs a file: pcap:FILE, or pcap:- for standard output");
		return -1;
	}
	p = calloc(1, sizeof *p);
	if (!p) {
		host->log(host, "out of memory");
		return -1;
	}
	p->host = host;
	if (read_options(p, options, options_n) || lp_sink_open(&p->sink, host, arg, "packet")) {
		free(p);
		return -1;
	}
	/* A reader at the end of a pipe waits for the header. */
	if (write_file_header(p)) {
		lp_sink_close(&p->sink);
		free(p);
		return -1;
	}
	*self = p;
	return 0;
}

static void stamp_time(struct pcap *p, const struct lp_stamp *at)
{
	uint64_t ns = at->carried_ns ? at->carried_ns : at->ts_ns;

	if (ns <= p->last_ns)
		return;
	p->last_ns = ns;
	p->stamp[0] = (uint32_t)(ns / LP_NS_PER_S);
	p->stamp[1] = (uint32_t)(ns % LP_NS_PER_S / (p->nanoseconds ? 1 : LP_NS_PER_US));
}

static enum lp_dir peer_of(enum lp_dir dir)
{
	return dir == LP_C2S ? LP_S2C : LP_C2S;
}

/* One packet from side `from`, with what it says and acknowledges now. */
static int write_packet(struct pcap *p, struct flow *flow, enum lp_dir from, uint8_t flags,
			const uint8_t *payload, size_t n)
{
	const struct lp_frame_way *way = &flow->way[from];
	const struct lp_frame f = {
		.seq = flow->next[from],
		.ack = flags & LP_FRAME_ACK ? flow->next[peer_of(from)] : 0,
		.flags = flags,
		.payload = payload,
		.payload_n = n,
	};
	const uint32_t length = (uint32_t)lp_frame_length(way, &f);
	const uint32_t header[PACKET_HEADER / 4] = { p->stamp[0], p->stamp[1], length, length };
	uint8_t *out;

	flow->next[from] += (uint32_t)n + (flags & (LP_FRAME_SYN | LP_FRAME_FIN) ? 1 : 0);
	if (lp_sink_room(&p->sink, sizeof header + length, &out))
		return -1;
	if (out) {
		memcpy(out, header, sizeof header);
		lp_frame_write(out + sizeof header, way, &f);
	}
	return lp_sink_end(&p->sink);
}

/* The start of a sequence: the same in every replay, another in every run. */
static uint32_t first_sequence(const struct lp_flow_info *info, const struct flow *flow,
			       enum lp_dir side)
{
	uint64_t x = info->flow_id + flow->runs * 2ULL + (uint64_t)side;

	x *= 0x9e3779b97f4a7c15ULL;
	return (uint32_t)(x >> 32);
}

/* Bytes that are lost: the sender goes on behind them, the peer acknowledges. */
static int jump(struct pcap *p, struct flow *flow, enum lp_dir dir, uint64_t lost)
{
	flow->next[dir] += (uint32_t)lost;
	return write_packet(p, flow, peer_of(dir), LP_FRAME_ACK, NULL, 0);
}

static void know_ways(const struct pcap *p, struct flow *flow, const struct lp_flow_info *info)
{
	const uint16_t port = p->port ? p->port : info->server_port;

	lp_frame_begin(&flow->way[LP_C2S], &(struct lp_frame_ends){
		info->family, info->client_addr, info->server_addr, info->client_port, port });
	lp_frame_begin(&flow->way[LP_S2C], &(struct lp_frame_ends){
		info->family, info->server_addr, info->client_addr, port, info->client_port });
}

static int begin(struct pcap *p, struct flow *flow, const struct lp_flow_info *info)
{
	const uint64_t lost = p->sink.lost;

	know_ways(p, flow, info);
	flow->breaks = p->sink.breaks;
	for (int d = 0; d < 2; d++)
		flow->next[d] = first_sequence(info, flow, (enum lp_dir)d);
	flow->runs++;
	flow->open = 1;
	if (write_packet(p, flow, LP_C2S, LP_FRAME_SYN, NULL, 0) ||
	    write_packet(p, flow, LP_S2C, LP_FRAME_SYN | LP_FRAME_ACK, NULL, 0) ||
	    write_packet(p, flow, LP_C2S, LP_FRAME_ACK, NULL, 0))
		return -1;
	for (int d = 0; d < 2; d++) {
		uint64_t before = flow->before[d];

		flow->before[d] = 0;
		if (before && before <= GAP_MAX && jump(p, flow, (enum lp_dir)d, before))
			return -1;
	}
	/* Live, a reader may be too slow for it: the next bytes begin again. */
	flow->open = p->sink.lost == lost;
	return 0;
}

/* Whether its conversation goes on in the file: after a fault of the sink nobody
 * knows how much of it is there. */
static int going_on(const struct pcap *p, const struct flow *flow)
{
	return flow->open && flow->breaks == p->sink.breaks;
}

static struct flow *flow_of(struct pcap *p, void **slot)
{
	if (!*slot)
		*slot = lp_states_new(&p->flows, sizeof(struct flow));
	if (!*slot)
		p->host->log(p->host, "out of memory");
	return *slot;
}

static int pcap_data(void *self, void **slot, void **session, const struct lp_flow_info *info,
		     const struct lp_session_info *tls, enum lp_dir dir, enum lp_data_kind kind,
		     const uint8_t *bytes, size_t n, const struct lp_stamp *at)
{
	const size_t mss = info->family == 6 ? LP_FRAME_MSS6 : LP_FRAME_MSS4;
	struct pcap *p = self;
	struct flow *flow;

	(void)session;
	(void)tls;
	if (!n || (kind == LP_DATA_CLEAR && !p->host->cleartext))
		return 0;
	flow = flow_of(p, slot);
	if (!flow)
		return -1;
	stamp_time(p, at);
	flow->open = going_on(p, flow);
	if (!flow->open && !p->sink.stopped && begin(p, flow, info))
		return -1;
	if (!flow->open) {
		flow->before[dir] += n;
		lp_sink_skip(&p->sink, 2 * ((n + mss - 1) / mss));
		return 0;
	}
	while (n) {
		size_t take = n < mss ? n : mss;

		if (write_packet(p, flow, dir, LP_FRAME_PSH | LP_FRAME_ACK, bytes, take) ||
		    write_packet(p, flow, peer_of(dir), LP_FRAME_ACK, NULL, 0))
			return -1;
		bytes += take;
		n -= take;
	}
	return 0;
}

static int pcap_gap(void *self, void **slot, void **session, const struct lp_flow_info *info,
		    const struct lp_session_info *tls, enum lp_dir dir,
		    const struct lp_gap_info *gap, const struct lp_stamp *at)
{
	struct pcap *p = self;
	struct flow *flow;

	(void)session;
	(void)info;
	if (!gap->clear_max || (!tls && !p->host->cleartext))
		return 0;
	flow = flow_of(p, slot);
	if (!flow)
		return -1;
	if (!going_on(p, flow)) {
		flow->open = 0;
		flow->before[dir] += gap->clear_max;
		return 0;
	}
	stamp_time(p, at);
	if (gap->clear_max <= GAP_MAX)
		return jump(p, flow, dir, gap->clear_max);
	flow->open = 0;
	return write_packet(p, flow, dir, LP_FRAME_RST | LP_FRAME_ACK, NULL, 0);
}

/* As it ended: a FIN of each side that sent one, a RST, or nothing. */
static int finish(struct pcap *p, struct flow *flow, const enum lp_end end[2])
{
	const uint8_t fin = LP_FRAME_FIN | LP_FRAME_ACK, rst = LP_FRAME_RST | LP_FRAME_ACK;

	for (enum lp_dir d = LP_C2S; d <= LP_S2C; d++) {
		if (end[d] != LP_END_FIN)
			continue;
		if (write_packet(p, flow, d, fin, NULL, 0) ||
		    write_packet(p, flow, peer_of(d), LP_FRAME_ACK, NULL, 0))
			return -1;
	}
	for (enum lp_dir d = LP_C2S; d <= LP_S2C; d++)
		if (end[d] == LP_END_RST)
			return write_packet(p, flow, d, rst, NULL, 0);
	return 0;
}

static int pcap_flow_end(void *self, void **slot, const struct lp_flow_info *info,
			 const enum lp_end end[2], const struct lp_stamp *at)
{
	struct pcap *p = self;
	struct flow *flow = *slot;
	int status = 0;

	(void)info;
	if (flow && going_on(p, flow)) {
		stamp_time(p, at);
		status = finish(p, flow, end);
	}
	lp_states_free(flow);
	*slot = NULL;
	return status;
}

static int pcap_tick(void *self, uint64_t now_ns)
{
	struct pcap *p = self;

	return lp_sink_tick(&p->sink, now_ns);
}

static int pcap_rotate(void *self)
{
	struct pcap *p = self;

	return lp_sink_reopen(&p->sink);
}

static int pcap_close(void *self, const struct lp_summary *summary)
{
	struct pcap *p = self;
	int status = lp_sink_close(&p->sink);

	(void)summary;
	while (p->flows.first)
		lp_states_free(p->flows.first);
	free(p);
	return status;
}

const struct lp_plugin lp_plugin_pcap = {
	.abi = LP_PLUGIN_ABI,
	.size = sizeof(struct lp_plugin),
	.name = "pcap",
	.wants = LP_WANT_DATA | LP_WANT_CLEARTEXT,
	.open = pcap_open,
	.data = pcap_data,
	.gap = pcap_gap,
	.flow_end = pcap_flow_end,
	.tick = pcap_tick,
	.rotate = pcap_rotate,
	.close = pcap_close,
};
