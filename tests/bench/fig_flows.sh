# A packet with a million connections open, against a thousand.
"$BENCH/flows" compare
