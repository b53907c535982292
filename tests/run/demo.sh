#!/bin/sh
# `make demo`: opens the bundled capture with the bundled key.
cd "$(dirname "$0")/../.." || exit 1
chmod go= keys/server.pem # git does not keep this
echo
echo "\$ ./limpid -r captures/http.pcap -k keys/server.pem -d"
echo
exec ./limpid -r captures/http.pcap -k keys/server.pem -d
