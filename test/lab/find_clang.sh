#!/bin/sh
# find_clang.sh: the clang that has libFuzzer and the sanitizers' runtimes, if any.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d[0] == n; }' > "$work/probe.c"
for c in clang clang-21 clang-19 clang-16 clang-14; do
	if command -v "$c" > /dev/null 2>&1 &&
		"$c" -w -fsanitize=fuzzer,address "$work/probe.c" -o "$work/probe" 2>/dev/null; then
		echo "$c"
		exit
	fi
done
