#!/bin/bash
# Who may include whom (engine/ from the left: base, crypto, secrets and warden, tls;
# capture and net beside them; plugins see include/limpid and base), and libraries
# whose headers belong to one folder.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh

bad=
rule() { # folder, the folders of engine/ it may include from
	local allowed="$1 $2" hits

	[ -d "engine/$1" ] || return 0
	hits=$(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "engine/$1" --include='*.[ch]' |
		awk -v allowed=" $allowed " -v folder="$1" '{
			split($0, q, "\""); n = split(q[2], p, "/")
			if (n == 1) next            # beside the file itself
			if (index(allowed, " " p[1] " ") == 0) print "engine/" folder " may not: " $0
		}')
	[ -z "$hits" ] || { echo "$hits"; bad=1; }
}
rule base ""
rule crypto base
rule secrets "base crypto"
rule warden "base crypto"
rule store "base crypto"
rule tls "base crypto secrets warden"
rule capture base
rule net base
rule plugins base
if grep -rn '#[[:space:]]*include[[:space:]]*"engine' engine/*/; then
	echo "a room may not include the engine"
	bad=1
fi

only() { # header pattern, the one folder
	local hits

	hits=$(grep -rnE "#[[:space:]]*include[[:space:]]*<($1)" engine include --include='*.[ch]' | grep -v "^$2/")
	[ -z "$hits" ] || { echo "$hits"; echo "  belongs to $2 only"; bad=1; }
}
only 'pcap\.h|pcap/' engine/capture
only 'nids\.h' engine/net
only 'mbedtls/' engine/crypto
only 'openssl/' engine/crypto
only 'intel-ipsec-mb' engine/crypto
only 'libmemcached' engine/store
only 'jansson\.h' engine/plugins
only 'zstd\.h' engine/capture
only 'zlib\.h' 'engine/\(capture\|tls\)'
if grep -rnE '\b(TO[D]O|FIX[M]E|XX[X])\b' engine include; then echo "unfinished marks"; bad=1; fi

if [ -z "$bad" ]; then pass layers; else fail layers; fi
[ -z "$bad" ]
