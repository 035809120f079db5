#!/bin/bash
# sudo npm run uninstall: removes all containers, the daemon, everything it made, and what set-up installed.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need 'npm run uninstall'
title 'Gangway: uninstall'

unit=/etc/systemd/system/gangway.service
if [ -e "$unit" ]; then
  systemctl disable --now -q gangway 2>/dev/null || true
  rm -f "$unit"
  systemctl daemon-reload 2>/dev/null || true
  done_ 'service' 'gangway.service removed'
fi

count=0
if answers; then
  ids=$(docker -H "unix://$SOCKET" ps -aq)
  count=$(wc -w <<<"$ids")
  # shellcheck disable=SC2086
  [ "$count" = 0 ] || docker -H "unix://$SOCKET" rm -f -v $ids >/dev/null 2>&1 || true
fi
bash "$ROOT/setup/clean.sh" "$DATA_ROOT" "$EXEC_ROOT" "$PIDFILE" "$CGROUP_PARENT"
done_ 'containers' "$count removed"
done_ 'daemon' "ended; $DATA_ROOT and $EXEC_ROOT removed"
# The compiled code of bin/gangwayd.
rm -rf /var/cache/gangway
rm -rf "$LOG"* && rmdir "$(dirname "$LOG")" 2>/dev/null || true

for user in $(remembered context); do
  as=()
  [ "$user" = root ] || as=(runuser -u "$user" -- env HOME="$(getent passwd "$user" | cut -d: -f6)")
  case $("${as[@]}" docker context inspect -f '{{.Name}}' 2>/dev/null) in
    gangway) "${as[@]}" docker context use default >/dev/null 2>&1 || true ;;
  esac
  "${as[@]}" docker context rm -f gangway >/dev/null 2>&1 && done_ 'docker context' "removed (of $user)"
  folder=${DOCKER_CONFIG:-$(getent passwd "$user" | cut -d: -f6)/.docker}
  rmdir "$folder"/contexts/{meta,tls} "$folder/contexts" "$folder" 2>/dev/null || true
done

remembered sysctl | while read -r name value; do
  echo "$value" >"/proc/sys/$(tr . / <<<"$name")"
  done_ 'sysctl' "$name is $value again"
done

# Only what set-up brought, and of that only what nothing else has come to need since.
mapfile -t ours < <(remembered package | while read -r package; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' && echo "$package"; done || true)
while [ ${#ours[@]} -gt 0 ]; do
  foreign=$(apt-get -s purge "${ours[@]}" 2>/dev/null | sed -n 's/^\(Purg\|Remv\) \([^ ]*\).*/\2/p' | sort | comm -23 - <(printf '%s\n' "${ours[@]}" | sort))
  [ -n "$foreign" ] || break
  kept=()
  for package in "${ours[@]}"; do
    # A package stays when removing it alone would take a foreign one along.
    if apt-get -s purge "$package" 2>/dev/null | sed -n 's/^\(Purg\|Remv\) \([^ ]*\).*/\2/p' | grep -qxF "$foreign"; then
      note "$package stays: needed by $(tr '\n' ' ' <<<"$foreign")"
    else kept+=("$package"); fi
  done
  [ ${#kept[@]} -lt ${#ours[@]} ] || break
  ours=("${kept[@]}")
done
if [ ${#ours[@]} -gt 0 ]; then
  log=$(mktemp)
  quietly "$log" apt-get purge -y -q "${ours[@]}" || fail 'apt-get purge failed.'
  rm -f "$log"
  done_ 'Debian packages' "${#ours[@]} removed that set-up had installed"
fi

for file in $(remembered file); do rm -rf "$file"; done
rm -rf "$LIB" "${GANGWAY_COMPILE_CACHE:-/var/cache/gangway}"
rm -rf "${GANGWAY_TEST_CACHE:-/var/cache/gangway-test}"
note 'node_modules stays: it belongs to this checkout.'
echo
