#!/bin/bash
# sudo npm start [-- DAEMON_FLAG…]: installs what is missing, starts the daemon, runs a first container.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need 'npm start'
need_debian
title 'Gangway'
bash "$ROOT/setup/install.sh"

if answers; then
  if [ $# -gt 0 ]; then note "The daemon runs already: these flags have no effect: $*"; fi
  done_ 'daemon' "runs already, pid $(daemon_pid || echo '?'), $SOCKET"
else
  doing 'daemon' "starting, log in $LOG"
  # Uninstalling puts it back.
  [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || remember sysctl net.ipv4.ip_forward 0
  mkdir -p "$(dirname "$LOG")" "$EXEC_ROOT"
  setsid "$ROOT/bin/gangwayd" -H "unix://$SOCKET" --data-root "$DATA_ROOT" --exec-root "$EXEC_ROOT" \
    --pidfile "$PIDFILE" --cgroup-parent "$CGROUP_PARENT" "$@" >>"$LOG" 2>&1 </dev/null &
  child=$!
  for _ in $(seq 300); do
    answers && break
    kill -0 "$child" 2>/dev/null || fail 'The daemon ended at once. The end of its log:' "$(tail -n 8 "$LOG")"
    sleep 0.1
  done
  answers || fail 'The daemon does not answer after 30 seconds.' "Its log: $LOG"
  disown "$child"
  done_ 'daemon' "started, pid $(daemon_pid || echo "$child"), $SOCKET"
fi

# make_context USER: the docker context `gangway` for that user.
make_context() {
  local as=()
  [ "$1" = root ] || as=(runuser -u "$1" -- env HOME="$(getent passwd "$1" | cut -d: -f6)")
  if "${as[@]}" docker context inspect gangway >/dev/null 2>&1; then
    "${as[@]}" docker context update gangway --docker "host=unix://$SOCKET" >/dev/null 2>&1
  else
    "${as[@]}" docker context create gangway --description 'Gangway' --docker "host=unix://$SOCKET" >/dev/null 2>&1
    remember context "$1"
  fi
}
make_context root
[ -z "${SUDO_USER:-}" ] || [ "$SUDO_USER" = root ] || make_context "$SUDO_USER"
done_ 'docker context' 'gangway'

engine() { docker -H "unix://$SOCKET" "$@"; }

if ! engine image inspect busybox >/dev/null 2>&1; then
  doing 'first image' 'busybox'
  if ! timeout 30 docker -H "unix://$SOCKET" pull -q busybox >/dev/null 2>&1; then
    folder=$(mktemp -d)
    mkdir -p "$folder"/{bin,etc,root,tmp,home}
    chmod 1777 "$folder/tmp"
    cp /bin/busybox "$folder/bin/"
    for applet in $(/bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$folder/bin/$applet"; done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$folder/etc/passwd"
    echo 'root:x:0:' >"$folder/etc/group"
    tar -C "$folder" -c . | engine import -c 'CMD ["sh"]' -m 'from Debian busybox-static' - busybox:latest >/dev/null
    rm -rf "$folder"
    done_ 'first image' "busybox, made from Debian's busybox-static: no registry answers"
  else
    done_ 'first image' 'busybox, pulled'
  fi
fi

# The page is in the container's command, so that the image may be any busybox.
page='<!doctype html><meta charset=utf-8><title>Gangway</title><body style="font:18px/1.6 system-ui;max-width:34em;margin:12vh auto;padding:0 1em"><h1>It works.</h1><p>This page came through a port published by Gangway, from a container of its own.'
hello="mkdir -p /www && echo '$page' >/www/index.html && exec httpd -f -p 80 -h /www"
if ! engine container inspect gangway-hello >/dev/null 2>&1; then
  for port in $(seq 8088 8107); do
    if said=$(engine run -d --name gangway-hello --restart unless-stopped -p "$port:80" busybox sh -c "$hello" 2>&1); then break; fi
    engine rm -f gangway-hello >/dev/null 2>&1 || true
    case $said in
      *'already allocated'* | *'already in use'*) ;;
      *) fail 'The first container does not start:' "$said" ;;
    esac
  done
elif [ "$(engine container inspect -f '{{.State.Running}}' gangway-hello)" != true ]; then
  engine start gangway-hello >/dev/null
fi
port=$(engine port gangway-hello 80/tcp | head -n 1 | sed 's/.*://')
for _ in $(seq 50); do
  busybox wget -q -O - "http://127.0.0.1:$port/" 2>/dev/null | grep -q 'It works' && answered=1 && break
  sleep 0.1
done
[ -n "${answered:-}" ] || fail "The page on http://127.0.0.1:$port/ does not answer." "See: docker -H unix://$SOCKET logs gangway-hello"
done_ 'first container' "gangway-hello: http://127.0.0.1:$port/ answers"

if way=$("$ROOT/bin/gangway" -H "unix://$SOCKET" ways gangway-hello 2>/dev/null) && [ -n "$way" ]; then
  printf '\n  %sThe way of a packet to it%s\n\n' "$BOLD" "$PLAIN"
  printf '%s\n' "$way" | sed 's/^/    /'
fi

cat <<TEXT

  ${BOLD}Try next${PLAIN}

    sudo docker context use gangway         from here on, docker means Gangway
    sudo docker run --rm busybox ip addr    a container's own eth0
    sudo docker run -d -p 80:80 httpd       a web server for the world to see
    sudo docker exec -it gangway-hello sh   look around inside
    sudo docker ps                          what runs

    npm stop ends the daemon, the containers stay. sudo npm run uninstall
    leaves this machine as it was.

TEXT
