/* Two HMACs at once by intel-ipsec-mb, from the states that an HMAC of openssl_hash.c keeps.
 * Where a processor has instructions for SHA, one hash leaves most of it idle: each of its steps
 * needs the one before. The library's other ways, without those instructions, are for eight
 * messages and more, and slower than libcrypto with two.
 *
 * What it keeps of keys stands in memory of ours, which is secret. */
#include <intel-ipsec-mb.h>

#include "base/secret.h"
#include "crypto/openssl_hash.h"

#if IMB_VERSION_NUM < IMB_VERSION(1, 3, 0)
#error "intel-ipsec-mb 1.3 or later is needed; IPSEC_MB=0 builds without it"
#endif

struct lp_two {
	IMB_MGR *manager; /* in the memory behind */
	_Alignas(64) uint8_t memory[];
};

static size_t size_of_two(void)
{
	return sizeof(struct lp_two) + imb_get_mb_mgr_size();
}

enum lp_err lp_ossl_two_new(struct lp_two **out)
{
	const uint64_t need = IMB_FEATURE_SHANI | IMB_CPUFLAGS_SSE;
	struct lp_two *t;

	*out = NULL;
	if ((imb_get_feature_flags() & need) != need)
		return LP_E_UNSUPPORTED;
	t = lp_secret_alloc(size_of_two());
	if (!t)
		return LP_E_NOMEM;
	t->manager = imb_set_pointers_mb_mgr(t->memory, 0, 1);
	if (t->manager)
		init_mb_mgr_sse(t->manager);
	if (!t->manager || imb_get_errno(t->manager)) {
		lp_ossl_two_free(t);
		return LP_E_UNSUPPORTED;
	}
	*out = t;
	return LP_OK;
}

void lp_ossl_two_free(struct lp_two *t)
{
	lp_secret_free(t, size_of_two());
}

enum lp_err lp_ossl_mac_two(struct lp_two *t, enum lp_digest digest, const struct lp_mac_job job[2])
{
	const IMB_HASH_ALG hash = digest == LP_SHA1 ? IMB_AUTH_HMAC_SHA_1 : IMB_AUTH_HMAC_SHA_256;
	const uint32_t *inner, *outer;
	IMB_JOB two[2];

	for (int i = 0; i < 2; i++) {
		if (job[i].bytes.n < LP_TWO_LEAST ||
		    !lp_ossl_mac_pads(job[i].mac, digest, &inner, &outer))
			return LP_E_UNSUPPORTED;
		two[i] = (IMB_JOB){
			.cipher_mode = IMB_CIPHER_NULL,
			.chain_order = IMB_ORDER_HASH_CIPHER,
			.hash_alg = hash,
			.src = job[i].bytes.p,
			.msg_len_to_hash_in_bytes = job[i].bytes.n,
			.auth_tag_output = job[i].out,
			.auth_tag_output_len_in_bytes = lp_digest_size(digest),
			.u.HMAC._hashed_auth_key_xor_ipad = (const uint8_t *)inner,
			.u.HMAC._hashed_auth_key_xor_opad = (const uint8_t *)outer,
		};
	}
	if (IMB_SUBMIT_HASH_BURST(t->manager, two, 2, hash) != 2 ||
	    two[0].status != IMB_STATUS_COMPLETED || two[1].status != IMB_STATUS_COMPLETED)
		return LP_E_UNSUPPORTED;
	return LP_OK;
}
