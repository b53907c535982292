#include "crypto/ec.h"

#include <mbedtls/ecp.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/der.h"
#include "crypto/mbedtls_int.h"

#define CURVE(oid, name, bits, id) \
	{ { (const uint8_t *)(oid), sizeof(oid) - 1 }, name, bits, (bits + 7) / 8, false, id }
#define MONTGOMERY(oid, name, bits, id) \
	{ { (const uint8_t *)(oid), sizeof(oid) - 1 }, name, bits, (bits + 7) / 8, true, id }

static const struct lp_ec_curve curves[] = {
	CURVE("\x2a\x86\x48\xce\x3d\x03\x01\x07", "P-256", 256, MBEDTLS_ECP_DP_SECP256R1),
	CURVE("\x2b\x81\x04\x00\x22", "P-384", 384, MBEDTLS_ECP_DP_SECP384R1),
	CURVE("\x2b\x81\x04\x00\x23", "P-521", 521, MBEDTLS_ECP_DP_SECP521R1),
	CURVE("\x2b\x81\x04\x00\x0a", "secp256k1", 256, MBEDTLS_ECP_DP_SECP256K1),
	CURVE("\x2b\x81\x04\x00\x21", "P-224", 224, MBEDTLS_ECP_DP_SECP224R1),
	CURVE("\x2a\x86\x48\xce\x3d\x03\x01\x01", "P-192", 192, MBEDTLS_ECP_DP_SECP192R1),
	CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x07", "brainpoolP256r1", 256, MBEDTLS_ECP_DP_BP256R1),
	CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x0b", "brainpoolP384r1", 384, MBEDTLS_ECP_DP_BP384R1),
	CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x0d", "brainpoolP512r1", 512, MBEDTLS_ECP_DP_BP512R1),
	MONTGOMERY("\x2b\x65\x6e", "X25519", 255, MBEDTLS_ECP_DP_CURVE25519),
	MONTGOMERY("\x2b\x65\x6f", "X448", 448, MBEDTLS_ECP_DP_CURVE448),
};

const struct lp_ec_curve *lp_ec_curve_find(lp_span oid)
{
	for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
		if (oid.n == curves[i].oid.n && !memcmp(oid.p, curves[i].oid.p, oid.n))
			return &curves[i];
	return NULL;
}

/* RFC 7748 section 5: the bits that every private number has set or clear. */
static int read_montgomery(mbedtls_mpi *out, const struct lp_ec_curve *curve, lp_span d)
{
	uint8_t *k;
	int ret;

	if (d.n != curve->size)
		return MBEDTLS_ERR_ECP_INVALID_KEY;
	k = lp_secret_alloc(d.n);
	if (!k)
		return MBEDTLS_ERR_ECP_ALLOC_FAILED;
	memcpy(k, d.p, d.n);
	if (curve->bits == 255) {
		k[0] &= 0xf8;
		k[31] = (uint8_t)((k[31] & 0x7f) | 0x40);
	} else {
		k[0] &= 0xfc;
		k[55] |= 0x80;
	}
	/* mbedtls_mpi_read_binary_le() came after 2.28's API was settled. */
	for (size_t i = 0; i < d.n / 2; i++) {
		const uint8_t byte = k[i];

		k[i] = k[d.n - 1 - i];
		k[d.n - 1 - i] = byte;
	}
	ret = mbedtls_mpi_read_binary(out, k, d.n);
	lp_secret_free(k, d.n);
	return ret;
}

static enum lp_err err_of(int ret)
{
	if (!ret)
		return LP_OK;
	return ret == MBEDTLS_ERR_MPI_ALLOC_FAILED || ret == MBEDTLS_ERR_ECP_ALLOC_FAILED ?
		       LP_E_NOMEM :
		       LP_E_FORMAT;
}

