/* What a sender may do so that somebody who listens hears something else than the receiver
 * (Ptacek and Newsham 1998, and what came after). Each case is a script for the client's
 * side of a connection; D is the data that a Linux receiver gets, all of it and nothing
 * else, which the test against the kernel (tests/interop/one.sh, evasion) proves anew.
 *
 * Words, separated by blanks; places count from 1, the first byte of D:
 *	1:d100x50d50   a segment (PSH, ACK) at place 1: 100 bytes of D, 50 of junk, 50 of D
 *	               (those that belong there); u is an urgent byte, which D does not have
 *	1:d100,MOD…    the same, but:  sum, ipsum (wrong checksums)  zerosum  rst  syn  fin  urg=N
 *	               noack  null (no flags)  ack=+N (of what was never sent)  ts=-N (timestamp)
 *	               nots  doff=N  ihl=N  iplen=N (added to the length)  md5 (RFC 2385 option)
 *	               pad=N (behind the packet)  ttl=N  vlan=N  lost (only who listens sees it)
 *	               twice  again (once more, other MAC addresses, a TTL less)  isn=N (added)
 *	               frag=N  fragr=N (reversed)  fragt=N (each twice)  fragl=N (last first)
 *	               fragx=N (with one that overlaps: the datagram is dropped)
 *	hs             SYN, SYN-ACK, ACK      S  SYN alone      H  the SYN-ACK, then ACK
 *	4, 6           with this version of IP only
 *	T              timestamps are used    isn=HEX  the first sequence number
 *	a=N            the receiver says that it has what is below N
 *	w=MS           time passes
 *	rest=N         D from place N to its end, in order
 *	fin            the end, of both sides
 *	got=N          only the first N bytes of D are received (then the script goes on)
 *	close          the end; what follows is another connection with the same ports
 * The third column is what limpid may do instead of handing out D; NULL: nothing else.
 * Its counter or note must then say so. */
#define OVERLAP "overlap-conflict"

{ "in-order", "hs 1:d100 101:d100 201:d300 rest=501 fin", NULL },
{ "one-byte-segments", "hs 1:d1 2:d1 3:d1 4:d1 5:d1 6:d1 7:d1 8:d1 9:d1 10:d1 rest=11 fin", NULL },
{ "adjacent-swap", "hs 101:d100 1:d100 rest=201 fin", NULL },
{ "reversed", "hs 501:d100 401:d100 301:d100 201:d100 101:d100 1:d100 rest=601 fin", NULL },
{ "alternating", "hs 101:d100 301:d100 501:d100 1:d100 201:d100 401:d100 rest=601 fin", NULL },
{ "everything-twice", "hs 1:d100,twice 101:d100,twice 201:d100,twice rest=301 fin", NULL },
{ "seen-on-both-legs", "hs 1:d100,again 101:d100,again 201:d100,again rest=301 fin", NULL },
{ "retransmitted", "hs 1:d100 101:d100 1:d100 101:d100 rest=201 fin", NULL },
{ "retransmitted-coalesced", "hs 1:d100 101:d100 1:d300 rest=301 fin", NULL },
{ "retransmitted-in-pieces", "hs 101:d200 1:d50 51:d50 101:d70 171:d130 rest=301 fin", NULL },
{ "keepalive", "hs 1:d100 100: 100:x1 a=101 101:d100 rest=201 fin", NULL },
{ "same-bytes-over-each-other",
  "hs 101:d100 151:d100 51:d100 201:d200 101:d300 1:d60 rest=401 fin", NULL },

/* Over what was delivered: the receiver has it, and keeps it. */
{ "old-exact", "hs 1:d100 1:x100 rest=101 fin", NULL },
{ "old-longer", "hs 1:d100 1:x100d100 rest=201 fin", NULL },
{ "old-straddling", "hs 1:d100 51:x50d100 rest=201 fin", NULL },
{ "old-inside", "hs 1:d300 101:x100 rest=301 fin", NULL },
{ "old-acknowledged", "hs 1:d300 a=301 1:x300 101:x100 rest=301 fin", NULL },
{ "old-last-byte", "hs 1:d100 100:x1d100 rest=201 fin", NULL },

