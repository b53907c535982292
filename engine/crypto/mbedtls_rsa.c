/* RSA by mbedTLS. The private operation is blinded and its result is checked by
 * the library; unpadding is the warden's. */
#include "crypto/mbedtls_int.h"

#include <errno.h>
#include <mbedtls/rsa.h>
#include <sys/random.h>

#include "base/secret.h"
#include "crypto/der.h"

struct lp_rsa {
	mbedtls_rsa_context rsa;
};

int lp_mbedtls_random(void *unused, unsigned char *out, size_t n)
{
	(void)unused;
	while (n) {
		ssize_t got = getrandom(out, n, 0);

		if (got < 0 && errno != EINTR)
			return MBEDTLS_ERR_RSA_RNG_FAILED;
		if (got > 0) {
			out += got;
			n -= (size_t)got;
		}
	}
	return 0;
}

/* RSAPrivateKey of RFC 8017 appendix A.1.2, two primes. */
struct parts {
	lp_span n, e, d, p, q, dp, dq, qinv;
};

static enum lp_err read_parts(struct parts *k, lp_span der)
{
	struct lp_cursor top = lp_cursor_span(der);
	struct lp_cursor c = lp_der_enter(&top, LP_DER_SEQUENCE);
	const uint32_t version = lp_der_u32(&c);

	if (!c.bad && version)
		return LP_E_UNSUPPORTED;
	k->n = lp_der_unsigned(&c);
	k->e = lp_der_unsigned(&c);
	k->d = lp_der_unsigned(&c);
	k->p = lp_der_unsigned(&c);
	k->q = lp_der_unsigned(&c);
	k->dp = lp_der_unsigned(&c);
	k->dq = lp_der_unsigned(&c);
	k->qinv = lp_der_unsigned(&c);
	if (lp_cursor_end(&c) || lp_cursor_end(&top))
		return LP_E_FORMAT;
	return LP_OK;
}

static int same_number(const mbedtls_mpi *have, lp_span want, mbedtls_mpi *scratch)
{
	int ret = mbedtls_mpi_read_binary(scratch, want.p, want.n);

	if (ret)
		return ret;
	return mbedtls_mpi_cmp_mpi(have, scratch) ? MBEDTLS_ERR_RSA_KEY_CHECK_FAILED : 0;
}

/* mbedTLS derives the CRT numbers anew; libcrypto takes those of the file. They
 * must be the same, or the two providers would disagree on a damaged key. */
static int check_crt(const mbedtls_rsa_context *rsa, const struct parts *k)
{
	mbedtls_mpi dp, dq, qp, scratch;
	int ret;

	mbedtls_mpi_init(&dp);
	mbedtls_mpi_init(&dq);
	mbedtls_mpi_init(&qp);
	mbedtls_mpi_init(&scratch);
	ret = mbedtls_rsa_export_crt(rsa, &dp, &dq, &qp);
	if (!ret)
		ret = same_number(&dp, k->dp, &scratch);
	if (!ret)
		ret = same_number(&dq, k->dq, &scratch);
	if (!ret)
		ret = same_number(&qp, k->qinv, &scratch);
	mbedtls_mpi_free(&dp);
	mbedtls_mpi_free(&dq);
	mbedtls_mpi_free(&qp);
	mbedtls_mpi_free(&scratch);
	return ret;
}

enum lp_err lp_mbedtls_rsa_new(lp_span der, struct lp_rsa **out)
{
	struct parts k;
	struct lp_rsa *r;
	enum lp_err err = read_parts(&k, der);
	int ret;

	*out = NULL;
	if (err)
		return err;
	if (k.n.n > MBEDTLS_MPI_MAX_SIZE)
		return LP_E_UNSUPPORTED;
	/* No number of the key is longer than the modulus. */
	if (k.e.n > k.n.n || k.d.n > k.n.n || k.p.n > k.n.n || k.q.n > k.n.n ||
	    k.dp.n > k.n.n || k.dq.n > k.n.n || k.qinv.n > k.n.n)
		return LP_E_MISMATCH;
	r = lp_secret_alloc(sizeof *r);
	if (!r)
		return LP_E_NOMEM;
#if MBEDTLS_VERSION_MAJOR == 2
	mbedtls_rsa_init(&r->rsa, MBEDTLS_RSA_PKCS_V15, 0);
#else
	mbedtls_rsa_init(&r->rsa);
#endif
	ret = mbedtls_rsa_import_raw(&r->rsa, k.n.p, k.n.n, k.p.p, k.p.n, k.q.p, k.q.n, k.d.p,
				     k.d.n, k.e.p, k.e.n);
	if (!ret)
		ret = mbedtls_rsa_complete(&r->rsa);
	/* n = p·q, e·d = 1 modulo p-1 and q-1. */
	if (!ret)
		ret = mbedtls_rsa_check_privkey(&r->rsa);
	if (!ret)
		ret = check_crt(&r->rsa, &k);
	if (!ret) {
		*out = r;
		return LP_OK;
	}
	lp_mbedtls_rsa_free(r);
	return ret == MBEDTLS_ERR_MPI_ALLOC_FAILED ? LP_E_NOMEM : LP_E_MISMATCH;
}

enum lp_err lp_mbedtls_rsa_private(struct lp_rsa *r, const uint8_t *in, uint8_t *out)
{
	int ret = mbedtls_rsa_private(&r->rsa, lp_mbedtls_random, NULL, in, out);

	if (!ret)
		return LP_OK;
	lp_wipe(out, mbedtls_rsa_get_len(&r->rsa));
	/* The library adds its own code to that of the bignum code. */
	if (ret == MBEDTLS_ERR_RSA_PRIVATE_FAILED + MBEDTLS_ERR_MPI_ALLOC_FAILED ||
	    ret == MBEDTLS_ERR_MPI_ALLOC_FAILED)
		return LP_E_NOMEM;
	return LP_E_FORMAT;
}

void lp_mbedtls_rsa_free(struct lp_rsa *r)
{
	if (!r)
		return;
	mbedtls_rsa_free(&r->rsa);
	lp_secret_free(r, sizeof *r);
}
