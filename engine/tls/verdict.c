#include "tls/verdict.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define ON(verdict) (1u << (verdict))
#define DECRYPTED ON(LP_DECRYPTED)
#define PARTIAL ON(LP_PARTIAL)
#define OPAQUE ON(LP_OPAQUE)

/* X(name, code, classes, closed, meaning, advice, explain). Written for somebody who
 * has a capture, a key and a question, and has not read our code. */
#define REASONS(X)                                                                              \
	X(COMPLETE, "complete", DECRYPTED, false,                                               \
	  "everything that was seen of it was decrypted",                                       \
	  "",                                                                                   \
	  "Every application record that the capture holds of this session was opened,\n"       \
	  "and the MAC or tag of each of them verified: the bytes that came out are the\n"      \
	  "bytes that were sent. A session that carried no application data at all counts\n"    \
	  "as complete too.\n"                                                                  \
	  "\n"                                                                                  \
	  "Look at the notes beside the reason: \"truncated\" says that the peers did not\n"    \
	  "end it properly, so the last bytes may never have been sent.\n")                     \
	X(GAP, "gap", PARTIAL, false,                                                           \
	  "packets are missing from the capture, the rest was decrypted",                       \
	  "Look for drops at the capture point: the summary counts those of the kernel, a "     \
	  "switch counts those of its mirror port.",                                            \
	  "The capture does not hold every packet of this connection. limpid lost the\n"        \
	  "records that the missing bytes belonged to, found the start of the next record\n"    \
	  "behind the hole, and went on there. What came out before and after it is\n"          \
	  "authentic; the hole is reported to every output with its length.\n"                  \
	  "\n"                                                                                  \
	  "Evidence: the TCP sequence numbers jump, and the receiver acknowledged bytes\n"      \
	  "that the capture does not have, so they crossed the network but not the\n"           \
	  "sensor; or, live, a worker had no room for them in time, which the summary and\n"    \
	  "the counter drop.shed say.\n"                                                        \
	  "\n"                                                                                  \
	  "What to do: compare the kernel's and the interface's drop counters in the\n"         \
	  "summary; capture with a larger buffer; check that the mirror port is not\n"          \
	  "oversubscribed (both directions of a full link do not fit into one port of the\n"    \
	  "same speed).\n")                                                                     \
	X(GAP_NOT_RECOVERED, "gap-not-recovered", PARTIAL, true,                                \
	  "packets are missing, and nothing behind the hole opened",                            \
	  "Look for drops at the capture point; what was sent before the hole is complete.",    \
	  "The capture does not hold every packet of this connection. Up to the hole all\n"     \
	  "was decrypted. Behind it limpid found no record that opens: too much was lost\n"     \
	  "to know where records begin or how many of them are missing, or the cipher\n"        \
	  "cannot be taken up again in the middle. Nothing is guessed: bytes that cannot\n"     \
	  "be authenticated do not come out.\n"                                                 \
	  "\n"                                                                                  \
	  "What to do: as for \"gap\". The fewer packets are lost in one place, the more of\n"  \
	  "what follows can be had.\n")                                                         \
	X(RECORD_BAD, "record-bad", PARTIAL, true,                                              \
	  "a record failed its MAC or tag, or was none, and stayed closed",                     \
	  "Check the capture for damaged or doubled packets; with the note overlap-conflict "   \
	  "try the other policy with --overlap.",                                               \
	  "The keys are right, since earlier records opened with them, but one record's\n"      \
	  "MAC or tag did not verify although none of its bytes is missing, or bytes stood\n"   \
	  "there that are no record. So the bytes in the capture are not the bytes that\n"      \
	  "were sent. limpid goes on with the next record that authenticates, and never\n"      \
	  "hands out what does not. Of bytes that came twice and differed both copies were\n"   \
	  "tried, unless the second came when a whole record had failed with the first.\n"      \
	  "\n"                                                                                  \
	  "Usual causes: a device on the path that changed the stream, a capture that was\n"    \
	  "edited, retransmissions with different content (note \"overlap-conflict\"), or\n"    \
	  "damaged packets that were let through because checksums were not verified.\n"        \
	  "\n"                                                                                  \
	  "What to do: keep --checksums at auto or on; try --overlap bsd if the note says\n"    \
	  "that there were two versions of some bytes; capture closer to the server.\n")        \
	X(LATER_HANDSHAKE_CLOSED, "later-handshake-closed", PARTIAL, true,                      \
	  "the peers renegotiated, and the new keys are not to be had",                         \
	  "See which suite the second handshake chose: it needs a secret of its own.",          \
	  "The session was decrypted up to a renegotiation. In it the peers agreed on new\n"    \
	  "keys, and for those limpid has no secret: often the second handshake chose a\n"      \
	  "forward-secret suite, or another certificate than the first.\n"                      \
	  "\n"                                                                                  \
	  "What to do: read the detail for the reason that the second handshake itself\n"       \
	  "would have had, and look that one up with --explain.\n")                             \
	X(LIMIT, "limit", PARTIAL | OPAQUE, true,                                               \
	  "a limit of limpid's was reached",                                                    \
	  "The detail names the limit; each has an option that raises it.",                     \
	  "limpid bounds everything that a peer could make it hold: the length of a\n"          \
	  "handshake message, bytes that wait for a key, packets out of order,\n"               \
	  "connections at a time. This session ran into one of those bounds, which the\n"       \
	  "detail names. Ordinary traffic does not: somebody may be testing you, or the\n"      \
	  "machine has more to do than it was set up for.\n"                                    \
	  "\n"                                                                                  \
	  "What to do: the manual page has a table of the limits, with the option that\n"       \
	  "raises each.\n")                                                                     \
	X(NO_KEY, "no-key", OPAQUE, true,                                                       \
	  "no loaded key belongs to the server's certificate",                                  \
	  "Load the private key of that certificate with -k.",                                  \
	  "The session uses RSA key exchange, so the private key of the server's\n"             \
	  "certificate opens it; none of the keys given with -k is that key. limpid\n"          \
	  "matches keys by the certificate's public key, not by address or name, so a\n"        \
	  "renewed certificate with a new key needs the new key file, and the old one for\n"    \
	  "older captures.\n"                                                                   \
	  "\n"                                                                                  \
	  "Evidence: the detail names the certificate (subject and SHA-256). If the\n"          \
	  "server sent none that could be read, every RSA key of the right size was\n"          \
	  "tried.\n"                                                                            \
	  "\n"                                                                                  \
	  "What to do: find the key file that the server uses and load it with -k FILE or\n"    \
	  "-k DIRECTORY. This compares the two without showing the key:\n"                      \
	  "  openssl pkey -in key.pem -pubout -outform DER | sha256sum\n"                       \
	  "  openssl x509 -in cert.pem -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum\n") \
	X(FORWARD_SECRET, "forward-secret", OPAQUE, true,                                       \
	  "forward-secret key exchange: no server key opens it",                                \
	  "Have one endpoint log its secrets and give limpid the log with -l, or have the server " \
	  "prefer suites with RSA key exchange (TLS_RSA_WITH_...).",                            \
	  "The peers chose DHE or ECDHE. Each of them made a key for this one connection\n"     \
	  "and threw it away; the server's private key only signed. Nothing that a server\n"    \
	  "keeps in its files opens such a session: that is what forward secrecy is for.\n"     \
	  "\n"                                                                                  \
	  "What to do, if you are entitled to read it: let one of the endpoints log its\n"      \
	  "secrets (browsers, curl and many programs do when the environment variable\n"        \
	  "SSLKEYLOGFILE names a file) and give that file to limpid with -l; or, where\n"       \
	  "policy allows, let the server prefer suites that begin with TLS_RSA_WITH on the\n"   \
	  "path that you watch. Without the secrets of their time past captures stay closed.\n") \
	X(EXPORT_KEY, "export-key", OPAQUE, true,                                               \
	  "an EXPORT suite with a temporary RSA key",                                           \
	  "Turn EXPORT suites off: they protect nothing, and this key was thrown away. A key log " \
	  "(-l) would open it.",                                                                \
	  "The peers chose an EXPORT suite of the 1990s, and the server sent a temporary\n"     \
	  "RSA key of at most 512 or 1024 bits in its ServerKeyExchange. The premaster\n"       \
	  "secret is encrypted to that key, not to the one of the certificate, and it was\n"    \
	  "never written to a file.\n"                                                          \
	  "\n"                                                                                  \
	  "What to do: disable EXPORT suites on both sides. They can be broken by anybody\n"    \
	  "with a day of computing time, though not by limpid. A log of the endpoint's\n"       \
	  "secrets (-l) opens such a session like any other.\n")                                \
	X(STATIC_DH, "static-dh", OPAQUE, true,                                                 \
	  "static Diffie-Hellman of a kind that limpid has no keys for",                        \
	  "Give limpid a log of the session's secrets with -l, or have the server prefer suites " \
	  "with RSA key exchange (TLS_RSA_WITH_...).",                                          \
	  "The key exchange used fixed Diffie-Hellman keys from certificates: suites with\n"    \
	  "DH_RSA or DH_DSS in their name, or ECDH_ suites where the client's key is one of\n"  \
	  "a certificate too. limpid takes RSA and elliptic-curve keys of servers, so it\n"     \
	  "opens RSA suites and ECDH_ suites (-k), but not these. A log of one endpoint's\n"    \
	  "secrets (-l) does.\n"                                                                \
	  "\n"                                                                                  \
	  "Such suites are rare. The detail names the suite.\n")                                \
	X(PSK_UNKNOWN, "psk-unknown", OPAQUE, true,                                             \
	  "a pre-shared key that is not known",                                                 \
	  "Load the key of the identity that the detail names with --psk, or give limpid a log of " \
	  "the session's secrets with -l.",                                                     \
	  "The peers proved themselves to each other with a key that both had beforehand,\n"    \
	  "and that limpid has not. The client names it by an identity, which the detail\n"     \
	  "shows, with the hint that the server gave, if any.\n"                                \
	  "\n"                                                                                  \
	  "What to do: write a file with a line identity:hex for each key, readable by you\n"   \
	  "alone, and load it with --psk FILE. The identity must be the client's to the byte\n" \
	  "(#hex:hex for one that is no text). TLS_RSA_PSK suites need the server's RSA key\n"  \
	  "(-k) as well. Or give limpid a log of one endpoint's secrets (-l), which needs no\n" \
	  "pre-shared key.\n")                                                                             \
	X(SESSION_UNKNOWN, "session-unknown", OPAQUE, true,                                     \
	  "resumes an earlier session by its id",                                               \
	  "Start the capture before the session that it resumes, or give limpid a log of the "  \
	  "session's secrets with -l.",                                                         \
	  "This connection has no key exchange of its own. The peers took up the secret\n"      \
	  "of an earlier connection, which both have kept under a session id, so the\n"         \
	  "server's private key took no part in it. limpid remembers the secrets of the\n"      \
	  "connections that it opened; that one it has not seen, not opened, or forgotten.\n"   \
	  "\n"                                                                                  \
	  "Evidence: the server answered with the session id that the client sent, and\n"       \
	  "went on to ChangeCipherSpec without a certificate or key exchange.\n"                \
	  "\n"                                                                                  \
	  "What to do: capture from before the first connection of that client; or give\n"      \
	  "limpid a key log (-l), where the lines CLIENT_RANDOM and RSA Session-ID count; or,\n" \
	  "for the time of the analysis, turn resumption off on the server (nginx:\n"           \
	  "ssl_session_cache off; Apache: SSLSessionCache none).\n")                            \
	X(TICKET_UNKNOWN, "ticket-unknown", OPAQUE, true,                                       \
	  "resumes an earlier session by a ticket",                                             \
	  "Give limpid the server's session ticket key with -t, or start the capture before the " \
	  "session that it resumes, or give it a log of the session's secrets with -l.",        \
	  "This connection has no key exchange of its own. The client presented a session\n"    \
	  "ticket, which holds the secret of an earlier connection, encrypted by the\n"         \
	  "server for itself; the server's private key took no part in it. limpid remembers\n"  \
	  "the tickets that it saw being issued in the connections that it opened, and opens\n" \
	  "others with the server's ticket key; here it could do neither.\n"                    \
	  "\n"                                                                                  \
	  "Evidence: the client sent a ticket, and the server went on to ChangeCipherSpec\n"    \
	  "without a certificate or key exchange. Most servers begin a ticket with the name\n"  \
	  "of its key, which is also how the key file begins.\n"                                \
	  "\n"                                                                                  \
	  "What to do: give the file with -t that the server reads its ticket keys from\n"      \
	  "(nginx: ssl_session_ticket_key; Apache: SSLSessionTicketKeyFile; HAProxy:\n"         \
	  "tls-ticket-keys, or haproxy:SOCKET if keys are set while it runs; lighttpd:\n"       \
	  "ssl.stek-file; stunnel: ticketKeySecret and ticketMacSecret). A server that has\n"   \
	  "no such file makes up a key at each start and never writes it down: configure one,\n" \
	  "or capture from before the first connection of that client; or give limpid a key\n"  \
	  "log (-l); or, for the time of the analysis, turn tickets off on the server\n"        \
	  "(nginx: ssl_session_tickets off; Apache: SSLSessionTickets off).\n")                 \
	X(START_NOT_CAPTURED, "start-not-captured", OPAQUE, true,                               \
	  "the connection was already open when the capture began",                             \
	  "Start the capture before the connection, or make the client connect again.",         \
	  "The keys of a TLS connection are agreed on in its first packets. This\n"             \
	  "connection was older than the capture, so they are not in it, and no key can\n"      \
	  "make up for them.\n"                                                                 \
	  "\n"                                                                                  \
	  "What to do: start the capture first, or have the clients reconnect (restart\n"       \
	  "one of the two programs). Long-lived connections, to databases for example,\n"       \
	  "need this most.\n")                                                                  \
	X(HANDSHAKE_LOST, "handshake-lost", OPAQUE, true,                                       \
	  "packets of the handshake are missing from the capture",                              \
	  "Look for drops at the capture point, in bursts of new connections most of all.",     \
	  "The capture has this connection from its start, but packets of its handshake\n"      \
	  "are missing, and among them something that cannot be done without: one of the\n"     \
	  "two hellos with their random values, or the ClientKeyExchange. The detail says\n"    \
	  "which bytes were lost.\n"                                                            \
	  "\n"                                                                                  \
	  "What to do: as for \"gap\". A loss of one packet in a thousand closes about one\n"   \
	  "session in a hundred in this way.\n")                                                \
	X(HANDSHAKE_LOST_EMS, "handshake-lost-ems", OPAQUE, true,                               \
	  "handshake packets are missing, and EMS needs all of them",                           \
	  "Look for drops at the capture point; without Extended Master Secret this session "   \
	  "would have opened.",                                                                 \
	  "The peers agreed on Extended Master Secret (RFC 7627), which makes the keys\n"       \
	  "depend on every byte of the handshake up to the ClientKeyExchange. Some of\n"        \
	  "these bytes are missing from the capture, so the keys cannot be computed,\n"         \
	  "although the server's private key is loaded. What is missing may be as\n"            \
	  "unimportant by itself as a part of the certificate.\n"                               \
	  "\n"                                                                                  \
	  "What to do: as for \"gap\". Do not turn EMS off: it closes a real attack.\n")        \
	X(ONE_DIRECTION, "one-direction", OPAQUE, true,                                         \
	  "only one direction was captured",                                                    \
	  "Have the mirror port copy both directions, or give both taps' captures with "        \
	  "--merge.",                                                                           \
	  "The capture holds the packets of one side only. Keys come from what both sides\n"    \
	  "said, so nothing can be opened.\n"                                                   \
	  "\n"                                                                                  \
	  "Usual causes: a mirror session that copies only received or only sent frames;\n"     \
	  "two links with different routes for the two directions; a tap with one output\n"     \
	  "for each direction; a capture filter with \"src\" or \"dst\" in it.\n"               \
	  "\n"                                                                                  \
	  "What to do: mirror both directions; of a tap, capture both outputs and read\n"       \
	  "them side by side: --merge -r a.pcap -r b.pcap.\n")                                  \
	X(SNAPLEN, "snaplen", OPAQUE, true,                                                     \
	  "the capture cut its packets off",                                                    \
	  "Capture whole packets: tcpdump -s 0.",                                               \
	  "The program that made this capture kept only the beginning of each packet (its\n"    \
	  "\"snap length\"), and the rest of the handshake is gone.\n"                          \
	  "\n"                                                                                  \
	  "Evidence: packets in the capture say that they were longer than what was kept.\n"    \
	  "\n"                                                                                  \
	  "What to do: capture again with a snap length of at least 65535 bytes. tcpdump\n"     \
	  "has that by default; -s 0 asks for it. With segmentation offload, packets on\n"      \
	  "the sending machine itself are much longer than 1500 bytes.\n")                      \
	X(KEYS_DISPROVED, "keys-disproved", OPAQUE, true,                                       \
	  "the keys that were derived do not fit the records",                                  \
	  "The loaded key may not be the one the server used; see --explain keys-disproved.",   \
	  "limpid had a secret for this session and derived keys from it, both with and\n"      \
	  "without Extended Master Secret, but the first encrypted record of neither side\n"    \
	  "verifies under them. Nothing came out, since nothing can be proven.\n"               \
	  "\n"                                                                                  \
	  "Usual causes: the certificate was not in the capture and another key of the\n"       \
	  "same size was tried; a device on the path changed the handshake; the server\n"       \
	  "used the key of another certificate; a secret from a file belongs to another\n"      \
	  "connection.\n"                                                                       \
	  "\n"                                                                                  \
	  "What to do: compare the key with the certificate that the detail names. If\n"        \
	  "they belong together and the capture is whole, please report it: this would be\n"    \
	  "a fault of limpid.\n")                                                               \
	X(SUITE_UNSUPPORTED, "suite-unsupported", OPAQUE, true,                                 \
	  "a cipher suite or protocol feature that limpid cannot decrypt",                      \
	  "The detail names it; have the server choose another suite if you can.",              \
	  "The peers agreed on a cipher suite, a version or an extension that limpid does\n"    \
	  "not know how to decrypt. The detail names it. The private key may well be\n"         \
	  "there; it is the method that is missing.\n"                                          \
	  "\n"                                                                                  \
	  "What to do: have the server prefer another suite, AES with GCM for example, or\n"    \
	  "look whether a newer limpid has it.\n")                                              \
	X(CIPHER_UNAVAILABLE, "cipher-unavailable", OPAQUE, true,                               \
	  "no crypto library here has the session's cipher",                                    \
	  "Try --crypto auto, or a build with libcrypto and its legacy provider.",              \
	  "limpid knows this cipher suite, but none of the crypto libraries that it may\n"      \
	  "use has the cipher: distributions leave old or regional ciphers out of their\n"      \
	  "builds.\n"                                                                           \
	  "\n"                                                                                  \
	  "What to do: use --crypto auto, which takes each cipher from whichever library\n"     \
	  "has it; install OpenSSL's legacy provider; or build against a library that has\n"    \
	  "it.\n")                                                                              \
	X(TLS13, "tls13", OPAQUE, true,                                                         \
	  "TLS 1.3: a server's private key does not open it",                                   \
	  "Limit the server to TLS 1.2 with RSA key exchange on this path where you may.",      \
	  "In TLS 1.3 every full handshake is forward secret: the server's private key\n"       \
	  "only signs, and the keys of the connection are thrown away at its end. This\n"       \
	  "release of limpid recognises TLS 1.3 and decrypts TLS up to 1.2.\n"                  \
	  "\n"                                                                                  \
	  "What to do, if you are entitled to read it and your policy allows: limit the\n"      \
	  "server to TLS 1.2 with suites that begin with TLS_RSA_WITH.\n")                      \
	X(MALFORMED, "malformed", OPAQUE, true,                                                 \
	  "what was sent is not valid TLS",                                                     \
	  "The detail says what is wrong and where; see whether something on the path "         \
	  "changes packets.",                                                                   \
	  "The connection began as TLS, then broke the protocol's rules: a length that\n"       \
	  "lies, a message in the wrong place, an answer to something that was not asked.\n"    \
	  "limpid does not guess what was meant. The detail names the rule.\n"                  \
	  "\n"                                                                                  \
	  "Usual causes: a scanner or a test tool; a program that is not TLS after all; a\n"    \
	  "capture that was edited or damaged. If the two programs understood each other\n"     \
	  "very well, please report it with the detail.\n")                                     \
	X(RSA_OVERLOAD, "rsa-overload", OPAQUE, true,                                           \
	  "too many new connections at a time for the RSA work",                                \
	  "Give the machine more cores, or capture to a file and replay it: a replay never "    \
	  "sheds.",                                                                             \
	  "Each new session costs one RSA operation with the private key, one to four\n"        \
	  "milliseconds of a core. More came in than the machine could do, and this one\n"      \
	  "was given up so that the others could go on: it had waited for five seconds, or\n"   \
	  "more waited than may (max-questions), and it was the oldest of all, or of a\n"       \
	  "client or server that had more than its share of them. The counters warden.shed,\n"  \
	  "warden.shed_client and warden.shed_server (stats=on) say how often.\n"               \
	  "\n"                                                                                  \
	  "What to do: more cores help in proportion; --crypto openssl is several times\n"      \
	  "faster than mbedtls at RSA; a filter can leave out servers that do not matter;\n"    \
	  "a capture file can be replayed at leisure. Servers that resume sessions need\n"      \
	  "no RSA.\n")                                                                          \
	X(HANDSHAKE_FAILED, "handshake-failed", OPAQUE, false,                                  \
	  "the peers themselves gave up before any key was used",                               \
	  "Nothing was lost: there was nothing to decrypt. The alert says why they gave up.",   \
	  "One of the peers ended the handshake, by an alert (which the detail names) or\n"     \
	  "by closing the connection. No application data was ever protected, so there is\n"    \
	  "nothing to decrypt, and the session is not counted among those that stayed\n"        \
	  "closed.\n"                                                                           \
	  "\n"                                                                                  \
	  "Usual causes: a client that does not trust the certificate (unknown_ca,\n"           \
	  "bad_certificate), no version or suite in common (protocol_version,\n"                \
	  "handshake_failure), a health check that only tests whether the port answers.\n")      \
	X(HANDSHAKE_UNFINISHED, "handshake-unfinished", OPAQUE, false,                          \
	  "the capture ended, or silence came, before any key was used",                        \
	  "Let the capture run until the connections in it are over.",                          \
	  "Neither peer refused anything and no packet is known to be missing, but the\n"       \
	  "handshake was not over when the capture ended, when both sides had been silent\n"    \
	  "for as long as limpid waits (idle-handshake), or when another connection began\n"    \
	  "between the same addresses and ports. No protected data was seen, so there is\n"     \
	  "nothing to decrypt, and the session is not counted among those that stayed\n"        \
	  "closed. The detail says how far the handshake had come.\n")