/* Over what waits above a hole. */
{ "ooo-exact", "hs 101:d100 101:x100 1:d100 rest=201 fin", NULL },
{ "ooo-same-start-longer", "hs 101:x100 101:d200 1:d100 rest=301 fin", NULL },
{ "ooo-same-start-shorter", "hs 101:d200 101:x100 1:d100 rest=301 fin", NULL },
{ "ooo-from-the-left", "hs 151:x50d50 101:d100 1:d100 rest=251 fin", NULL },
{ "ooo-from-the-right", "hs 101:d100 151:x50d50 1:d100 rest=251 fin", NULL },
{ "ooo-around", "hs 151:x50 101:d200 1:d100 rest=301 fin", NULL },
{ "ooo-inside", "hs 101:d200 151:x50 1:d100 rest=301 fin", NULL },
{ "ooo-same-end-inside", "hs 101:d100 151:x50 1:d100 rest=201 fin", NULL },
{ "ooo-same-end-around", "hs 151:x50 101:d100 1:d100 rest=201 fin", NULL },
{ "ooo-over-two", "hs 121:x30 171:x30 101:d150 1:d100 rest=251 fin", NULL },
{ "ooo-over-one-and-a-half", "hs 121:x30 201:x50d50 101:d150 1:d100 rest=301 fin", NULL },
{ "ooo-between-two", "hs 101:d50 201:d50 141:x10d60 1:d100 rest=251 fin", NULL },
{ "ooo-three-layers", "hs 201:x50d50 151:x50d100 101:d150 1:d100 rest=301 fin", NULL },
{ "fill-over-what-waits", "hs 101:x50d50 1:d150 rest=201 fin", NULL },
{ "fill-over-all-that-waits", "hs 101:x50 171:x20 1:d300 rest=301 fin", NULL },
/* (With TLS the first bytes are a record's header.) */
{ "fill-over-a-header", "hs 3:x3 1:d100 rest=101 fin", NULL },
{ "ooo-header-longer", "hs 2:x4 2:d99 1:d1 rest=101 fin", NULL },
{ "ooo-header-from-the-left", "hs 3:x10 2:d99 1:d1 rest=101 fin", NULL },
{ "header-byte-by-byte", "hs 5:d1 3:x1 2:d1 4:d1 3:d1 5:x1 1:d5 rest=6 fin", OVERLAP },
{ "fill-in-two-steps", "hs 201:d100 101:x50d50 51:d100 1:d50 rest=301 fin", NULL },

/* Sequence numbers. */
{ "below-the-window", "hs 1:d100 -5000:x100 -100:x50 101:d100 rest=201 fin", NULL },
{ "far-above-the-window", "hs 1:d100 a=101 3000000:x100 500000000:x100 101:d100 rest=201 fin", NULL },
{ "half-the-space-away", "hs 1:d100 2147483000:x100 -2147483000:x100 101:d100 rest=201 fin", NULL },
{ "wrap", "isn=ffffff9b hs 1:d100 101:d100 rest=201 fin", NULL },
{ "wrap-reversed", "isn=ffffff38 hs 301:d100 201:d100 101:d100 1:d100 rest=401 fin", NULL },
{ "wrap-with-junk", "isn=ffffff38 hs 201:x50d50 151:d100 101:d50 1:d100 1:x100 rest=301 fin", NULL },
{ "wrap-at-the-syn", "isn=ffffffff hs 101:d100 1:d100 rest=201 fin", NULL },

