/* tunnel: packets in packets. MPLS, PPPoE, 802.1ah; GRE with ERSPAN I, II and III; over
 * UDP VXLAN, Geneve and GTP-U. (IP in IP needs no header of its own: decode_ip.c.)
 * Part of the decoder, see net/layer.h; each function stands behind what announced the
 * tunnel and goes on to the segment inside, or gives the reason why there is none. */
#ifndef LP_NET_TUNNEL_H
#define LP_NET_TUNNEL_H

#include "net/layer.h"

enum lp_drop lp_tunnel_mpls(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);
enum lp_drop lp_tunnel_pppoe(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);
enum lp_drop lp_tunnel_pbb(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);
enum lp_drop lp_tunnel_gre(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);

/* UDP, a tunnel or not (LP_DROP_UDP). */
enum lp_drop lp_tunnel_udp(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);

#endif
