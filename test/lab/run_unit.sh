#!/bin/sh
# run_unit.sh TEST...: run the unit tests that make built, all of them even
# when one fails, then the vectors and, for a few seconds, the ring's stress.
set -u
dir=${UNIT_BUILD:-build/unit}
passed=0 failed=0 seconds=${STRESS_SECONDS:-1}
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

run() {
	name=$1
	shift
	echo "== $name"
	if "$@"; then
		passed=$((passed + 1))
	else
		echo "FAILED: $name (exit status $?)"
		failed=$((failed + 1))
	fi
}

for t in "$@"; do
	run "$t" "$dir/$t"
done
if [ -x "$dir/run_vectors" ] && [ -n "${VECTORS:-}" ]; then
	# shellcheck disable=SC2086
	run "run_vectors" "$dir/run_vectors" $VECTORS
	run "vectors_fail" sh test/unit/vectors_fail.sh "$dir/run_vectors"
fi
if [ -x "$dir/stress_ring" ]; then
	run "stress_ring, $seconds s" "$dir/stress_ring" "$seconds"
fi
if [ -f test/unit/ring_mutations.sh ]; then
	run "ring_mutations, $seconds s each" sh test/unit/ring_mutations.sh "$seconds" "$dir/ring_mutations"
fi
echo "unit: $passed programs passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