/* In the order of enum lp_note's bits. */
#define NOTES(X)                                                                                \
	X(TRANSCRIPT_DIFFERS, "transcript-differs", 0, false,                                   \
	  "the captured handshake is not the one the peers hashed",                             \
	  "See whether a device between the two changes handshake messages.",                   \
	  "The data was decrypted and is authentic, but the check sum of the handshake in\n"    \
	  "the Finished messages does not match the handshake in the capture. So some\n"        \
	  "handshake message was seen differently by the peers than by the sensor:\n"           \
	  "retransmissions with other content, a middle box, an edited capture.\n")             \
	X(FINISHED_UNCHECKED, "finished-unchecked", 0, false,                                   \
	  "the Finished messages could not be compared",                                        \
	  "",                                                                                   \
	  "The data was decrypted and is authentic. The Finished messages, which cover\n"       \
	  "the whole handshake, could not be compared because parts of the handshake are\n"     \
	  "missing from the capture.\n")                                                        \
	X(OVERLAP_CONFLICT, "overlap-conflict", 0, false,                                       \
	  "some bytes were sent twice, with different content",                                 \
	  "If a record failed, try the other policy with --overlap.",                           \
	  "Two TCP segments of this connection cover the same bytes with different\n"           \
	  "content. Correct software never does that: it is a broken device, or somebody\n"     \
	  "who wants a sensor to see something else than the server sees. What was\n"           \
	  "decrypted is authentic all the same: a record, or its header, that does not\n"       \
	  "authenticate with one copy is tried with the other. So is a handshake with\n"        \
	  "Extended Master Secret, behind its ServerHello; what differs in a hello, or in\n"    \
	  "a ClientKeyExchange without it, may leave the session closed (keys-disproved).\n")   \
	X(TRUNCATED, "truncated", 0, false,                                                     \
	  "the session ended without close_notify",                                             \
	  "",                                                                                   \
	  "TLS has its own goodbye, the close_notify alert, so that nobody on the path\n"       \
	  "can cut a connection off unnoticed. At least one side did not send it. Many\n"       \
	  "programs never do; but what came last may not be all that was meant to be\n"         \
	  "sent.\n")                                                                            \
	X(EMS_MISMATCH, "ems-mismatch", 0, false,                                               \
	  "keyed with EMS where it was not agreed, or the reverse",                             \
	  "Update the peer that is wrong about Extended Master Secret.",                        \
	  "The hellos say whether the peers use Extended Master Secret (RFC 7627), and the\n"   \
	  "keys that opened this session were made the other way. The data is authentic.\n"     \
	  "Either both programs get it wrong alike, or a device on the path took the\n"         \
	  "extension out of one hello, or put it in.\n")                                        \
	X(KEY_TOO_LATE, "key-too-late", 0, false,                                               \
	  "a key for it came when the records were gone",                                       \
	  "Wait longer with --key-wait, or have the endpoint write its key log at once.",       \
	  "limpid watches live traffic without keeping it. When this session's keys were\n"     \
	  "asked for they were not there, nor did they come while it waited (--key-wait),\n"    \
	  "and it was passed over. Its line in the key log has come since.\n")

