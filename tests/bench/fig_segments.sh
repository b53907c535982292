# Tiny segments, and segments out of order: what a byte costs against the same in order, first in
# decoding and reassembly alone, then in the whole program, which has to open records, too (user and
# system time, starting taken off, the least of nine runs in turn).
"$BENCH/segments"
bad=$?
tmp=$(mktemp -d -p /dev/shm) || exit 1
trap 'rm -rf "$tmp"' EXIT
keep=$("$BENCH/loss" send gcm 16384 40000 "$tmp/session" "$tmp/keys") || exit 1
chmod 600 "$tmp/keys"

cpu() { # CAPTURE: milliseconds
	"$BENCH/cost" 60 "$LIMPID" -q -r "$1" -l "$tmp/keys" --workers 1 | awk '{ print $2 * 1000 }'
}

# size, segments, connections, orders
row() {
	local size=$1 count=$2 connections=$3 order base
	shift 3
	for order in "in order" "$@"; do
		"$BENCH/pieces" "$tmp/session" "$tmp/$order" "$keep" "$size" "$count" "$order" "$connections" || exit 1
		: >"$tmp/times $order"
	done
	for _ in 1 2 3 4 5 6 7 8 9; do
		cpu "$tmp/none" >>"$tmp/times none"
		for order in "in order" "$@"; do cpu "$tmp/$order" >>"$tmp/times $order"; done
	done
	base=$(net "in order")
	printf '%s connections of %s segments of %s byte%s, limpid as a whole: in order %.0f ns each;' \
		"$connections" "$count" "$size" "$([ "$size" = 1 ] || echo s)" \
		"$(awk "BEGIN { print $base * 1e6 / $connections / $count }")"
	for order; do
		awk -v a="$(net "$order")" -v b="$base" -v o="$order" \
			'BEGIN { printf " %s %.2f", o, a / b; exit a / b > 2 }' || bad=1
	done
	echo " times (limit 2.0)"
	rm "$tmp/in order" "${@/#/$tmp/}"
}
net() { # ORDER: the least of its times, without starting
	awk -v s="$(sort -g "$tmp/times none" | head -n 1)" -v t="$(sort -g "$tmp/times $1" | head -n 1)" 'BEGIN { print t - s }'
}

"$BENCH/pieces" "$tmp/session" "$tmp/none" "$keep" 1 1 "in order" 1 || exit 1
row 1 100000 12 reversed shuffled hundreds
row 20 100000 12 reversed hundreds
row 1448 30000 4 hundreds
exit $bad
