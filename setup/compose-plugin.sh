#!/bin/bash
# setup/compose-plugin.sh CACHE_DIRECTORY: Docker Compose v2 for the tests, as CACHE_DIRECTORY/docker-compose.
# Debian 12 has only Compose 1: the program comes out of a later Debian's package, from the mirror and by the keys this
# machine uses already, with package lists of its own. Nothing is installed and the machine's sources stay as they are.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need_debian
CACHE=${1:?usage: compose-plugin.sh CACHE_DIRECTORY}
SUITE=forky
PACKAGE=docker-compose
mkdir -p "$CACHE"
exec 9>"$CACHE/compose.lock"
flock 9
[ -x "$CACHE/docker-compose" ] && exit 0
doing 'Docker Compose' "downloading Debian $SUITE's $PACKAGE"

SOURCES=/etc/apt/sources.list.d/debian.sources
LIST=/etc/apt/sources.list
if [ -f "$SOURCES" ]; then
  URI=$(sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' "$SOURCES" | head -n 1)
  SIGNED=$(sed -n 's/^Signed-By:[[:space:]]*\(\/[^[:space:]]*\).*/\1/p' "$SOURCES" | head -n 1)
elif [ -f "$LIST" ]; then
  LINE=$(grep -m 1 -E '^deb[[:space:]]' "$LIST" || true)
  URI=$(sed -n 's/^deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' <<<"$LINE")
  SIGNED=$(sed -n 's/^deb[[:space:]]*\[[^]]*signed-by=\(\/[^],[:space:]]*\).*/\1/p' <<<"$LINE")
fi
URI=${URI:-http://deb.debian.org/debian}
SIGNED=${SIGNED:-/usr/share/keyrings/debian-archive-keyring.gpg}

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
# apt reads its lists and writes downloads as a user of its own.
chmod 755 "$WORK"
mkdir -p "$WORK"/{state/lists/partial,cache/archives/partial,preferences,download}
printf 'deb [signed-by=%s] %s %s main\n' "$SIGNED" "$URI" "$SUITE" >"$WORK/sources.list"
# On the command line, which counts after all files: the machine's own configuration (a proxy) still holds.
OWN=(
  -q
  -o "Dir::State=$WORK/state"
  -o "Dir::Cache=$WORK/cache"
  -o "Dir::Etc::sourcelist=$WORK/sources.list"
  -o 'Dir::Etc::sourceparts=/dev/null'
  -o 'Dir::Etc::preferences=/dev/null'
  -o "Dir::Etc::preferencesparts=$WORK/preferences"
  -o 'Acquire::Languages=none'
  -o 'APT::Sandbox::User=root'
)
{
  quietly "$WORK/update.log" apt-get "${OWN[@]}" update &&
    cd "$WORK/download" && quietly "$WORK/download.log" apt-get "${OWN[@]}" download "$PACKAGE" &&
    dpkg-deb -x "$PACKAGE"_*.deb tree
} || fail "Debian $SUITE's $PACKAGE could not be downloaded from $URI." 'Is there a way to a Debian mirror?'
PLUGIN=tree/usr/libexec/docker/cli-plugins/docker-compose
"$PLUGIN" version >"$WORK/version.log" 2>&1 ||
  fail "Debian $SUITE's $PACKAGE does not run here." "$(tail -n 3 "$WORK/version.log")"
cp "$PLUGIN" "$CACHE/docker-compose.part"
mv "$CACHE/docker-compose.part" "$CACHE/docker-compose"
