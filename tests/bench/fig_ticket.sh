# A session ticket opened with the server's ticket key.
"$BENCH/ticket"
