# 1,000 SYNs a second for a minute beside 100 live sessions: all of them open, and the memory stays
# small, with the whole table and with one that the flood fills many times over.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
"$BENCH/flood" captures/story-tls12-ems.pcap "$tmp/flood.pcap" || exit 1
for flows in 1000000 1000; do
	mib=$("$BENCH/flood" run "$LIMPID" -q -r "$tmp/flood.pcap" -k keys/server.pem --set max-flows=$flows \
		-o "json:$tmp/json,stats=on" 2>/dev/null) || bad=1
	open=$(grep -c '"verdict":"decrypted"' "$tmp/json")
	echo "  SYN flood, table of $flows: $open of 100 sessions open, $(jq -c 'select(.stats).stats.tcp.evicted' "$tmp/json") half-open connections shed, $mib MiB"
	[ "$open" = 100 ] && [ "${mib:-999}" -lt 128 ] || bad=1
done
exit $bad
