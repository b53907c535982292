#define _GNU_SOURCE
#include "net/nids_library.h"

#include <nids.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/sum.h"

enum {
	IP_HEADER = 20,
	PACKET_MAX = 65535,
	LINK_RAW = 12, /* DLT_RAW */
};

/* libnids' callbacks do not say whose they are: this stands beside its globals. */
static struct {
	atomic_bool taken;
	const struct lp_nids_events *events;
	void *user;
	pcap_t *dead;
	bool broken;
	struct pcap_pkthdr header; /* libnids keeps a pointer to it */
	jmp_buf out_of_memory;
	uint8_t packet[PACKET_MAX];
} nids;

static void be_quiet(int type, int err, struct ip *ip, void *data)
{
	(void)type;
	(void)err;
	(void)ip;
	(void)data;
}

/* Must not return: libnids would go on with a null pointer. */
static void no_memory(char *where)
{
	(void)where;
	longjmp(nids.out_of_memory, 1);
}

static void on_half(struct tcp_stream *s, enum lp_side side, const struct half_stream *to)
{
	/* Everything was consumed each time, so what is new stands at the front. */
	if (to->count_new > 0)
		nids.events->data(nids.user, s->user, side, (const uint8_t *)to->data,
				  (uint32_t)to->count_new);
}

static void on_event(struct tcp_stream *s, void **unused)
{
	(void)unused;
	switch (s->nids_state) {
	case NIDS_JUST_EST:
		s->client.collect++;
		s->server.collect++;
		s->user = nids.events->opened(nids.user, s);
		break;
	case NIDS_DATA: /* "of the client" is what the client receives */
		on_half(s, LP_B2A, &s->client);
		on_half(s, LP_A2B, &s->server);
		break;
	case NIDS_CLOSE:
		nids.events->ended(nids.user, s->user, LP_WHY_FIN);
		break;
	case NIDS_RESET:
		nids.events->ended(nids.user, s->user, LP_WHY_RST);
		break;
	case NIDS_TIMED_OUT:
		/* Its table is larger than its user's, so it evicts nothing: this is its
		 * way out of a hole that both FINs have passed. */
		nids.events->ended(nids.user, s->user, LP_WHY_STALLED);
		break;
	default: /* NIDS_EXITING: streams were forgotten before that */
		break;
	}
}

enum lp_err lp_nids_start(const struct lp_nids_events *events, void *user, uint32_t max_flows)
{
	static struct nids_chksum_ctl no_checksums = { 0, 0, NIDS_DONT_CHKSUM, 0 };

	if (atomic_exchange(&nids.taken, true))
		return LP_E_UNSUPPORTED;
	nids.events = events;
	nids.user = user;
	nids.broken = true;
	nids.dead = pcap_open_dead(LINK_RAW, PACKET_MAX);
	if (!nids.dead)
		goto out;
	nids_params.device = NULL;
	nids_params.filename = NULL;
	nids_params.pcap_filter = NULL;
	nids_params.pcap_desc = nids.dead;
	/* It uses three quarters of them. */
	nids_params.n_tcp_streams = (int)((uint64_t)max_flows * 4 / 3 + 4);
	nids_params.scan_num_hosts = 0;
	nids_params.sk_buff_size = -600000;
	nids_params.multiproc = 0;
	nids_params.tcp_workarounds = 1;
	nids_params.tcp_flow_timeout = 0;
	nids_params.syslog = be_quiet;
	nids_params.no_mem = no_memory;
	if (setjmp(nids.out_of_memory) || !nids_init())
		goto out;
	nids_register_chksum_ctl(&no_checksums, 1);
	nids_register_tcp(on_event);
	nids.broken = false;
	return LP_OK;
out:
	lp_nids_stop();
	return LP_E_NOMEM;
}

void lp_nids_stop(void)
{
	if (!nids.broken) {
		nids_unregister_tcp(on_event); /* nids_exit() leaks it otherwise */
		nids_exit();
	}
	if (nids.dead)
		pcap_close(nids.dead);
	nids.dead = NULL;
	nids_params.pcap_desc = NULL;
	atomic_store(&nids.taken, false);
}

enum lp_err lp_nids_feed(const uint8_t *src, const uint8_t *dst, lp_span tcp, uint64_t ts_ns)
{
	static const uint8_t model[IP_HEADER] = { [0] = 0x45, [8] = 64, [9] = 6 };
	uint8_t *p = nids.packet;
	uint32_t total = IP_HEADER + (uint32_t)tcp.n;
	uint16_t sum;

	if (nids.broken || tcp.n > LP_NIDS_TCP_MAX)
		return nids.broken ? LP_E_NOMEM : LP_E_UNSUPPORTED;
	memcpy(p, model, IP_HEADER);
	p[2] = (uint8_t)(total >> 8);
	p[3] = (uint8_t)total;
	memcpy(p + 12, src, 4);
	memcpy(p + 16, dst, 4);
	sum = (uint16_t)~lp_sum_fold(lp_sum_add(0, p, IP_HEADER));
	memcpy(p + 10, &sum, 2);
	memcpy(p + IP_HEADER, tcp.p, tcp.n);
	nids.header.ts.tv_sec = (time_t)(ts_ns / LP_NS_PER_S);
	nids.header.ts.tv_usec = (suseconds_t)(ts_ns % LP_NS_PER_S / LP_NS_PER_US);
	nids.header.caplen = total;
	nids.header.len = total;
	if (setjmp(nids.out_of_memory)) {
		nids.broken = true;
		return LP_E_NOMEM;
	}
	nids_pcap_handler(NULL, &nids.header, nids.packet);
	return LP_OK;
}

bool lp_nids_waits(const struct tcp_stream *stream, enum lp_side side)
{
	return side == LP_A2B ? stream->server.list : stream->client.list;
}

void lp_nids_forget(struct tcp_stream *stream)
{
	if (!nids.broken)
		nids_free_tcp_stream(stream);
}

void lp_nids_forget_half(const uint8_t *src, const uint8_t *dst, uint16_t sport, uint16_t dport)
{
	struct tuple4 name = { .source = sport, .dest = dport };
	struct tcp_stream *stream;

	memcpy(&name.saddr, src, 4);
	memcpy(&name.daddr, dst, 4);
	stream = nids.broken ? NULL : nids_find_tcp_stream(&name);
	if (stream)
		nids_free_tcp_stream(stream);
}
