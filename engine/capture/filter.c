#define _DEFAULT_SOURCE
#include "capture/filter.h"

#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum { LINKS = 8 };

/* NULL and LOOP are not here: their four bytes are taken off and the rest is
 * IPV4 or IPV6, because libpcap cannot tell the byte order of NULL in a file
 * that it did not open. */
static const struct {
	uint32_t link;
	int dlt;
} links[LINKS] = {
	{ LP_LINK_ETHERNET, DLT_EN10MB }, { LP_LINK_RAW, DLT_RAW },
	{ LP_LINK_LINUX_SLL, DLT_LINUX_SLL }, { LP_LINK_LINUX_SLL2, DLT_LINUX_SLL2 },
	{ LP_LINK_IPV4, DLT_IPV4 }, { LP_LINK_IPV6, DLT_IPV6 },
	{ LP_LINK_IEEE802_11, DLT_IEEE802_11 }, { LP_LINK_RADIOTAP, DLT_IEEE802_11_RADIO },
};

struct lp_filter {
	bool good[LINKS];
	struct bpf_program program[LINKS];
	char why[LINKS][LP_WHY_SIZE]; /* where not good */
};

void lp_filter_why(char *why, const char *expression, const char *text)
{
	char name[256];

	lp_text_escape(name, sizeof name, expression, strlen(expression));
	snprintf(why, LP_WHY_SIZE, "filter \"%s\": %.200s", name, text);
}

static enum lp_err compile(struct lp_filter *f, size_t i, const char *expression)
{
	pcap_t *dead = pcap_open_dead(links[i].dlt, LP_MAX_CAPLEN);

	if (!dead)
		return LP_E_NOMEM;
	if (pcap_compile(dead, &f->program[i], expression, 1, PCAP_NETMASK_UNKNOWN) == 0)
		f->good[i] = true;
	else
		lp_filter_why(f->why[i], expression, pcap_geterr(dead));
	pcap_close(dead);
	return LP_OK;
}

enum lp_err lp_filter_new(struct lp_filter **out, const char *expression, char *why)
{
	struct lp_filter *f = calloc(1, sizeof *f);
	enum lp_err err = f ? LP_OK : LP_E_NOMEM;
	bool any = false;

	*out = NULL;
	for (size_t i = 0; i < LINKS && !err; i++) {
		err = compile(f, i, expression);
		any |= f->good[i];
	}
	if (err) {
		snprintf(why, LP_WHY_SIZE, "filter: %s", lp_err_text(err));
	} else if (!any) {
		snprintf(why, LP_WHY_SIZE, "%s", f->why[0]);
		err = LP_E_ARG;
	}
	if (err)
		lp_filter_free(f);
	else
		*out = f;
	return err;
}

void lp_filter_free(struct lp_filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < LINKS; i++)
		if (f->good[i])
			pcap_freecode(&f->program[i]);
	free(f);
}

static size_t index_of(uint32_t link)
{
	size_t i = 0;

	if (link == LP_LINK_NULL || link == LP_LINK_LOOP)
		link = LP_LINK_RAW;
	while (i < LINKS && links[i].link != link)
		i++;
	return i;
}

enum lp_err lp_filter_check(const struct lp_filter *f, uint32_t link, char *why)
{
	size_t i = index_of(link);

	if (i == LINKS || f->good[i])
		return LP_OK;
	snprintf(why, LP_WHY_SIZE, "%s", f->why[i]);
	return LP_E_ARG;
}

bool lp_filter_match(const struct lp_filter *f, const struct lp_wire *p)
{
	size_t i = index_of(p->link);
	bool family = p->link == LP_LINK_NULL || p->link == LP_LINK_LOOP;
	uint32_t off = !family ? 0 : p->caplen < 4 ? p->caplen : 4;
	struct pcap_pkthdr header = {
		.ts = { .tv_sec = (time_t)(p->ts_ns / LP_NS_PER_S) },
		.caplen = p->caplen - off,
		.len = p->len - off,
	};

	if (i == LINKS)
		return true;
	return f->good[i] && pcap_offline_filter(&f->program[i], &header, p->data + off);
}
