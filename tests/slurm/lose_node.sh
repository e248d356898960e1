#!/usr/bin/env bash
# A power cut: slurmd of the cluster in FOLDER, its jobs and all their processes are gone at once.
set -uo pipefail
folder=$(realpath -m "${1:?usage: lose_node.sh FOLDER}")

daemons=$(cat "$folder/run/slurmd.pid" 2>/dev/null)
jobs=
for step in $(ps -e -o pid=,comm= | awk '$2 == "slurmstepd" {print $1}'); do
  if [ "$(readlink "/proc/$step/cwd")" = "$folder/log" ]; then # not one of another cluster
    daemons+=" $step"
    session=$(ps -o sid= "$step") # a step and what it runs
    jobs+=" $(ps -e -o sid=,pid= | awk -v session="$session" '$1 == session + 0 {print $2}')"
  fi
done
kill -KILL $daemons 2>/dev/null # first, that they cannot tell how the jobs ended
kill -KILL $jobs 2>/dev/null
exit 0
