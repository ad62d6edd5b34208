#!/usr/bin/env bash
# get_postgres.sh DIR: PostgreSQL 15 with its assertions switched on, in DIR.
#
# Debian has no such build: it is made of Debian's source package, in about two
# minutes.  USE_VALGRIND tells valgrind of palloc's chunks, and costs nothing without it.
set -euo pipefail
dir=$1
[ -x "$dir/bin/postgres" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# An apt state of its own: the host's lists stay as they are.
mkdir -p lists/partial cache/archives/partial
mirror=$(sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
	"${mirror:-http://deb.debian.org/debian} bookworm main" > sources.list
options=(-qq -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
	-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null)
apt-get "${options[@]}" update
apt-get "${options[@]}" source --download-only postgresql-15
dpkg -s libicu-dev > /dev/null 2>&1 || apt-get -qq -y --no-install-recommends install libicu-dev > /dev/null
tar -xjf postgresql-15_*.orig.tar.bz2
cd postgresql-15.*/
{
	./configure -q --prefix="$dir" --enable-cassert --enable-debug --with-icu --without-readline --without-zlib \
		CFLAGS='-O1 -fno-omit-frame-pointer' CPPFLAGS=-DUSE_VALGRIND
	make -s -j"$(nproc)"
	make -s install
} > build.log 2>&1 || { tail -n 40 build.log >&2; exit 1; }
"$dir/bin/postgres" --version
