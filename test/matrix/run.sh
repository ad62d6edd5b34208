#!/usr/bin/env bash
# run.sh [ROW...]: the tests with servers against other versions.  Without
# ROW, all of them; `run.sh clean` removes what they keep in MT_MATRIX.
#
#   pg17 pg18            PostgreSQL and libmongoc of Debian trixie and sid, in a chroot
#   assert               PostgreSQL 15 built with its assertions
#   bookworm             Debian 12 from nothing: make test, as a newcomer has it
#   mongo-4.4.2 mongo-5.0.4 mongo-6.0.27   PostgreSQL of this host, that mongod
set -uo pipefail
cd "$(dirname "$0")/../.."
cache=${MT_MATRIX:-/var/cache/mongo_tail_matrix}
# What the caller's make was told (ARGS above all) is not for the makes below.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL ARGS
stages='test-build unit test-regress test-isolation test-integration'

# tree DIR: what git knows, as it stands here, without anything built
tree() {
	rm -rf --one-file-system "$1"
	mkdir -p "$1"
	git ls-files --cached --others --exclude-standard | while read -r f; do [ -e "$f" ] && echo "$f"; done |
		tar -cf - -T - | tar -xf - -C "$1"
}

in_chroot() {
	local suite=$1 major=$2 dir=$cache/$1
	shift 2
	bash test/matrix/in_chroot.sh "$suite" "$dir" true || return 1
	tree "$dir/mongo_tail"
	# The big binary is fetched once; the chroot's own deps does the rest.
	if [ -x "${MT_MONGOD:-}" ] && [ "$suite" != bookworm ]; then
		mkdir -p "$dir/mongo_tail/build/mongod-6.0.5"
		cp "$MT_MONGOD" "$dir/mongo_tail/build/mongod-6.0.5/mongod"
	fi
	env -u MT_VENV -u MT_MONGOD -u PG_CONFIG MT_PG_MAJOR="$major" \
		bash test/matrix/in_chroot.sh "$suite" "$dir" bash -ec "
			command -v make git > /dev/null ||
				{ apt-get -qq update; apt-get -qq -y --no-install-recommends install make git > /dev/null; }
			cd /mongo_tail
			$*"
}

row() {
	case $1 in
		pg17) in_chroot trixie 17 "make deps; MT_STAGES='$stages' make test-stages" ;;
		pg18) in_chroot sid 18 "make deps; MT_STAGES='$stages' make test-stages" ;;
		bookworm) in_chroot bookworm '' "bash .ci/run" ;;
		assert)
			bash test/matrix/get_postgres.sh "$cache/postgresql-15-assert" &&
				PG_CONFIG=$cache/postgresql-15-assert/bin/pg_config ASSERTIONS=1 MT_STAGES="$stages" \
					make --no-print-directory test-stages ;;
		mongo-*)
			bash test/matrix/get_mongod.sh "${1#mongo-}" "$cache/mongods" &&
				MT_MONGOD=$cache/mongods/mongod-${1#mongo-} MT_STAGES="$stages" make --no-print-directory test-stages ;;
		*) echo "test-matrix: no row $1" >&2; return 1 ;;
	esac
}

if [ "${1:-}" = clean ]; then
	rm -rf --one-file-system "$cache"
	exit
fi
[ $# -gt 0 ] || set -- mongo-4.4.2 mongo-5.0.4 mongo-6.0.27 assert pg17 pg18
mkdir -p build/log "$cache"
summary=() failed=0
for r in "$@"; do
	echo
	echo "##### $r"
	from=$SECONDS
	row "$r" 2>&1 | tee "build/log/matrix-$r.log"
	if [ "${PIPESTATUS[0]}" -eq 0 ]; then result=ok; else result=FAILED failed=1; fi
	summary+=("$(printf '%-14s %5d s  %-7s %s' "$r" $((SECONDS - from)) $result \
		"$(grep -hE '^built mongo_tail' "build/log/matrix-$r.log" | tail -n 1)")")
done
echo
printf '%s\n' "${summary[@]}"
exit $failed
