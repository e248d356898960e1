#!/usr/bin/env bash
# Ends what up.sh FOLDER started: jobs, daemons, links, FOLDER.
set -uo pipefail
folder=$(realpath -m "${1:?usage: down.sh FOLDER}")
source "$(dirname "$0")/alive.sh"

"$(dirname "$0")/lose_node.sh" "$folder"
for daemon in slurmctld munged; do
  pid=$(cat "$folder/run/$daemon.pid" 2>/dev/null) || continue
  alive "$pid" "$daemon" || continue # it has ended, and another may have its number
  kill -TERM "$pid"
  for _ in $(seq 100); do
    alive "$pid" || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null
done
for file in slurm.conf gres.conf; do
  [ "$(readlink "/etc/slurm/$file")" = "$folder/$file" ] && rm "/etc/slurm/$file"
done
rm -rf "$folder"
