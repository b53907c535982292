/* What each handshake message teaches: the table of handshake.c points here. Only
 * handshake.c uses this. Each is called once its message is legal and stands in the
 * transcript; a fault sets hs->why. */
#ifndef LP_TLS_LEARN_H
#define LP_TLS_LEARN_H

#include "tls/handshake.h"

enum lp_err lp_learn_client_hello(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_server_hello(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_server_cert(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_client_cert(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_client_cert_url(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_cert_request(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_server_kx(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_client_kx(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_client_kx_no_cert(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_cert_verify(struct lp_handshake *hs, const struct lp_message *msg);
enum lp_err lp_learn_ticket(struct lp_handshake *hs, const struct lp_message *msg);

#endif
