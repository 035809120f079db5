#!/bin/bash
# sudo npm test: installs what the tests need, makes the test images, runs everything.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need 'npm test'
need_debian
title 'Gangway: tests'
bash "$ROOT/setup/install.sh"
install debootstrap docker-registry mariadb-client-core curl conntrack iptables procps bsdutils util-linux musl-tools openssl iperf3 chromium fonts-dejavu-core
done_ 'test packages' 'debootstrap, docker-registry, mariadb client, curl, conntrack, iptables, musl, openssl, iperf3, chromium'
export GANGWAY_TEST_CACHE=${GANGWAY_TEST_CACHE:-/var/cache/gangway-test}
bash "$ROOT/test/images/build.sh" "$GANGWAY_TEST_CACHE" || fail 'The test images could not be made.'
done_ 'test images' "busybox, apache, mysql:5.7 in $GANGWAY_TEST_CACHE"
bash "$ROOT/setup/compose-plugin.sh" "$GANGWAY_TEST_CACHE"
done_ 'Docker Compose' "$("$GANGWAY_TEST_CACHE/docker-compose" version --short)"
bash "$ROOT/setup/etcd.sh" "$GANGWAY_TEST_CACHE"
done_ 'etcd' "$("$GANGWAY_TEST_CACHE/etcd" --version | sed -n 's/^etcd Version: //p')"
echo
cd "$ROOT" && exec npm run -s check
