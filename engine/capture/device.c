/* A device, by libpcap. Packets are copied out of the kernel's ring, because one
 * batch outlives the callback that brings each of them. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <limits.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <linux/if_packet.h>
#include <sys/socket.h>
#endif

#include "base/clock.h"
#include "base/log.h"
#include "capture/source.h"

enum {
	WAIT_MS = 20,         /* how long the kernel gathers packets */
	ARENA_SIZE = 1 << 20, /* bytes of one batch; room for LP_MAX_CAPLEN a few times */
};

struct device {
	struct lp_capture base;
	pcap_t *pcap;
	uint32_t link;
	uint32_t unit; /* nanoseconds */
	size_t used;   /* of arena */
	struct lp_wire *p;
	size_t n, max;
	uint64_t since_ns; /* earlier packets do not count */
	uint32_t dropped, if_dropped; /* what libpcap said last; its counts wrap */
	char name[LP_NAME_SIZE];
	uint8_t arena[ARENA_SIZE];
};

static void take(unsigned char *user, const struct pcap_pkthdr *h, const unsigned char *data)
{
	struct device *d = (struct device *)(void *)user;
	struct lp_wire *p = &d->p[d->n];
	uint64_t ts_ns = (uint64_t)h->ts.tv_sec * LP_NS_PER_S + (uint64_t)h->ts.tv_usec * d->unit;
	uint32_t caplen = h->caplen < LP_MAX_CAPLEN ? h->caplen : LP_MAX_CAPLEN;

	if (ts_ns < d->since_ns)
		return;
	if (d->n == d->max || ARENA_SIZE - d->used < caplen) {
		d->base.stats.kernel_drop++; /* a library that does not break off at once */
		return;
	}
	memcpy(d->arena + d->used, data, caplen);
	*p = (struct lp_wire){
		.data = d->arena + d->used,
		.caplen = caplen,
		.len = h->len < caplen ? caplen : h->len,
		.ts_ns = ts_ns,
		.link = d->link,
	};
	d->used += caplen;
	d->n++;
	if (ARENA_SIZE - d->used < LP_MAX_CAPLEN)
		pcap_breakloop(d->pcap);
}

static enum lp_err device_read(struct lp_capture *c, struct lp_wire *p, size_t max, size_t *n)
{
	struct device *d = (struct device *)c;
	int rc;

	d->p = p;
	d->n = d->used = 0;
	d->max = max = max < INT_MAX ? max : INT_MAX;
	do {
		rc = pcap_dispatch(d->pcap, (int)max, take, (unsigned char *)d);
	} while (rc == PCAP_ERROR_BREAK && !d->n); /* a break left over from the last batch */
	*n = d->n;
	if (rc >= 0 || rc == PCAP_ERROR_BREAK)
		return LP_OK;
	snprintf(c->why, LP_WHY_SIZE, "%.128s: %.300s", d->name, pcap_geterr(d->pcap));
	return LP_E_IO;
}

static int device_fd(const struct lp_capture *c)
{
	return pcap_get_selectable_fd(((const struct device *)c)->pcap);
}

static void device_stats(struct lp_capture *c, struct lp_capture_stats *out)
{
	struct device *d = (struct device *)c;
	struct pcap_stat s;

	if (pcap_stats(d->pcap, &s))
		return;
	out->kernel_drop += s.ps_drop - d->dropped;
	out->if_drop += s.ps_ifdrop - d->if_dropped;
	d->dropped = s.ps_drop;
	d->if_dropped = s.ps_ifdrop;
}

static void device_close(struct lp_capture *c)
{
	struct device *d = (struct device *)c;

	if (d->pcap)
		pcap_close(d->pcap);
}

static const struct lp_capture_ops device_ops = {
	.live = true,
	.read = device_read,
	.fd = device_fd,
	.stats = device_stats,
	.close = device_close,
};

static enum lp_err activate(struct device *d, const struct lp_capture_config *config, char *why)
{
	uint32_t snaplen = config->snaplen ? config->snaplen : LP_MAX_CAPLEN;
	uint32_t buffer = config->buffer_bytes < INT_MAX ? config->buffer_bytes : INT_MAX;
	int rc;

	(void)pcap_set_snaplen(d->pcap, snaplen < LP_MAX_CAPLEN ? (int)snaplen : LP_MAX_CAPLEN);
	(void)pcap_set_promisc(d->pcap, config->promiscuous);
	(void)pcap_set_timeout(d->pcap, WAIT_MS);
	if (buffer)
		(void)pcap_set_buffer_size(d->pcap, (int)buffer);
	(void)pcap_set_tstamp_precision(d->pcap, PCAP_TSTAMP_PRECISION_NANO);
	rc = pcap_activate(d->pcap);
	if (rc >= 0) /* above 0: a warning, such as no promiscuous mode on "any" */
		return LP_OK;
	switch (rc) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		snprintf(why, LP_WHY_SIZE, "%s: no such device", d->name);
		return LP_E_NOENT;
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		snprintf(why, LP_WHY_SIZE,
			 "%s: not permitted to capture (needs root or CAP_NET_RAW)", d->name);
		return LP_E_IO;
	case PCAP_ERROR_IFACE_NOT_UP:
		snprintf(why, LP_WHY_SIZE, "%s: the device is down", d->name);
		return LP_E_IO;
	case PCAP_ERROR:
		snprintf(why, LP_WHY_SIZE, "%.128s: %.300s", d->name, pcap_geterr(d->pcap));
		return LP_E_IO;
	default:
		snprintf(why, LP_WHY_SIZE, "%s: %s", d->name, pcap_statustostr(rc));
		return LP_E_IO;
	}
}

