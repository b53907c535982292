#!/bin/bash
# Installs what is missing of the Debian packages that building and testing need:
#   tests/run/deps.sh build|check|check-all|bench|bench-check ...
# Quick when nothing is missing. Without apt it names the packages and stops.
set -u

build="gcc libc6-dev make libmbedtls-dev libpcap-dev zlib1g-dev libzstd-dev libjansson-dev"
[ "${NIDS:-1}" = 0 ] || build="$build libnids-dev"
[ "${MEMCACHED:-1}" = 0 ] || build="$build libmemcached-dev"
[ "${OPENSSL:-1}" = 0 ] || build="$build libssl-dev"
case $(uname -m):${OPENSSL:-1}${IPSEC_MB:-1} in x86_64:11) build="$build libipsec-mb-dev" ;; esac
check="check pkg-config libssl-dev libnids-dev libgnutls28-dev openssl gnutls-bin nginx curl jq tcpdump iproute2 ethtool
	default-jdk-headless procps zstd libnss3-tools"
check="$check libnginx-mod-mail haproxy tinyproxy microsocks"
checkall="clang g++ tshark suricata
	apache2-bin lighttpd lighttpd-mod-openssl nodejs stunnel4
	dovecot-imapd dovecot-pop3d dovecot-lmtpd dovecot-managesieved exim4-daemon-light vsftpd slapd ldap-utils
	prosody inspircd postgresql mariadb-server mariadb-client xrdp openssh-server"
check="$check memcached"
bench="tshark ssldump"
benchcheck="valgrind binutils"
# clang's sanitizers and libFuzzer: part of clang in some releases
ls /usr/lib/*/clang/*/lib/*/libclang_rt.fuzzer* /usr/lib/clang/*/lib/*/libclang_rt.fuzzer* >/dev/null 2>&1 ||
	checkall="$checkall libclang-rt-dev"

want=
for level; do
	case $level in
	build) want="$want $build" ;;
	check) want="$want $check" ;;
	check-all) want="$want $checkall" ;;
	bench) want="$want $bench" ;;
	bench-check) want="$want $benchcheck" ;;
	esac
done
[ "${CC:-cc}" != clang ] || want="$want clang"
want=$(printf '%s\n' $want | sort -u)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	case " $* " in *" check"*) tools="jq curl openssl tcpdump ip nginx gnutls-cli java" ;; *) tools= ;; esac
	for tool in "${CC:-cc}" make $tools; do
		command -v "$tool" >/dev/null && continue
		echo "limpid: no apt-get here: please install what these Debian packages hold:" $want >&2
		exit 1
	done
	exit 0
fi

installed() { # of the packages named, those that are there
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u
}
missing() { comm -23 <(printf '%s\n' $want | sort -u) <(installed $want); }

need=$(missing)
[ -n "$need" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "limpid: not root and no sudo: please install" $need >&2
		exit 1
	fi
	sudo=sudo
fi
tmp=$(mktemp -d)
policy=
cleanup() {
	[ -z "$policy" ] || $sudo rm -f "$policy"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# No server that comes in here is to be started now, nor at the next boot.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	policy=/usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
	$sudo chmod 755 $policy
fi

apt() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"; }
known() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [0-9]'; }

# suricata: from this release if it has version 7, else from its backports, by
# this machine's own source with the suite changed.
suricata() {
	local suite v

	v=$(apt-cache policy suricata 2>/dev/null | sed -n 's/.*Candidate: \([0-9][0-9.]*\).*/\1/p')
	if [ -z "$v" ] || ! dpkg --compare-versions "$v" ge 7; then
		suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
		. tests/run/suite.sh
		suite_sources "$tmp" "$suite" "$suite-backports" || return
		apt "${suite_apt[@]}" update || return
		apt "${suite_apt[@]}" install --no-install-recommends -y -t "$suite-backports" suricata
	else
		apt install --no-install-recommends -y suricata
	fi
}

services="nginx suricata haproxy lighttpd stunnel4 tinyproxy microsocks dovecot-core exim4-base vsftpd slapd
	prosody inspircd postgresql mariadb-server xrdp openssh-server"
echo "limpid: installing" $need
before=$(installed $services)
plain=$(printf '%s\n' $need | grep -vx suricata)
for p in $plain; do known "$p" || { apt update; break; }; done
known libclang-rt-dev || plain=$(printf '%s\n' $plain | grep -vx libclang-rt-dev)
if [ -n "$plain" ]; then
	apt install --no-install-recommends -y $plain >"$tmp/log" 2>&1 ||
		{ apt update; apt install --no-install-recommends -y $plain >"$tmp/log" 2>&1; } ||
		{ tail -n 20 "$tmp/log" >&2; echo "limpid: apt-get could not install" $plain >&2; exit 1; }
fi
if printf '%s\n' $need | grep -qx suricata && ! suricata >"$tmp/log" 2>&1; then
	tail -n 5 "$tmp/log" >&2
	echo "limpid: no Suricata 7 to be had here: its test will say so" >&2
fi
if [ -d /run/systemd/system ]; then
	for s in $(comm -13 <(echo "$before") <(installed $services)); do
		case $s in # where the service has another name
		dovecot-core) s=dovecot ;;
		exim4-base) s=exim4 ;;
		mariadb-server) s=mariadb ;;
		openssh-server) s=ssh ;;
		esac
		$sudo systemctl --quiet disable "$s" 2>/dev/null
	done
fi
exit 0
