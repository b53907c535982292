# Sourced. Packages of another suite (backports, the next release) by this
# machine's own apt source with the suite changed, apart from the machine's lists.

# suite_sources DIR RELEASE SUITE: makes DIR ready and sets suite_apt, the options
# that apt-get needs. Of one-line and deb822 sources, those with RELEASE's main
# archive are taken.
suite_sources() {
	local dir=$1 release=$2 suite=$3 f found=

	mkdir -p "$dir/parts" "$dir/lists/partial" "$dir/cache/archives/partial"
	cp /etc/apt/sources.list "$dir/parts/own.list" 2>/dev/null
	cp /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources "$dir/parts/" 2>/dev/null
	for f in "$dir"/parts/*; do
		case $f in
		*.list)
			awk -v r="$release" -v s="$suite" '$1 == "deb" {
				i = $2 ~ /^\[/ ? 3 : 2
				while (i > 2 && $(i - 1) !~ /\]$/) i++
				if ($(i + 1) == r) { $(i + 1) = s; print }
			}' "$f" > "$f.x"
			mv "$f.x" "${f%.list}-suite.list" ;;
		*.sources)
			awk -v r="$release" -v s="$suite" 'BEGIN { RS = ""; ORS = "\n\n" } {
				n = split($0, line, "\n"); out = ""; hit = 0
				for (i = 1; i <= n; i++) {
					if (line[i] ~ /^#/) continue
					if (line[i] ~ /^Suites:/) {
						if ((" " substr(line[i], 8) " ") ~ (" " r " ")) hit = 1
						line[i] = "Suites: " s
					}
					out = out line[i] "\n"
				}
				if (hit) print out
			}' "$f" > "$f.x"
			mv "$f.x" "${f%.sources}-suite.sources" ;;
		esac
	done
	find "$dir/parts" -size 0 -delete
	for f in "$dir"/parts/*-suite.*; do [ -e "$f" ] && found=1; done
	[ -n "$found" ] || return 1
	suite_apt=(-o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$dir/parts"
		-o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root)
}
