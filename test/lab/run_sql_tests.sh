#!/usr/bin/env bash
# run_sql_tests.sh regress|isolation [NAME...]: pg_regress over test/sql or
# test/specs, on an instance of its own beside a real MongoDB.
#
# The instance refuses root, and user postgres may not be able to enter this
# clone, so the tests run from a copy.  They find MongoDB by the environment
# variable MT_URI (in SQL: \getenv uri MT_URI; a spec writes @MT_URI@, and finds
# what seed_isolation.py has put into MongoDB).  MT_ACCEPT=1 takes what came out
# as what is expected: read the diff before committing it.
set -euo pipefail
cd "$(dirname "$0")/../.."
kind=$1
shift
: "${MT_URI:?}" "${MT_PG_BINDIR:?}" "${MT_PG_PKGLIBDIR:?}"

case $kind in
	regress) tests=test/sql suffix=.sql runner=pg_regress ;;
	isolation) tests=test/specs suffix=.spec runner=pg_isolation_regress ;;
esac
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
	mapfile -t names < <(find $tests -maxdepth 1 -name "*$suffix" 2>/dev/null |
		xargs -r basename -s $suffix | LC_ALL=C sort)
fi
if [ ${#names[@]} -eq 0 ]; then
	echo "no $tests/*$suffix" >&2
	exit 1
fi

pgxs=$(cd "$(dirname "$("${PG_CONFIG:-pg_config}" --pgxs)")/../.." && pwd)
work=$(mktemp -d /var/tmp/mongo_tail_$kind.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cp -r expected test/sql test/specs test/data test/postgresql.conf "$work" 2>/dev/null || true
chmod 755 "$work"
if [ "$kind" = isolation ]; then
	"${MT_VENV:?}/bin/python" test/lab/seed_isolation.py
	sed -i "s|@MT_URI@|$MT_URI|g" "$work"/specs/*.spec
fi
# A test without an expected file is one that differs, not the end of the run.
mkdir -p "$work/expected"
for name in "${names[@]}"; do
	[ -f "$work/expected/$name.out" ] || : > "$work/expected/$name.out"
done
as_postgres=()
if [ "$(id -u)" = 0 ]; then
	chown -R postgres: "$work"
	as_postgres=(runuser -u postgres --)
fi

rc=0
(cd "$work" && "${as_postgres[@]}" env LC_ALL=C.UTF-8 PGTZ=UTC "$pgxs/src/test/$kind/$runner" \
	--bindir="$MT_PG_BINDIR" --dlpath="$MT_PG_PKGLIBDIR" --temp-instance="$work/instance" \
	--temp-config="$work/postgresql.conf" --inputdir="$work" --outputdir="$work" \
	--encoding=UTF8 --no-locale --load-extension=mongo_tail "${names[@]}") || rc=$?
rm -rf "build/log/$kind"
mkdir -p "build/log/$kind"
cp -r "$work"/regression.* "$work"/results "$work"/log "build/log/$kind/" 2>/dev/null || true
if [ -n "${MT_ACCEPT:-}" ]; then
	for name in "${names[@]}"; do
		cp "$work/results/$name.out" expected/
	done
	echo "accepted into expected/: ${names[*]}"
elif [ $rc -ne 0 ]; then
	head -n 400 "build/log/$kind/regression.diffs" 2>/dev/null || true
	echo "results and the server's log: build/log/$kind"
	# Once more at the end: the runner's own count.
	grep -E 'tests (passed|failed)' "build/log/$kind/regression.out" 2>/dev/null || true
fi
exit $rc
