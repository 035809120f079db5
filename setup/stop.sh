#!/bin/bash
# npm stop: ends the daemon. Containers, their connections and published ports go on.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need 'npm stop'
title 'Gangway'
if command -v systemctl >/dev/null && systemctl -q is-active gangway 2>/dev/null; then
  systemctl stop gangway
  done_ 'daemon' 'stopped (gangway.service)'
elif pid=$(daemon_pid); then
  running=$(timeout 5 docker -H "unix://$SOCKET" ps -q 2>/dev/null | wc -l)
  kill -TERM "$pid"
  for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -0 "$pid" 2>/dev/null && fail "The daemon (pid $pid) does not end." "Its log: $LOG"
  done_ 'daemon' 'stopped'
  [ "$running" = 0 ] || note "$running running container(s) stay as they are, published ports too."
  note 'sudo npm start finds them again.'
else
  done_ 'daemon' 'was not running'
fi
echo
