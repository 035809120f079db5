#!/bin/bash
# fifo-keeper.sh CONTROL: holds FIFOs open, so that what is in them outlives their writer while no daemon reads.
# Lines on the FIFO CONTROL: `hold PATH`, `drop PATH`. Ends when CONTROL is gone.
trap '' HUP INT PIPE
exec 3<>"$1"
declare -A held
let_go() { local fd=${held[$1]}; [ -z "$fd" ] || { exec {fd}>&-; unset "held[\$1]"; }; }
while [ -p "$1" ]; do
  IFS= read -r -t 60 -u 3 line || continue
  path=${line#* }
  # The name may belong to a new FIFO by now; whoever says `hold` has it open meanwhile.
  let_go "$path"
  # Opening would make a plain file of a FIFO that is removed already: its process was over before this line was read.
  [ -p "$path" ] || continue
  case $line in hold\ *) { exec {fd}<>"$path"; } 2>/dev/null && held[$path]=$fd ;; esac
done
