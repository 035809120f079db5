#!/bin/bash
# setup/clean.sh DATA_ROOT EXEC_ROOT PIDFILE CGROUP_PARENT
# Ends one daemon with all its containers and removes everything it has in the kernel and on disk. Works with a daemon
# that is dead already: it goes by what carries our mark, never by what the daemon says.
set -euo pipefail
DATA_ROOT=${1:?} EXEC_ROOT=${2:?} PIDFILE=${3:?} CGROUP_PARENT=${4:?}
case $DATA_ROOT$EXEC_ROOT in *//* | *..*) echo 'clean.sh: plain absolute paths only' >&2; exit 2 ;; esac
[ "${#DATA_ROOT}" -gt 4 ] && [ "${#EXEC_ROOT}" -gt 4 ] || { echo 'clean.sh: that path is too short' >&2; exit 2; }

alive() { kill -0 "$1" 2>/dev/null && [ "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1)" != Z ]; }
wait_gone() { for _ in $(seq "$2"); do alive "$1" || return 0; sleep 0.05; done; return 1; }
finish() { kill -TERM "$1" 2>/dev/null || true; wait_gone "$1" "$2" || { kill -KILL "$1" 2>/dev/null || true; wait_gone "$1" 40; } || true; }

# running NAME: processes of that name (as comm has it, 15 characters) whose command line speaks of our exec root
running() {
  local folder
  for folder in /proc/[0-9]*; do
    case $(cat "$folder/comm" 2>/dev/null) in "$1"*) ;; *) continue ;; esac
    case $(tr '\0' ' ' 2>/dev/null <"$folder/cmdline") in *"$EXEC_ROOT/"*) echo "${folder#/proc/}" ;; esac
  done
}

# The daemon
if pid=$(cat "$PIDFILE" 2>/dev/null) && [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q gangwayd; then
  finish "$pid" 400
fi

# Containers: everything in their cgroups, then their shims, then containerd. containerd's own state names them: another
# daemon of ours may use the same parent.
ids=$(ls "$EXEC_ROOT"/containerd/state/io.containerd.runtime.v2.task/* 2>/dev/null | grep -xE '[0-9a-f]{64}' || true)
groups() { for id in $ids; do find /sys/fs/cgroup -depth -type d \( -name "$id" -o -path "*/$id/*" \) 2>/dev/null; done; }
for _ in $(seq 20); do
  pids=$(groups | while read -r group; do cat "$group/cgroup.procs" 2>/dev/null || true; done | sort -u)
  [ -n "$pids" ] || break
  # shellcheck disable=SC2086
  kill -KILL $pids 2>/dev/null || true
  sleep 0.05
done
sockets=$(find "$EXEC_ROOT" "$DATA_ROOT" -xdev -name address -path '*runtime.v2.task*' -exec cat {} + -exec echo \; 2>/dev/null | sed 's#unix://#\n#g' | sed -n 's#^/#/#p' || true)
for pid in $(running containerd-shim); do finish "$pid" 0; done
for pid in $(running fifo-keeper.sh) $(running bash); do [ "$pid" = $$ ] || case $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") in *fifo-keeper.sh*) finish "$pid" 20 ;; esac; done
for pid in $(running containerd); do finish "$pid" 200; done
for socket in $sockets; do rm -f "$socket"; done
rmdir /run/containerd/s /run/containerd 2>/dev/null || true

# Mounts below our roots: root filesystems, network namespaces
awk -v a="$DATA_ROOT/" -v b="$EXEC_ROOT/" 'index($5 "/", a) == 1 || index($5 "/", b) == 1 { print $5 }' /proc/self/mountinfo |
  sort -r | while read -r target; do umount -l "$(printf '%b' "$target")" 2>/dev/null || true; done

# Links with our mark, and our nftables
ip -o link show 2>/dev/null | sed -n 's/^[0-9]*: \([^:@]*\).*\\ *alias gangway.*/\1/p' | while read -r link; do ip link del "$link" 2>/dev/null || true; done
nft list tables 2>/dev/null | sed -n 's/^table \([a-z0-9]*\) \(gangway.*\)/\1 \2/p' |
  while read -r family table; do nft delete table "$family" "$table" || true; done

groups | while read -r group; do rmdir "$group" 2>/dev/null || true; done
# Only empty ones go: rmdir refuses where a process is.
find /sys/fs/cgroup -depth -type d \( -name "$CGROUP_PARENT" -o -path "*/$CGROUP_PARENT/*" \) -exec rmdir {} \; 2>/dev/null || true
rm -f "$PIDFILE"
rm -rf --one-file-system "$DATA_ROOT" "$EXEC_ROOT"
