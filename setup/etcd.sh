#!/bin/bash
# setup/etcd.sh CACHE_DIRECTORY: Debian's etcd and etcdctl for the tests, as CACHE_DIRECTORY/etcd and …/etcdctl.
# Unpacked, not installed: the package would start a service of its own.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need_debian
CACHE=${1:?usage: etcd.sh CACHE_DIRECTORY}
mkdir -p "$CACHE"
exec 9>"$CACHE/etcd.lock"
flock 9
[ -x "$CACHE/etcd" ] && [ -x "$CACHE/etcdctl" ] && exit 0
doing 'etcd' "downloading Debian's etcd-server and etcd-client"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
# apt writes downloads as a user of its own.
chmod 755 "$WORK"
(cd "$WORK" && quietly "$WORK/download.log" apt-get -q -o APT::Sandbox::User=root download etcd-server etcd-client) ||
  fail 'etcd could not be downloaded.' "$(cat "$WORK/download.log" 2>/dev/null || true)"
for package in "$WORK"/*.deb; do dpkg-deb -x "$package" "$WORK/root"; done
for program in etcd etcdctl; do cp "$WORK/root/usr/bin/$program" "$CACHE/$program"; done
"$CACHE/etcd" --version >/dev/null || fail 'etcd does not start.'
