# setup/common.sh: what the set-up scripts share. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DATA_ROOT=${GANGWAY_DATA_ROOT:-/var/lib/gangway}
EXEC_ROOT=${GANGWAY_EXEC_ROOT:-/run/gangway}
LOG=${GANGWAY_LOG:-/var/log/gangway/gangwayd.log}
LIB=${GANGWAY_LIB:-/usr/local/lib/gangway}
CGROUP_PARENT=${GANGWAY_CGROUP_PARENT:-gangway}
SOCKET=$EXEC_ROOT/docker.sock
PIDFILE=$EXEC_ROOT/gangwayd.pid
# What set-up itself put on this machine, one thing a line: `package NAME`, `file PATH`, `context USER`, `sysctl NAME VALUE`.
MANIFEST=$LIB/installed
export DEBIAN_FRONTEND=noninteractive

if [ -t 1 ]; then BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'; else BOLD='' DIM='' GREEN='' RED='' PLAIN=''; fi

title() { printf '\n%s%s%s\n\n' "$BOLD" "$1" "$PLAIN"; }
done_() { printf '  %s✓%s %-17s %s\n' "$GREEN" "$PLAIN" "$1" "$2"; }
doing() { printf '  %s· %-17s %s%s\n' "$DIM" "$1" "$2" "$PLAIN"; }
note() { printf '    %s\n' "$*"; }
fail() {
  printf '\n  %s✗ %s%s\n' "$RED" "$1" "$PLAIN" >&2
  shift
  for line in "$@"; do printf '    %s\n' "$line" >&2; done
  echo >&2
  exit 1
}

# need COMMAND: this is Linux, Debian's kind, and we are root; COMMAND is what to type instead.
need() {
  [ "$(uname -s)" = Linux ] || fail "Gangway needs Linux; this is $(uname -s)." 'A virtual machine with Debian 12 will do.'
  [ "$(id -u)" = 0 ] || fail 'Gangway needs root: it makes network namespaces and nftables rules.' "Try: sudo $1"
}
need_debian() {
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    fail 'Set-up installs Debian packages, and there is no apt-get here.' \
      'Debian 12 or a system made from it is what Gangway is made for.'
}

remember() { mkdir -p "$LIB" && { grep -qxF "$*" "$MANIFEST" 2>/dev/null || echo "$*" >>"$MANIFEST"; }; }
remembered() { sed -n "s/^$1 //p" "$MANIFEST" 2>/dev/null; }

installed_packages() { dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii  *//p' | sort; }
version_of() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null | sed 's/^[0-9]*://; s/[~+-].*//'; }

# quietly LOGFILE COMMAND…: shows the end of the output only when the command fails.
quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 || { tail -n 15 "$log" >&2; return 1; }
}

# install PACKAGE…: those that are missing, and remembers everything that came with them.
install() {
  local missing=() package before log
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  doing 'Debian packages' "installing ${missing[*]}"
  before=$(mktemp) log=$(mktemp)
  installed_packages >"$before"
  apt_get_lists "${missing[@]}"
  without_services quietly "$log" apt-get install -y -q --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install ${missing[*]}."
  while read -r package; do remember package "$package"; done < <(comm -13 "$before" <(installed_packages))
  rm -f "$before" "$log"
}

# Package lists are fetched only when they do not know what is asked for.
apt_get_lists() {
  apt-get install -s -q --no-install-recommends "$@" >/dev/null 2>&1 && return
  doing 'Debian packages' 'apt-get update'
  quietly /dev/null apt-get update -q || fail 'apt-get update failed.' 'Is there a way to a Debian mirror?'
}

# Debian starts a service as soon as it is installed: nothing but our own daemon is to run.
without_services() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ]; then "$@"; return; fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  "$@" || status=$?
  rm -f "$policy"
  return $status
}

# Whether node_modules has every version of the lock file, whoever put it there.
npm_packages_right() {
  [ -x "$ROOT/node_modules/.bin/node" ] && (cd "$ROOT" && node -e '
    const packages = (file) => JSON.parse(require("fs").readFileSync(file, "utf8")).packages;
    const have = packages("node_modules/.package-lock.json");
    for (const [path, { version, optional }] of Object.entries(packages("package-lock.json")))
      if (path !== "" && !optional && have[path]?.version !== version) process.exit(1);') 2>/dev/null
}

# npm packages exactly as the lock file has them; nothing is done when they are there already.
install_npm_packages() {
  local owner log
  npm_packages_right && return
  command -v npm >/dev/null || install nodejs npm
  doing 'npm packages' 'npm ci'
  owner=$(stat -c %U "$ROOT")
  log=$(mktemp)
  if [ "$owner" = root ] || [ "$owner" = UNKNOWN ]; then
    (cd "$ROOT" && quietly "$log" npm ci --no-audit --no-fund)
  else
    # The checkout stays its owner's: `git clean` must not need sudo afterwards.
    (cd "$ROOT" && quietly "$log" runuser -u "$owner" -- env HOME="$(getent passwd "$owner" | cut -d: -f6)" npm ci --no-audit --no-fund)
  fi || fail 'npm ci failed.' 'Is there a way to an npm registry?'
  rm -f "$log"
}

# A program or file out of a Debian package, without installing the package: unpack PACKAGE PATH_INSIDE TARGET
unpack() {
  local folder
  folder=$(mktemp -d)
  chmod 755 "$folder"
  apt-get install -s -q --no-install-recommends "$1" >/dev/null 2>&1 || apt_get_lists "$1"
  (cd "$folder" && quietly "$folder/log" apt-get download -q "$1" && dpkg-deb -x ./*.deb tree) ||
    fail "apt-get could not download $1."
  mkdir -p "$(dirname "$3")"
  cp -a "$folder/tree/$2" "$3"
  rm -rf "$folder"
  remember file "$3"
}

answers() { docker -H "unix://$SOCKET" version --format '{{.Server.Version}}' >/dev/null 2>&1; }
daemon_pid() {
  local pid
  pid=$(cat "$PIDFILE" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && echo "$pid"
}