static enum lp_err set_filter(struct device *d, const char *expression, char *why)
{
	struct bpf_program program;
	enum lp_err err = LP_OK;

	if (pcap_compile(d->pcap, &program, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		lp_filter_why(why, expression, pcap_geterr(d->pcap));
		return LP_E_ARG;
	}
	if (pcap_setfilter(d->pcap, &program)) {
		lp_filter_why(why, expression, pcap_geterr(d->pcap));
		err = LP_E_IO;
	}
	pcap_freecode(&program);
	return err;
}

/* What follows activation: the "any" device in its newer form, which tells the
 * interface; the clock's unit; never waiting in a read. */
static enum lp_err settle(struct device *d, const struct lp_capture_config *config, char *why)
{
	char text[PCAP_ERRBUF_SIZE] = "";

	if (pcap_datalink(d->pcap) == DLT_LINUX_SLL)
		(void)pcap_set_datalink(d->pcap, DLT_LINUX_SLL2);
	d->link = lp_capture_link((uint32_t)pcap_datalink(d->pcap));
	d->unit = pcap_get_tstamp_precision(d->pcap) == PCAP_TSTAMP_PRECISION_NANO
			  ? 1
			  : LP_NS_PER_US;
	if (pcap_setnonblock(d->pcap, 1, text) < 0) {
		snprintf(why, LP_WHY_SIZE, "%.128s: %.300s", d->name, text);
		return LP_E_IO;
	}
	return config->filter ? set_filter(d, config->filter, why) : LP_OK;
}

enum lp_err lp_capture_open_device(struct lp_capture **out, const char *name,
				   const struct lp_capture_config *config, char *why)
{
	static const struct lp_capture_config none = { .filter = NULL };
	struct device *d = calloc(1, sizeof *d);
	char text[PCAP_ERRBUF_SIZE] = "";
	enum lp_err err;

	*out = NULL;
	if (!d) {
		snprintf(why, LP_WHY_SIZE, "%s", lp_err_text(LP_E_NOMEM));
		return LP_E_NOMEM;
	}
	d->base.ops = &device_ops;
	d->base.shared = config ? config->number : NULL;
	lp_text_escape(d->name, sizeof d->name, name, strlen(name));
	config = config ? config : &none;
	d->pcap = pcap_create(name, text);
	if (d->pcap) {
		err = activate(d, config, why);
	} else {
		snprintf(why, LP_WHY_SIZE, "%.128s: %.300s", d->name, text);
		err = LP_E_IO;
	}
	if (!err)
		err = settle(d, config, why);
	if (err)
		lp_capture_close(&d->base);
	else
		*out = &d->base;
	return err;
}

/* ---- several handles ---- */

#ifdef PACKET_FANOUT_FLAG_UNIQUEID
/* By a hash that is the same for both directions, of the addresses and ports that the kernel
 * sees; fragments are put together before it. *group is 0 for the first, which gets one
 * that nobody else has. */
static enum lp_err join(struct device *d, uint32_t *group, char *why)
{
	const uint32_t how = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG;
	int fd = pcap_fileno(d->pcap);
	uint32_t value = *group ? *group : (how | PACKET_FANOUT_FLAG_UNIQUEID) << 16;
	socklen_t size = sizeof *group;

	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof value) ||
	    getsockopt(fd, SOL_PACKET, PACKET_FANOUT, group, &size)) {
		snprintf(why, LP_WHY_SIZE, "%.128s: the kernel does not share packets out: %s",
			 d->name, strerror(errno));
		return LP_E_UNSUPPORTED;
	}
	*group = (*group & 0xffff) | how << 16;
	return LP_OK;
}
#else
static enum lp_err join(struct device *d, uint32_t *group, char *why)
{
	(void)group;
	snprintf(why, LP_WHY_SIZE, "%.128s: this system does not share packets out", d->name);
	return LP_E_UNSUPPORTED;
}
#endif

enum lp_err lp_capture_open_fanout(struct lp_capture **out, size_t n, const char *name,
				   const struct lp_capture_config *config, char *why)
{
	enum lp_err err = LP_OK;
	uint64_t now;
	size_t i;
	uint32_t group = 0;

	for (i = 0; i < n && !err; i++) {
		err = lp_capture_open_device(&out[i], name, config, why);
		if (!err)
			err = join((struct device *)out[i], &group, why);
	}
	if (err) {
		for (size_t k = 0; k < i; k++)
			lp_capture_close(out[k]);
		memset(out, 0, n * sizeof *out);
		return err;
	}
	/* Before it had joined, each was given what others were given, too. */
	now = lp_clock_wall();
	for (i = 0; i < n; i++)
		((struct device *)out[i])->since_ns = now;
	return LP_OK;
}