enum lp_err lp_ec_public(const struct lp_ec_curve *curve, lp_span d, uint8_t pub[LP_EC_POINT_MAX],
			 size_t *n)
{
	mbedtls_ecp_group group;
	mbedtls_ecp_point q;
	mbedtls_mpi k;
	int ret;

	mbedtls_ecp_group_init(&group);
	mbedtls_ecp_point_init(&q);
	mbedtls_mpi_init(&k);
	ret = mbedtls_ecp_group_load(&group, (mbedtls_ecp_group_id)curve->id);
	if (!ret)
		ret = curve->montgomery ? read_montgomery(&k, curve, d) :
					  mbedtls_mpi_read_binary(&k, d.p, d.n);
	if (!ret)
		ret = mbedtls_ecp_check_privkey(&group, &k);
	if (!ret)
		ret = mbedtls_ecp_mul(&group, &q, &k, &group.G, lp_mbedtls_random, NULL);
	if (!ret)
		ret = mbedtls_ecp_point_write_binary(&group, &q, MBEDTLS_ECP_PF_UNCOMPRESSED, n,
						     pub, LP_EC_POINT_MAX);
	mbedtls_mpi_free(&k);
	mbedtls_ecp_point_free(&q);
	mbedtls_ecp_group_free(&group);
	return err_of(ret);
}

/* d·point, as 04 ‖ X ‖ Y. That the point lies on the curve is what keeps d secret. */
static int multiply(const struct lp_ec_curve *curve, lp_span d, lp_span point, uint8_t *out)
{
	mbedtls_ecp_group group;
	mbedtls_ecp_point q;
	mbedtls_mpi k;
	size_t n;
	int ret;

	mbedtls_ecp_group_init(&group);
	mbedtls_ecp_point_init(&q);
	mbedtls_mpi_init(&k);
	ret = mbedtls_ecp_group_load(&group, (mbedtls_ecp_group_id)curve->id);
	if (!ret)
		ret = mbedtls_mpi_read_binary(&k, d.p, d.n);
	if (!ret)
		ret = mbedtls_ecp_point_read_binary(&group, &q, point.p, point.n);
	if (!ret)
		ret = mbedtls_ecp_check_pubkey(&group, &q);
	if (!ret)
		ret = mbedtls_ecp_mul(&group, &q, &k, &q, lp_mbedtls_random, NULL);
	if (!ret)
		ret = mbedtls_ecp_point_write_binary(&group, &q, MBEDTLS_ECP_PF_UNCOMPRESSED, &n,
						     out, LP_EC_POINT_MAX);
	mbedtls_mpi_free(&k);
	mbedtls_ecp_point_free(&q);
	mbedtls_ecp_group_free(&group);
	return ret;
}

enum lp_err lp_ec_agree(lp_span key, lp_span point, uint8_t out[LP_EC_SIZE_MAX], size_t *n)
{
	struct lp_cursor top = lp_cursor_span(key);
	struct lp_cursor c = lp_der_enter(&top, LP_DER_SEQUENCE);
	const uint32_t version = lp_der_u32(&c);
	const lp_span d = lp_der_take(&c, LP_DER_OCTET_STRING);
	struct lp_cursor params = lp_der_enter(&c, LP_DER_CONTEXT);
	const struct lp_ec_curve *curve = lp_ec_curve_find(lp_der_take(&params, LP_DER_OID));
	uint8_t *shared;
	enum lp_err err;

	if (c.bad || params.bad || version != 1 || !curve || curve->montgomery ||
	    point.n != 1 + 2 * (size_t)curve->size || point.p[0] != 4)
		return LP_E_FORMAT;
	shared = lp_secret_alloc(LP_EC_POINT_MAX);
	if (!shared)
		return LP_E_NOMEM;
	err = err_of(multiply(curve, d, point, shared));
	*n = curve->size;
	if (!err)
		memcpy(out, shared + 1, *n);
	lp_secret_free(shared, LP_EC_POINT_MAX);
	return err;
}
