# Sourced. compare EXPECT DIR [set]: holds what `-o files:DIR` wrote against EXPECT, a
# line of JSON for each session, and prints each difference; silent when all is well.
# Sessions are compared in order, or with "set" by the hash of what the client sent.

# What limpid wrote, in the words of an expectation.
got_sessions() { # dir
	(cd "$1" && find . -maxdepth 1 -type f ! -name index.jsonl -printf '%f\n' | sort | xargs -r sha256sum) |
		awk '{ printf "{\"key\":\"%s\",\"value\":\"%s\"}\n", $2, $1 }' | jq -s from_entries > "$1.sums"
	jq -c --slurpfile sums "$1.sums" '
		def sum(f): if f then $sums[0][f | split("/") | last] // "missing" else null end;
		select(.event_type != "flow") |
		{version: .tls.version, suite: .limpid.suite, ems: .limpid.ems, etm: .limpid.etm, client_cert: .limpid.client_cert,
		 resumed: .limpid.resumed, renegotiations: .limpid.renegotiations, end: .limpid.end, secret: .limpid.secret, verdict: .limpid.verdict, reason: .limpid.reason, notes: (.limpid.notes // []), verified: .limpid.verified,
		 client_prelude: (.client_prelude // .limpid.client_prelude), server_prelude: (.server_prelude // .limpid.server_prelude),
		 client_bytes: .limpid.client_bytes, server_bytes: .limpid.server_bytes,
		 client_sha256: sum(.client_file // .limpid.client_file), server_sha256: sum(.server_file // .limpid.server_file)}' "$1/index.jsonl"
}

compare() {
	[ -e "$2/index.jsonl" ] || { echo "limpid wrote no index.jsonl"; return; }
	got_sessions "$2" > "$2.got" || { echo "index.jsonl cannot be read"; return; }
	jq -rn --slurpfile want "$1" --slurpfile got "$2.got" --slurpfile sums "$2.sums" --arg how "${3:-order}" '
		($want | map(select(.clear | not))) as $tls | ($want | map(select(.clear))) as $clear |
		(if ($tls | length) != ($got | length)
		 then "\($tls | length) sessions expected, \($got | length) came" else empty end),
		(if $how == "set" then INDEX($got[]; .client_sha256) else null end) as $by |
		(range($tls | length) as $i | $tls[$i] as $w |
			(if $by then $by[$w.client_sha256] else $got[$i] end) as $g |
			if $g == null then "\($w.name): no such session"
			else ($w | del(.name) | to_entries[] | select($g[.key] != .value) |
				"\($w.name): \(.key) \($g[.key] | tojson), not \(.value | tojson)")
			end),
		($clear[] | select(([.client_sha256, .server_sha256] - ($sums[0] | [.[]])) != []) |
			"clear flow: its bytes are not among the files")'
}
