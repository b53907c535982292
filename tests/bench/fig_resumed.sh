# Resumed handshakes a second on one core, by ticket and by session ID, each with a request
# and an answer opened: at least RESUMED_LEAST (30,000) with libcrypto.
least=${RESUMED_LEAST:-30000}
n=${RESUMED:-60000}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
install -m 600 keys/server.pem "$tmp/key.pem"
"$BENCH/resumed" captures/resumed.pcap "$tmp/many.pcap" "$n" || exit 1
bad=0
for crypto in mbedtls openssl; do
	case $crypto in openssl) ldd "$LIMPID" | grep -q libcrypto || continue ;; esac
	"$LIMPID" -r "$tmp/many.pcap" -k "$tmp/key.pem" --crypto $crypto >"$tmp/out" 2>"$tmp/err"
	grep -q ": $((n + 2)) decrypted" "$tmp/out" || { tail -n 5 "$tmp/out" "$tmp/err"; exit 1; }
	best=
	for _ in 1 2 3 4 5 6 7; do
		# user and system time of all limpid's processes: the clock has others to serve
		TIMEFORMAT='%U %S'
		{ time "$LIMPID" -q -r "$tmp/many.pcap" -k "$tmp/key.pem" --crypto $crypto; } 2>"$tmp/time"
		best=$(awk -v n="$n" -v best="${best:-0}" '{ r = n / ($1 + $2); print int(r > best ? r : best) }' "$tmp/time")
	done
	echo "resumed handshakes a second of one core, $crypto: $best"
	[ $crypto = mbedtls ] || [ "$best" -ge "$least" ] || { echo "  below $least"; bad=1; }
done
exit $bad
