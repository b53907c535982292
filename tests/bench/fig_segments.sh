# Tiny segments, and segments out of order.
"$BENCH/segments"
