#!/usr/bin/env bash
# A power cut: a node of the cluster in FOLDER, its jobs and all their processes are gone at once.
#     tests/slurm/lose_node.sh FOLDER [NODE]      all nodes, if none is named
set -uo pipefail
folder=$(realpath -m "${1:?usage: lose_node.sh FOLDER [NODE]}")
node=${2:-*}
source "$(dirname "$0")/alive.sh"

daemons=
jobs=
for pid in $(cat "$folder"/run/slurmd-$node.pid 2>/dev/null); do
  if alive "$pid" slurmd; then daemons+=" $pid"; fi
done
for step in $(ps -e -o pid=,comm= | awk '$2 == "slurmstepd" {print $1}'); do
  if [[ $(readlink "/proc/$step/cwd") == "$folder/log/"$node ]]; then # of no other cluster or node
    daemons+=" $step"
    session=$(ps -o sid= "$step") # a step and what it runs
    jobs+=" $(ps -e -o sid=,pid= | awk -v session="$session" '$1 == session + 0 {print $2}')"
  fi
done
kill -KILL $daemons 2>/dev/null # first, that they cannot tell how the jobs ended
kill -KILL $jobs 2>/dev/null
exit 0
