#!/bin/bash
# test/images/build.sh: the images of the end-to-end tests, made from Debian packages and kept in a registry's storage.
#   busybox:latest  busybox-static                                   one layer
#   apache:latest   Debian's apache2 on a minimal Debian             two layers, the first shared
#   mysql:5.7       Debian's MariaDB with an entrypoint of its own   two layers, the first shared
# $1 is the cache directory. Built again only when a file of this folder changes (about two minutes).
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
CACHE=$(mkdir -p "${1:?usage: build.sh CACHE_DIRECTORY}" && cd "$1" && pwd)
NODE=$HERE/../../node_modules/.bin/node
SUITE=bookworm
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

exec 9>"$CACHE/lock"
flock 9
WANT=$(cat "$HERE"/* | sha256sum | cut -c1-32)
[ "$(cat "$CACHE/built" 2>/dev/null)" = "$WANT" ] && exit 0
rm -f "$CACHE/built"
WORK=$CACHE/work
unmount() { mountpoint -q "$WORK/merged" && umount "$WORK/merged"; true; }
trap unmount EXIT
unmount
rm -rf "$WORK" "$CACHE/registry"
mkdir -p "$WORK"/{apache,mysql,busybox} "$CACHE/registry"

pack() { tar -C "$1" --numeric-owner --sort=name -cf - . | gzip -3 >"$2"; }

# The image spec writes a deletion as an empty file .wh.NAME, overlayfs as a character device 0:0.
whiteouts() {
  find "$1" -type c | while read -r path; do
    [ "$(stat -c %t:%T "$path")" = 0:0 ] || continue
    rm "$path"
    : >"$(dirname "$path")/.wh.$(basename "$path")"
  done
}

if [ ! -e "$CACHE/base-$SUITE.tar" ]; then
  echo "images: debootstrap $SUITE"
  MIRROR=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
  debootstrap --variant=minbase "$SUITE" "$WORK/base" "${MIRROR:-http://deb.debian.org/debian}" >"$WORK/debootstrap.log" ||
    { tail -n 20 "$WORK/debootstrap.log" >&2; exit 1; }
  printf '#!/bin/sh\nexit 101\n' >"$WORK/base/usr/sbin/policy-rc.d"
  chmod +x "$WORK/base/usr/sbin/policy-rc.d"
  rm -rf "$WORK"/base/var/cache/apt/archives/*.deb "$WORK"/base/usr/share/{doc,man,locale}/*
  tar -C "$WORK/base" --numeric-owner -cf "$CACHE/base-$SUITE.tar.part" .
  mv "$CACHE/base-$SUITE.tar.part" "$CACHE/base-$SUITE.tar"
else
  mkdir "$WORK/base"
  tar -C "$WORK/base" --numeric-owner -xf "$CACHE/base-$SUITE.tar"
fi

# derive NAME PACKAGE…: installs packages on an overlay over the base; $WORK/NAME/upper becomes the second layer.
derive() {
  local name=$1
  shift
  echo "images: $name ($*)"
  mkdir -p "$WORK/$name"/{upper,work} "$WORK/merged"
  mount -t overlay overlay -o "lowerdir=$WORK/base,upperdir=$WORK/$name/upper,workdir=$WORK/$name/work" "$WORK/merged"
  cp /etc/resolv.conf "$WORK/merged/etc/resolv.conf"
  chroot "$WORK/merged" apt-get install -y -q --no-install-recommends "$@" >"$WORK/$name.log" 2>&1 ||
    { tail -n 20 "$WORK/$name.log" >&2; exit 1; }
  finish_"$name" "$WORK/merged"
  chroot "$WORK/merged" apt-get clean
  rm -rf "$WORK"/merged/usr/share/{doc,man,locale}/* "$WORK/merged/etc/resolv.conf" "$WORK"/merged/var/log/*.log
  umount "$WORK/merged"
  rm -rf "$WORK/$name/work"
  whiteouts "$WORK/$name/upper"
  pack "$WORK/$name/upper" "$WORK/$name/layer.tar.gz"
}

finish_apache() { :; }
finish_mysql() {
  chroot "$1" useradd --system --home-dir /var/lib/mysql --shell /bin/false mysql
  install -m 755 "$HERE/mysql-entrypoint.sh" "$1/usr/local/bin/entrypoint.sh"
  mkdir -p "$1/logs"
  chroot "$1" install -d -o mysql -g mysql /var/lib/mysql /run/mysqld
}

echo "images: busybox"
mkdir -p "$WORK"/busybox/root/{bin,etc,root,home,var}
install -d -m 1777 "$WORK/busybox/root/tmp"
cp /bin/busybox "$WORK/busybox/root/bin/"
for applet in $(/bin/busybox --list); do
  [ -e "$WORK/busybox/root/bin/$applet" ] || ln -s busybox "$WORK/busybox/root/bin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$WORK/busybox/root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$WORK/busybox/root/etc/group"
pack "$WORK/busybox/root" "$WORK/busybox/layer.tar.gz"

pack "$WORK/base" "$WORK/base.tar.gz"
chroot "$WORK/base" apt-get update -q >"$WORK/update.log" 2>&1 || { cat "$WORK/update.log" >&2; exit 1; }
derive apache apache2
derive mysql mariadb-server-core mariadb-client-core

cat >"$WORK/images.json" <<'JSON'
[
  { "repository": "library/busybox", "tag": "latest", "layers": ["busybox/layer.tar.gz"],
    "config": { "Cmd": ["sh"] } },
  { "repository": "library/apache", "tag": "latest", "layers": ["base.tar.gz", "apache/layer.tar.gz"],
    "config": { "Cmd": ["apache2ctl", "-D", "FOREGROUND"], "ExposedPorts": { "80/tcp": {} } } },
  { "repository": "library/mysql", "tag": "5.7", "layers": ["base.tar.gz", "mysql/layer.tar.gz"],
    "config": { "Entrypoint": ["entrypoint.sh"], "Cmd": ["mysqld"], "ExposedPorts": { "3306/tcp": {} },
                "Volumes": { "/var/lib/mysql": {} } } }
]
JSON

echo "images: push into the registry's storage"
cat >"$WORK/registry.yml" <<YML
version: 0.1
log: { level: warn }
storage: { filesystem: { rootdirectory: $CACHE/registry } }
http: { addr: 127.0.0.1:5000 }
YML
unshare -n bash -euc '
  ip link set lo up
  docker-registry serve "$1/registry.yml" >"$1/registry.log" 2>&1 &
  trap "kill $!" EXIT
  "$2" "$3/push.ts" http://127.0.0.1:5000 "$1/images.json"
' sh "$WORK" "$NODE" "$HERE" || { tail -n 20 "$WORK/registry.log" >&2; exit 1; }
rm -rf "$WORK"
echo "$WANT" >"$CACHE/built"
