#!/bin/bash
# setup/install.sh: everything Gangway stands on, only what is missing. Called by start.sh and test.sh.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need 'npm start'
need_debian

install containerd runc nftables iproute2 busybox-static tini
done_ 'Debian packages' "containerd $(version_of containerd), runc $(version_of runc), nftables $(version_of nftables)"

# Only its default seccomp profile is wanted; the package itself would bring a second container engine's parts.
if [ ! -e /usr/share/containers/seccomp.json ] && [ ! -e /usr/local/lib/gangway/seccomp.json ]; then
  doing 'seccomp profile' 'from golang-github-containers-common'
  unpack golang-github-containers-common usr/share/containers/seccomp.json /usr/local/lib/gangway/seccomp.json
fi

# Debian's docker.io brings an engine that would start at once: the client's binary alone is taken out of it.
if ! command -v docker >/dev/null; then
  doing 'Docker client' 'from docker.io'
  unpack docker.io usr/bin/docker "$LIB/docker"
  mkdir -p /usr/local/bin
  ln -s "$LIB/docker" /usr/local/bin/docker
  remember file /usr/local/bin/docker
  hash -r
fi
done_ 'Docker client' "$(docker version --format '{{.Client.Version}}' 2>/dev/null | head -n 1) ($(command -v docker))"

install_npm_packages
done_ 'npm packages' "node $("$ROOT/node_modules/.bin/node" --version | tr -d v)"