static const struct lp_verdict_text reasons[LP_REASON_COUNT] = {
	[LP_REASON_NONE] = { "unknown", 0, true, "no reason was found", "", "" },
#define X(name, code, classes, closed, meaning, advice, explain) \
	[LP_REASON_##name] = { code, classes, closed, meaning, advice, explain },
	REASONS(X)
#undef X
};

static const struct lp_verdict_text notes[] = {
#define X(name, code, classes, closed, meaning, advice, explain) \
	{ code, classes, closed, meaning, advice, explain },
	NOTES(X)
#undef X
};

_Static_assert(sizeof notes / sizeof notes[0] == LP_NOTE_COUNT, "a text for each note");

const struct lp_verdict_text *lp_reason_text(enum lp_reason reason)
{
	assert((unsigned)reason < LP_REASON_COUNT);
	return &reasons[reason];
}

const struct lp_verdict_text *lp_note_text(unsigned i)
{
	assert(i < LP_NOTE_COUNT);
	return &notes[i];
}

bool lp_reason_fits(enum lp_reason reason, enum lp_verdict verdict)
{
	return lp_reason_text(reason)->classes & ON(verdict);
}

const struct lp_verdict_text *lp_verdict_find(const char *code)
{
	for (size_t i = LP_REASON_NONE + 1; i < LP_REASON_COUNT; i++)
		if (!strcmp(reasons[i].code, code))
			return &reasons[i];
	for (size_t i = 0; i < LP_NOTE_COUNT; i++)
		if (!strcmp(notes[i].code, code))
			return &notes[i];
	return NULL;
}

const char *lp_verdict_name(enum lp_verdict verdict)
{
	switch (verdict) {
	case LP_DECRYPTED: return "decrypted";
	case LP_PARTIAL: return "partial";
	case LP_OPAQUE: return "opaque";
	}
	return "";
}
