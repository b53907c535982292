#include "flowid.h"

#include <string.h>

static size_t address_size(const struct lp_stream_info *info)
{
	return info->family == 4 ? 4 : 16;
}

static size_t put(uint8_t *out, uint64_t value, size_t width)
{
	for (size_t i = 0; i < width; i++)
		out[i] = (uint8_t)(value >> 8 * (width - 1 - i));
	return width;
}

enum lp_err lp_flowid(const struct lp_crypto *crypto, const struct lp_stream_info *info,
		      enum lp_side client, uint64_t *out)
{
	size_t size = address_size(info);
	size_t c = (size_t)client, s = 1 - c;
	uint8_t text[16], hash[LP_DIGEST_MAX];
	lp_span parts[3] = { { info->addr[c], size }, { info->addr[s], size }, { text, 0 } };
	enum lp_err err;

	parts[2].n += put(text, info->port[c], 2);
	parts[2].n += put(text + parts[2].n, info->port[s], 2);
	parts[2].n += put(text + parts[2].n, info->domain, 4);
	parts[2].n += put(text + parts[2].n, info->first_number, 8);
	*out = 0;
	err = lp_digest_once(crypto, LP_SHA256, parts, 3, hash);
	for (size_t i = 0; !err && i < 7; i++)
		*out = *out << 8 | hash[i];
	*out &= (1ULL << 51) - 1;
	return err;
}

static void base64(char *out, const uint8_t *p, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)p[i + 1] << 8;
		if (i + 2 < n)
			v |= p[i + 2];
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*out = '\0';
}

enum lp_err lp_community_id(const struct lp_crypto *crypto, const struct lp_stream_info *info,
			    char out[LP_COMMUNITY_ID])
{
	enum { TCP = 6 };
	size_t size = address_size(info);
	int c = memcmp(info->addr[0], info->addr[1], size);
	size_t a = c < 0 || (!c && info->port[0] < info->port[1]) ? 0 : 1;
	uint8_t seed[2] = { 0, 0 }, tail[6] = { TCP, 0 }, hash[LP_DIGEST_MAX];
	const lp_span parts[4] = {
		{ seed, 2 }, { info->addr[a], size }, { info->addr[1 - a], size }, { tail, 6 }
	};
	enum lp_err err;

	(void)put(tail + 2, info->port[a], 2);
	(void)put(tail + 4, info->port[1 - a], 2);
	err = lp_digest_once(crypto, LP_SHA1, parts, 4, hash);
	memcpy(out, "1:", 3);
	if (err)
		out[0] = '\0';
	else
		base64(out + 2, hash, 20);
	return err;
}
