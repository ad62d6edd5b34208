#!/bin/sh
# coverage.sh BUILD FILE.c...: how much of each file the unit tests ran.
set -eu
build=$1
shift
for f in "$@"; do
	# gcov prints the file and, a line later, "Lines executed:97.50% of 240"
	gcov -n -o "$build/$(dirname "$f")" "$build/${f%.c}.gcda" 2>/dev/null |
		awk -v f="$f" '$0 == "File \x27" f "\x27" {want = 1}
			want && /^Lines executed/ {sub("Lines executed:", ""); printf "%-40s %s\n", f, $0; exit}'
done