/* Checksums and lengths: who listens must drop what the receiver drops. */
{ "bad-tcp-checksum", "hs 1:x100,sum 1:d100 101:x100,sum rest=101 fin", NULL },
{ "bad-tcp-checksum-ahead", "hs 201:x100,sum 101:d100 1:d100 rest=201 fin", NULL },
{ "no-tcp-checksum", "hs 1:x100,zerosum 1:d100 rest=101 fin", NULL },
{ "bad-ip-checksum", "hs 1:x100,ipsum 1:d100 rest=101 fin", NULL },
{ "bad-checksum-rst", "hs 1:d100 101:,rst,sum rest=101 fin", NULL },
{ "bad-checksum-fin", "hs 1:d100 101:,fin,sum rest=101 fin", NULL },
{ "bad-checksum-syn", "hs 1:d100 7777:,syn,sum rest=101 fin", NULL },
{ "header-too-short", "hs 1:x100,doff=4 1:d100 rest=101 fin", NULL },
{ "header-of-no-length", "hs 1:x100,doff=0 1:d100 rest=101 fin", NULL },
{ "header-past-the-end", "hs 1:x8,doff=15 1:d100 rest=101 fin", NULL },
{ "ip-header-too-short", "hs 1:x100,ihl=4 1:d100 rest=101 fin", NULL },
{ "ip-length-too-long", "hs 1:x100,iplen=20 1:d100 rest=101 fin", "cut" },
{ "padding", "hs 1:d100,pad=6 101:d100,pad=46 rest=201 fin", NULL },

/* Flags. */
{ "no-ack-flag", "hs 1:x100,noack 1:d100 rest=101 fin", NULL },
{ "no-flags", "hs 1:x100,null 1:d100 rest=101 fin", NULL },
{ "no-ack-fin", "hs 1:d100 101:,noack,fin rest=101 fin", NULL },
{ "syn-established", "hs 1:d100 101:,syn 5000:,syn,noack rest=101 fin", NULL },
{ "syn-with-data-established", "hs 1:d100 101:x100,syn 100:x100,syn rest=101 fin", NULL },
{ "syn-far-established", "hs 1:d100 90000000:,syn,noack rest=101 fin", NULL },
{ "ack-of-what-was-never-sent", "hs 1:x100,ack=+100000 1:d100 rest=101 fin", OVERLAP },
{ "ack-far-ahead", "hs 1:x100,ack=+1000000000 1:d100 rest=101 fin", OVERLAP },
{ "ack-long-past", "hs 1:x100,ack=-1000000000 1:d100 rest=101 fin", OVERLAP },
{ "md5-option", "hs 1:x100,md5 1:d100 rest=101 fin", NULL },

/* Urgent: without SO_OOBINLINE the byte is not in the stream. */
{ "urgent", "hs 1:d100u1d50,urg=101 rest=152 fin", NULL },
{ "urgent-first", "hs 1:u1d100,urg=1 rest=102 fin", NULL },
{ "urgent-last", "hs 1:d100u1,urg=101 rest=102 fin", NULL },
{ "urgent-alone", "hs 1:d100 101:u1,urg=1 rest=102 fin", NULL },
{ "urgent-out-of-order", "hs 101:d50u1d49,urg=51 1:d100 rest=201 fin", NULL },
{ "urgent-beyond-the-segment", "hs 1:d100,urg=500 101:d399u1d100 rest=601 fin", "urgent" },
{ "urgent-zero", "hs 1:u1d100,urg=0 rest=102 fin", NULL },

/* Resets. */
{ "rst-exact", "hs 1:d100 101:,rst got=100 101:x100", NULL },
{ "rst-in-window", "hs 1:d100 200:,rst 1000:,rst,noack rest=101 fin", NULL },
{ "rst-below", "hs 1:d100 -100:,rst 1:,rst rest=101 fin", NULL },
{ "rst-out-of-window", "hs 1:d100 50000000:,rst rest=101 fin", NULL },
{ "rst-md5", "hs 1:d100 101:,rst,md5 rest=101 fin", NULL },
{ "rst-with-data-in-window", "hs 1:d100 150:x50,rst rest=101 fin", NULL },

