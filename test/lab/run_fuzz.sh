#!/bin/sh
# run_fuzz.sh TARGET...: run test/fuzz/TARGET.c over its corpus and FUZZ_RUNS
# inputs more.  A finding is left in build/fuzz/TARGET.crash-*.  Without clang
# the corpus is all there is: FUZZ_REPLAY=yes says that this will do.
set -u
mkdir -p build/fuzz
failed=0
if [ -n "${FUZZ_CC:-}" ]; then
	engine=libFuzzer
elif [ -n "${FUZZ_REPLAY:-}" ]; then
	engine=replay
	echo "fuzz: no clang with libFuzzer here, so the corpus is only replayed"
else
	echo "fuzz: no clang with libFuzzer here (on Debian: packages clang-NN and libclang-rt-NN-dev);" \
		"'make fuzz-short' replays the corpus without it" >&2
	exit 1
fi

# What libFuzzer counted is what was asked for.
ran_all() {
	[ $engine = replay ] ||
		[ "$(sed -n 's/^stat::number_of_executed_units: *//p' "$1")" -ge "$FUZZ_RUNS" ]
}

for t in "$@"; do
	corpus=test/fuzz/corpus/${t#fuzz_}
	[ -d "$corpus" ] || corpus=test/fuzz/corpus/$t
	[ -d "$corpus" ] || corpus=
	echo "== $t ($engine)"
	# The flags are lists of words.
	# shellcheck disable=SC2086
	if [ $engine = libFuzzer ]; then
		mkdir -p "build/fuzz/corpus/$t"
		"$FUZZ_CC" $FUZZ_CFLAGS -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
			-o "build/fuzz/$t" "test/fuzz/$t.c" $FUZZ_SRCS $FUZZ_LIBS &&
			"build/fuzz/$t" -runs="$FUZZ_RUNS" -seed="${FUZZ_SEED:-0}" -max_len=65536 -timeout=10 \
				-rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 -artifact_prefix="build/fuzz/$t." \
				"build/fuzz/corpus/$t" $corpus > "build/fuzz/$t.log" 2>&1
	else
		"$CC" $FUZZ_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined \
			-o "build/fuzz/$t" test/lab/fuzz_replay.c "test/fuzz/$t.c" $FUZZ_SRCS $FUZZ_LIBS &&
			"build/fuzz/$t" $corpus > "build/fuzz/$t.log" 2>&1
	fi
	if [ $? -eq 0 ] && ran_all "build/fuzz/$t.log"; then
		grep -E '^INFO: Seed|^stat::number_of_executed_units|^Done|^replayed' "build/fuzz/$t.log"
	else
		failed=$((failed + 1))
		[ -f "build/fuzz/$t.log" ] && tail -n 60 "build/fuzz/$t.log"
		echo "FAILED: $t (log build/fuzz/$t.log, inputs build/fuzz/$t.*)"
	fi
done
echo "fuzz: $# targets, $failed failed"
[ $failed -eq 0 ]
