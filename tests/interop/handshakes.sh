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
# A side that does not want to: warning no_renegotiation, and the session goes on.
reneg_refused() {
	local fin='"end":{"client":"fin","server":"fin"},"notes":["truncated"],"ems":true,"renegotiations":0'

	talk "the client refuses" suite=AES128-SHA new hello norenegotiation=c c:10 quiet=on s-renegotiate \
		"say:$fin" fin
	talk "the server refuses" suite=AES128-GCM-SHA256 new hello norenegotiation=s c:10 s:20 quiet=on c-renegotiate \
		"say:$fin" fin
}
