#!/usr/bin/env bash
# in_chroot.sh SUITE DIR COMMAND...: run COMMAND as root in a Debian SUITE below DIR,
# which is made first when it is not there.
#
# Everything happens in a mount namespace of its own.  /proc and /dev are
# mounted only in there and vanish with it, so that neither a crash nor a
# removal of DIR can reach the host's /dev.
set -euo pipefail
suite=$1 dir=$2
shift 2

if [ -z "${MT_IN_NAMESPACE:-}" ]; then
	MT_IN_NAMESPACE=1 exec unshare --mount --propagation private bash "$0" "$suite" "$dir" "$@"
fi
unset MT_IN_NAMESPACE

mirror=$(sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
[ -n "$mirror" ] || mirror=http://deb.debian.org/debian

if [ ! -f "$dir/.complete" ]; then
	command -v debootstrap > /dev/null ||
		{ apt-get -qq update && apt-get -qq -y --no-install-recommends install debootstrap > /dev/null; }
	rm -rf --one-file-system "$dir"
	mkdir -p "$dir"
	debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		"$suite" "$dir" "$mirror" > "$dir.log" 2>&1 || { tail -n 20 "$dir.log" >&2; exit 1; }
	# Packages must start nothing, and how this host reaches the network holds there too.
	printf '#!/bin/sh\nexit 101\n' > "$dir/usr/sbin/policy-rc.d"
	chmod 755 "$dir/usr/sbin/policy-rc.d"
	grep -l '^Acquire' /etc/apt/apt.conf.d/* 2>/dev/null | xargs -r cp -t "$dir/etc/apt/apt.conf.d/"
	echo 'force-unsafe-io' > "$dir/etc/dpkg/dpkg.cfg.d/unsafe-io"
	touch "$dir/.complete"
fi
cp -L /etc/resolv.conf "$dir/etc/resolv.conf" 2>/dev/null || true
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
	cp -L /etc/ssl/certs/ca-certificates.crt "$dir/root/ca.crt"
fi
# Of the host's environment only what is meant for us and the way to the network.
mapfile -t kept < <(env | grep -E '^(MT_[A-Z_]*|CI|[a-z]+_proxy|[A-Z]+_PROXY)=')
mount -t proc proc "$dir/proc"
mount --rbind /dev "$dir/dev"
exec chroot "$dir" env -i "${kept[@]}" HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
	PIP_CERT=/root/ca.crt REQUESTS_CA_BUNDLE=/root/ca.crt \
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
