#!/bin/sh
# ring_mutations.sh [SECONDS [BUILD_DIRECTORY]]
#
# Would the stress notice if a reader did not validate?  Runs it
#   as it is, with threads and with a writer that is killed: must pass;
#   without the check before a length is trusted (R2), and without the one
#   after the copy (R3): must fail, in a normal build and under ThreadSanitizer;
#   as it is under ThreadSanitizer: must pass without a report.
# A lap at the wrong moment is chance, rare on a busy machine, so what must fail
# has many tries.
set -u

seconds=${1:-3}
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${2:-$root/build/ring_mutations}
cc=${CC:-cc}
# gcc warns that its sanitizer does not follow fences; clang's does not follow
# them either.  No plain memory is shared, so it needs not.
tsan_cc=${TSAN_CC:-$(command -v clang || command -v clang-14 || echo "$cc -Wno-tsan")}
passed=0
failed=0

mkdir -p "$build"

# build NAME COMPILER FLAGS...
build() {
	name=$1
	shift
	"$@" -std=gnu11 -O2 -g -Wall -Wextra -I"$root/src" \
		"$root/test/unit/stress_ring.c" "$root/src/ring/ring.c" -pthread -o "$build/$name" || exit 1
}

# run NAME ARGUMENTS...: status and output of one run; a hang is a failure
run() {
	name=$1
	shift
	TSAN_OPTIONS="halt_on_error=0 exitcode=66" timeout $((seconds * 10 + 60)) "$build/$name" "$@" >"$build/$name.out" 2>&1
}

report() {
	sed 's/^/    /' "$build/$2.out" | tail -n 16
	if [ "$1" = ok ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}

# must_pass NAME ARGUMENTS...
must_pass() {
	echo "== $*: must pass"
	if run "$@" && ! grep -q 'WARNING: ThreadSanitizer' "$build/$1.out"; then
		report ok "$1"
	else
		report bad "$1"
		echo "   FAILED: $1 did not pass"
	fi
}

# must_fail NAME ARGUMENTS...
must_fail() {
	echo "== $*: must fail"
	for try in $(seq 40); do
		run "$@"
		case $? in
			0 | 2) ;;
			*)
				report ok "$1"
				return
				;;
		esac
	done
	report bad "$1"
	echo "   FAILED: $1 passed $try times, the stress does not notice"
}

build stress $cc
build stress_without_R2 $cc -DMT_RING_BREAK_R2
build stress_without_R3 $cc -DMT_RING_BREAK_R3
build stress_tsan $tsan_cc -fsanitize=thread
build stress_tsan_without_R2 $tsan_cc -fsanitize=thread -DMT_RING_BREAK_R2
build stress_tsan_without_R3 $tsan_cc -fsanitize=thread -DMT_RING_BREAK_R3

must_pass stress "$seconds"
must_pass stress "$seconds" kill
must_fail stress_without_R2 "$seconds"
must_fail stress_without_R3 "$seconds"
must_pass stress_tsan "$seconds"
must_fail stress_tsan_without_R2 "$seconds"
must_fail stress_tsan_without_R3 "$seconds"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