/* Ends. */
{ "fin-ahead", "hs 1:d100 301:,fin 101:d200 got=300", NULL },
{ "fin-with-data-first", "hs 101:d100,fin 1:d100 got=200", NULL },
{ "data-behind-fin", "hs 1:d100 101:,fin 102:x100 got=100", NULL },
{ "fin-out-of-window", "hs 1:d100 90000000:,fin rest=101 fin", NULL },
{ "fin-below", "hs 1:d100 50:,fin 101:d100 rest=201 fin", NULL },

/* Beginnings. */
{ "syn-data", "S,x50 H 1:d100 rest=101 fin", NULL },
{ "syn-data-right", "S,d50 H 1:d100 rest=101 fin", NULL },
{ "syn-again", "S S H 1:d100 rest=101 fin", NULL },
{ "syn-another-isn", "S S,isn=500000 H 1:d100 rest=101 fin", NULL },
{ "syn-fin", "S,fin,isn=90000 S H 1:d100 rest=101 fin", NULL },
{ "syn-rst", "S,rst,isn=90000 S H 1:d100 rest=101 fin", NULL },
{ "syn-bad-checksum", "S,sum,isn=90000 S H 1:d100 rest=101 fin", NULL },
{ "data-with-the-third-ack", "S H,d100 rest=101 fin", NULL },
{ "rst-before-syn", "1:,rst S H 1:d100 rest=101 fin", NULL },
{ "data-before-syn", "1:x100 S H 1:d100 rest=101 fin", OVERLAP },
{ "reuse", "hs 1:d100 101:x50 close isn=77777777 hs 1:d100 rest=101 fin", NULL },

/* Timestamps (RFC 7323). */
{ "timestamps", "T hs 1:d100 101:d100 rest=201 fin", NULL },
{ "paws", "T hs 1:d100 101:x100,ts=-100000 rest=101 fin", NULL },
{ "paws-ahead", "T hs 1:d100 201:x100,ts=-100000 101:d100 rest=201 fin", NULL },
{ "paws-half-the-space", "T hs 1:d100 101:x100,ts=-2000000000 rest=101 fin", NULL },
{ "paws-fin", "T hs 1:d100 101:,fin,ts=-100000 rest=101 fin", NULL },
{ "timestamp-far-ahead-of-old-data", "T hs 1:d100 1:x50,ts=+5000 101:d100 rest=201 fin", NULL },
{ "timestamp-missing", "T hs 1:d100,nots 101:d100 rest=201 fin", NULL },

/* Fragments. */
{ "fragments", "hs 1:d200,frag=64 rest=201 fin", NULL },
{ "fragments-reversed", "hs 1:d200,fragr=64 rest=201 fin", NULL },
{ "fragments-tiny", "4 hs 1:d60,frag=8 61:d60,fragr=8 rest=121 fin", NULL },
{ "fragments-six-without-a-tcp-header", "6 hs 1:x60,frag=16 1:d60 rest=61 fin", NULL },
{ "fragments-twice", "hs 1:d200,fragt=64 rest=201 fin", NULL },
{ "fragments-last-first", "hs 1:d200,fragl=64 rest=201 fin", NULL },
{ "fragments-overlap", "hs 1:x200,fragx=64 1:d200 rest=201 fin", NULL },
{ "fragments-bad-checksum", "hs 1:x200,frag=64,sum 1:d200 rest=201 fin", NULL },

/* Who listens sees more than the receiver does: nothing tells the copies apart. */
{ "ttl-too-short", "hs 101:x100,ttl=1,lost 101:d100 1:d100 rest=201 fin", OVERLAP },
{ "ttl-too-short-in-order", "hs 1:x100,ttl=1,lost 1:d100 rest=101 fin", OVERLAP },
{ "ttl-too-short-rst", "hs 1:d100 101:,rst,ttl=1,lost rest=101 fin", "closed_flow" },

/* One packet on two VLANs. */
{ "vlan-tagged", "hs 1:d100,vlan=5 rest=101 fin", NULL },
