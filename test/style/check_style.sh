#!/usr/bin/env bash
# check_style.sh: every rule of style that a program can check; all of them run.
set -uo pipefail
cd "$(dirname "$0")/../.."
failed=0

check() {
	local name=$1
	shift
	"$@" || { echo "style: $name FAILED"; failed=1; }
}

exported_symbols() {
	if [ ! -f mongo_tail.so ]; then
		echo "symbols: no mongo_tail.so; run make first"
		return 1
	fi
	local foreign
	foreign=$(nm -D --defined-only mongo_tail.so | awk '{print $NF}' |
		grep -vE '^(mt|mongo_tail_|pg_finfo_mt|pg_finfo_mongo_tail_|_PG_init$|Pg_magic_func$)' || true)
	if [ -n "$foreign" ]; then
		echo "symbols: these must not leave the library:" $foreign
		return 1
	fi
	echo "symbols: $(nm -D --defined-only mongo_tail.so | wc -l) exported, all ours"
}

# Files of ours that are text; vectors and corpora are data.
text_files() {
	local data='^(test/unit/vectors/|test/fuzz/corpus/|test/data/)|/?expected/|\.(tsv|jsonl|bin|bson|out)$'
	git ls-files --cached --others --exclude-standard -- src sql test .ci Makefile '*.md' '*.json' '*.control' |
		grep -vE "$data" | while read -r f; do
		[ -f "$f" ] && echo "$f"
	done
}

white_space() {
	local bad
	bad=$(text_files | xargs -r -d '\n' grep -nE '[[:blank:]]+$' || true)
	bad+=$(text_files | grep -E '\.[ch]$' | xargs -r -d '\n' grep -nE '^ {4,}[^ *]' |
		sed 's/$/   (indent with tabs)/' || true)
	[ -z "$bad" ] || { echo "$bad"; return 1; }
	echo "white space: $(text_files | wc -l) files"
}

# Columns as an editor shows them, a tab being four.  A long string stays whole:
# it can be searched for.  Tests' data is as long as it is.
long_lines() {
	local bad string='"[^"]{50,}|\x27[^\x27]{50,}'
	bad=$(text_files | grep -vE '^test/(unit|fuzz|sql|integration)/' |
		grep -E '\.([ch]|py|sh|sql|mk)$|Makefile$' | while read -r f; do
		expand -t4 "$f" | grep -nE '^.{121,}' | grep -vP "$string" | sed "s|^|$f:|" | cut -c 1-160
	done)
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

# Plans differ between versions; test/sql/include/plans.psql knows how.
plans() {
	local bad
	bad=$(grep -n '^EXPLAIN (VERBOSE' test/sql/collection_*.sql | sed 's/$/   (SELECT pg_temp.plan(...))/')
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

sizes() {
	local bad
	bad=$(find src -name '*.[ch]' -exec wc -l {} + |
		awk '$2 != "total" && $1 > 800 {print $2 ": " $1 " lines, the budget is 800"}')
	bad+=$(find src -name '*.c' -exec awk '
		FNR == 1 {inside = 0}
		/^\{/ {inside = 1; from = FNR}
		/^\}/ && inside {
			inside = 0
			if (FNR - from > 121)
				print FILENAME ":" from ": a function of " FNR - from - 1 " lines, the budget is 120"
		}
	' {} +)
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

unfinished() {
	! git grep -nIwE 'TODO|FIXME|XXX|HACK|not implemented' -- src sql ':!test/style'
}

one_version() {
	local control meta
	control=$(sed -n "s/^default_version = '\(.*\)'/\1/p" mongo_tail.control)
	meta=$(sed -n 's/^ *"version": "\([0-9.]*\)",\{0,1\}$/\1/p' META.json | head -n 1)
	[ "$control" = "$meta" ] || { echo "version: $control in mongo_tail.control, $meta in META.json"; return 1; }
}

shells() {
	local f rc=0
	for f in $(text_files | grep -E '\.sh$|^\.ci/run$'); do
		bash -n "$f" || rc=1
	done
	return $rc
}

check layers bash test/style/check_layers.sh
check "layers' own tests" bash test/style/test_check_layers.sh
check sql "${MT_VENV:-build/venv}/bin/python" test/style/check_sql.py sql/[0-9]*.sql
check symbols exported_symbols
check "white space" white_space
check "long lines" long_lines
check plans plans
check sizes sizes
check unfinished unfinished
check version one_version
check shells shells
[ $failed -eq 0 ] && echo "style: every check passed" || echo "style: some checks failed"
exit $failed
