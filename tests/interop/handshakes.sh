# Sourced beside peers.sh: sessions whose handshakes are out of the ordinary, by the
# program talk (OpenSSL on both sides, by a script) and by whole programs. Each function
# writes its sessions down in $WORK/expect.jsonl.

TALK_PORT=4460
talk() { # name, words...
	"${TALK:-$HELPERS/talk}" $TALK_PORT "$KEYS" "$@" >> "$WORK/expect.jsonl" 2>"$WORK/talk.log" ||
		{ cat "$WORK/talk.log" >&2; fail "talk: $1"; return 1; }
}

# Another handshake within the session: by the client, by the server (HelloRequest), full
# or resumed, with a certificate asked for in the second only (as IIS does), with data on
# its way meanwhile, and between ciphers of every kind.
reneg_rsa() { # VERSION:SUITE:EMS ...
	local t v s ems

	for t; do
		v=${t%%:*} ems=${t##*:} s=${t#*:}; s=${s%:*}
		set -- version="$v" ems="$ems" suite="$s" new hello c:100 s:200
		talk "TLS $v $s ems=$ems, client" "$@" c-renegotiate c:300 s:400 c-renegotiate s:50 c:60 close
		talk "TLS $v $s ems=$ems, server" "$@" s-renegotiate c:300 s:400 s-renegotiate c:50 close
		talk "TLS $v $s ems=$ems, certificate in the second" "$@" cert=on verify=on c-renegotiate s:1200 close
		talk "TLS $v $s ems=$ems, resumed by id" ticket=off "$@" c-abbreviated c:300 s:400 s-abbreviated c:5 s:6 \
			c-renegotiate c:7 close
		talk "TLS $v $s ems=$ems, resumed by ticket" "$@" keep=on c-abbreviated c:300 s:400 close
		talk "TLS $v $s ems=$ems, ticket renewed" "$@" keep=on ticket=renew c-abbreviated c:300 c-abbreviated s:400 close
		talk "TLS $v $s ems=$ems, data on its way" "$@" -s:700 -c-renegotiate -s:900 carry c:40 -s:500 -s-renegotiate \
			-s:600 -c:30 carry s:70 -c:500 -s-renegotiate -c:80 carry c:90 close
	done
}
reneg_more() {
	# The cipher changes with the epoch, and once to none.
	talk "ciphers of three kinds" suite=AES256-SHA new hello c:100 s:200 suite=AES128-GCM-SHA256 c-renegotiate c:300 s:40 \
		suite=AES128-CCM c-renegotiate c:30 s:400 suite=NULL-SHA256 c-renegotiate c:5 s:6 etm=off suite=AES128-SHA c-renegotiate \
		c:7 s:8 suite=AES256-GCM-SHA384 c-renegotiate c:9 s:10 close
	talk "nothing between the handshakes" suite=AES128-SHA new hello c-renegotiate s-renegotiate c-renegotiate c:1 close
	talk "a hello cut into records of 3 bytes, then another" split=3 suite=AES128-SHA256 new hello c:10 c-renegotiate s:20 close
}
# Whose secrets are known: RSA's by the server's key, those in $WORK/keys, no others.
reneg_keys() {
	local log="keylog=$WORK/keys" no=keylog=/dev/null rsa=suite=AES128-GCM-SHA256 ec=suite=ECDHE-RSA-AES256-GCM-SHA384
	local first='"suite":"TLS_RSA_WITH_AES_128_GCM_SHA256","renegotiations":0,"verdict":"partial","reason":"later-handshake-closed"'
	local none='"suite":"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384","renegotiations":0,"client_cert":false,"verdict":"opaque","reason":"forward-secret","client_bytes":0,"server_bytes":0,"client_sha256":null,"server_sha256":null'
	local end='"end":{"client":"fin","server":"fin"},"notes":["truncated"]' e

	for e in on off; do
		talk "ems=$e, RSA, then ECDHE by key log" ems=$e $log $rsa new hello c:10 s:20 $ec c-renegotiate c:30 s:40 close
		talk "ems=$e, ECDHE by key log, then RSA" ems=$e $log $ec new hello c:10 s:20 $rsa c-renegotiate c:30 s:40 s-renegotiate c:5 close
		talk "ems=$e, RSA, then ECDHE that stays closed" ems=$e $no $rsa new hello c:10 s:20 mark $ec c-renegotiate c:30 s:40 "say:$first,$end" fin
		talk "ems=$e, closed, then RSA" ems=$e $no $ec new hello c:10 s:20 $rsa c-renegotiate c:30 s:40 "say:$none,${end%,*},\"notes\":[]" fin
	done
}
# A side that does not want to: warning no_renegotiation, and the session goes on.
reneg_refused() {
	local fin='"end":{"client":"fin","server":"fin"},"ems":true,"renegotiations":0'

	talk "the client refuses" suite=AES128-SHA new hello norenegotiation=c c:10 quiet=on s-renegotiate \
		"say:$fin" fin
	talk "the server refuses" suite=AES128-GCM-SHA256 new hello norenegotiation=s c:10 s:20 quiet=on c-renegotiate \
		"say:$fin" fin
}

# Handshakes with more in them than they need. Those that are not RSA put their secrets
# into $WORK/keys.
hello_more() {
	local rsa="suite=AES128-GCM-SHA256" ec="keylog=$WORK/keys suite=ECDHE-RSA-AES256-SHA" n

	for n in 1 2 5; do talk "messages cut into records of $n" split=$n suite=AES256-SHA cert=on verify=on new hello c:10 s:20 close; done
	talk "ClientHello of 30 KB" alpn=30000 $rsa new hello c:10 s:20 close
	talk "certificate status" status=on $rsa new hello c:10 s:20 c-renegotiate c:10 close
	talk "certificate status and request" status=on $ec cert=on verify=on new hello c:10 s:20 close
	talk "next protocol" npn=on $rsa ems=off new hello c:10 s:20 close
	talk "next protocol and certificates" npn=on status=on cert=on verify=on suite=AES128-SHA256 new hello c:10 s:20 close
	talk "next protocol, then others" npn=on $rsa new hello c:10 s:20 c-renegotiate s:5 c-abbreviated c:7 close
	talk "next protocol, resumed" npn=on keep=on $rsa new hello c:10 close new hello s:20 close
	talk "fallback and grease" fallback=on grease=on $rsa new hello c:10 s:20 close
	talk "warning unrecognized_name" $rsa new sni=nobody.example hello c:10 s:20 close
	talk "SSL 3.0's renegotiation_info, no ticket" ticket=off ems=off etm=off version=1.0 suite=AES256-SHA new hello c:10 s:20 close
}
hello_big() {
	local rsa="suite=AES128-GCM-SHA256"

	talk "ClientHello of 30 KB in records of 100" split=100 alpn=30000 $rsa new hello c:10 c-renegotiate s:20 close
	talk "ClientHello of 64 KB" alpn=64000 $rsa ems=off new hello c:10 s:20 close
}
# Who may resume what: by ticket and by id, the ticket renewed, the ticket refused. The key
# log has the first handshake only, where what follows is resumed.
resume_more() { # EMS:SUITE ...
	local t s ems quiet=keylog=/dev/null

	for t; do
		ems=${t%%:*} s=${t#*:}
		set -- ems=$ems keep=on keylog="$WORK/keys" suite=$s new hello c:10 s:20 close
		talk "ems=$ems ${s##*=}, ticket" "$@" $quiet new hello c:30 s:40 close new hello s:5 close
		talk "ems=$ems ${s##*=}, id" ticket=off "$@" $quiet new hello c:30 s:40 close new hello s:5 close
		talk "ems=$ems ${s##*=}, ticket renewed each time" "$@" ticket=renew $quiet new hello c:30 s:40 close new hello s:5 close new hello c:7 close
		talk "ems=$ems ${s##*=}, ticket refused" "$@" ticket=forget new hello c:30 s:40 close new hello s:5 close
		talk "ems=$ems ${s##*=}, id refused" ticket=off "$@" ids=forget new hello c:30 s:40 close new hello s:5 close
		talk "ems=$ems ${s##*=}, resumed, then renegotiated" "$@" new hello c:30 c-renegotiate s:40 s-renegotiate c:50 close new hello c:8 close
	done
	talk "EMS is new: no resumption" ems=off keep=on suite=AES128-SHA new hello c:10 close ems=on new hello c:30 s:40 close
}

# The record layer: short MACs, short and empty records, and how a session ends.
talk_mbedtls() {
	local rc

	"${TALK:-$HELPERS/talk}_mbedtls" $TALK_PORT "$KEYS" "$@" >> "$WORK/expect.jsonl" 2>"$WORK/talk.log"
	rc=$?
	# Only mbedTLS 2 has what is asked of it.
	[ $rc = 0 ] || [ $rc = 77 ] || { cat "$WORK/talk.log" >&2; fail "talk_mbedtls: $1"; return 1; }
}
talk_gnutls() {
	"${TALK:-$HELPERS/talk}_gnutls" $TALK_PORT "$KEYS" "$@" >> "$WORK/expect.jsonl" 2>"$WORK/talk.log" ||
		{ cat "$WORK/talk.log" >&2; fail "talk_gnutls: $1"; return 1; }
}
gnutls_more() {
	local rsa="priority=NONE:+VERS-TLS1.2:+RSA:+SIGN-ALL:+COMP-NULL:+AES-128-CBC:+SHA1:+AES-256-GCM:+AEAD" p
	local ec="priority=NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA"

	for p in "$ec" "$ec:%NO_SESSION_HASH" "$ec:-CIPHER-ALL:+CHACHA20-POLY1305" "$ec:-CIPHER-ALL:+AES-128-CBC:+SHA1"; do
		talk_gnutls "False Start" keylog="$WORK/keys" "$p" new false-start:500 c:10 s:20 close
		talk_gnutls "False Start, then another handshake" keylog="$WORK/keys" "$p" new false-start:6000 s:20 c-renegotiate c:30 close
	done
	for p in "$rsa" "$rsa:%NO_SESSION_HASH:-AES-256-GCM"; do
		talk_gnutls "heartbeats" "$p" new hello c:10 c-heartbeat s:20 s-heartbeat c:30 close
		talk_gnutls "by the client" "$p" new hello c:10 c-renegotiate s:20 c-renegotiate c:30 close
		talk_gnutls "by the server" "$p" new hello c:10 s-renegotiate s:20 s-renegotiate c:30 close
		talk_gnutls "record_size_limit" limit=600 "$p" new hello c:3000 s:4000 c-renegotiate s:1000 close
	done
}
records_more() { # versions
	local v e n

	for v; do
		for e in on off; do
			talk_mbedtls "TLS $v, truncated HMAC, etm=$e" version=$v truncated=on etm=$e ems=$e suite=TLS-RSA-WITH-AES-128-CBC-SHA \
				new hello c:100 s:2000 c:0 s:0 s:5 c-renegotiate c:40 s:50 close
		done
	done
	talk_mbedtls "truncated HMAC, SHA-256" truncated=on etm=off suite=TLS-RSA-WITH-AES-256-CBC-SHA256 new hello c:1 s:2 c:300 close
	talk_mbedtls "truncated HMAC does not concern GCM" truncated=on suite=TLS-RSA-WITH-AES-128-GCM-SHA256 new hello c:1 s:2 close
	talk_mbedtls "empty records" suite=TLS-RSA-WITH-AES-128-GCM-SHA256 new hello c:0 s:0 c:0 c:1 s:0 s:2 c:0 close
	talk_mbedtls "empty records, CBC" etm=off suite=TLS-RSA-WITH-AES-256-CBC-SHA new hello c:0 s:0 c:0 c:1 s:0 s:2 c:0 close
	talk_mbedtls "the client declines and both go on" decline=c suite=TLS-RSA-WITH-AES-128-GCM-SHA256 new hello c:10 s-renegotiate \
		c:20 s:30 c:40 close
	for n in 1 2 3 4; do talk "max_fragment_length $n" maxfrag=$n suite=AES128-SHA new hello c:1000 s:5000 c-renegotiate s:700 close; done
	talk_mbedtls "max_fragment_length 1" maxfrag=1 suite=TLS-RSA-WITH-AES-128-CBC-SHA new hello c:400 s:1000 close
	talk "records of 512" frag=512 suite=AES128-SHA256 new hello c:1000 s:5000 close
}
ends() { # suites
	local how s

	for s; do
		talk "$s, close_notify by both" suite=$s new hello c:10 s:20 close
		for how in fin rst; do
			talk "$s, $how" suite=$s new hello c:10 s:20 $how
			talk "$s, close_notify by the client, $how" suite=$s new hello c:10 s:20 c-close $how
			talk "$s, close_notify by the server, $how" suite=$s new hello c:10 s:20 s-close $how
		done
	done
	# Still open when the capture ends: nobody is to blame.
	talk "the capture ends" suite=AES128-SHA new hello c:10 s:20 sleep:3000 \
		'say:"end":{"client":"capture-end","server":"capture-end"},"notes":[]' close &
	sleep 0.5
	capture_stop
	wait $!
}
