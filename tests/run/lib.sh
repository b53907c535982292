# Sourced by the test scripts: how a result is said and counted. $RESULTS, when
# set, collects one letter a line for the closing count.

say() { # letter, word, text
	[ -z "${RESULTS:-}" ] || echo "$1" >> "$RESULTS"
	case $2 in
	ok) [ -n "${VERBOSE:-}" ] && echo "  ok    $3" ;;
	*) printf '  %-5s %s\n' "$2" "$3" ;;
	esac
	return 0
}
pass() { say p ok "$1"; }
fail() { say f FAIL "$1"; }
# On CI as root nothing may be skipped.
skip() {
	if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ]; then say f FAIL "$1 (would be skipped; not on CI)"; else say s skip "$1"; fi
}
passes() { for _ in $(seq "$1"); do echo p; done >> "${RESULTS:-/dev/null}"; }
fails() { for _ in $(seq "$1"); do echo f; done >> "${RESULTS:-/dev/null}"; }

# want NAME COMMAND...: passes if the command does.
want() {
	local name=$1
	shift
	if "$@"; then pass "$name"; else fail "$name"; fi
}

tally() { # prints the closing line, returns non-zero if anything failed or nothing ran
	local p f s

	p=$(grep -c p "$RESULTS"); f=$(grep -c f "$RESULTS"); s=$(grep -c s "$RESULTS")
	echo "$p passed, $f failed, $s skipped"
	[ "$f" = 0 ] && [ "$p" != 0 ]
}
