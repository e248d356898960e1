#!/usr/bin/env bash
# A SLURM cluster on this machine, for tests: no systemd, cgroups or accounting.
#     tests/slurm/up.sh FOLDER      … sinfo, sbatch, snakemake --profile workflow/profiles/slurm …
#     tests/slurm/down.sh FOLDER
# Everything lives in FOLDER but the link /etc/slurm/slurm.conf, by which all commands find it.
# Refuses (exit 77, the reason on stderr) where it cannot run or where SLURM is set up already.
# What a killed test has left is removed first: links to nothing, a cluster of this script that has lost
# its controller or its OWNER.
# NODES, and what each claims: GPUS, CPUS, MEMORY. PORT: the first of NODES + 1 free ports.
# OWNER: a process; when it ends, however that happens, the cluster ends within a second.
set -euo pipefail
folder=$(realpath -m "${1:?usage: up.sh FOLDER}")
host=$(hostname -s)
nodes=${NODES:-1} gpus=${GPUS:-2} cpus=${CPUS:-2} memory=${MEMORY:-16000} port=${PORT:-16817}
PATH=$PATH:/usr/sbin:/sbin

refuse() { echo "$1" >&2; exit 77; }

[ "$(id -u)" = 0 ] || refuse "SLURM tests need root: daemons, device nodes, /etc/slurm"
for program in munged slurmctld slurmd sbatch srun mknod; do
  command -v "$program" >/dev/null || refuse "$program is not installed; apt-get install slurm-wlm munge"
done
here=$(realpath "$(dirname "$0")")
source "$here/alive.sh"

remove_unused() {
  local file old
  [ -L "$1" ] || return 0
  file=$(readlink "$1")
  old=$(dirname "$file")
  if [ ! -e "$1" ]; then
    ps -C slurmctld,slurmd -o stat= | grep -qv ^Z || rm "$1"
  elif [ -e "$old/owner" ] && grep -qsx "ClusterName=tests" "$old/slurm.conf"; then
    alive "$(cat "$old/run/slurmctld.pid" 2>/dev/null)" slurmctld && alive "$(cat "$old/owner")" ||
      "$here/down.sh" "$old"
  fi
}
remove_unused /etc/slurm/slurm.conf
remove_unused /etc/slurm/gres.conf
if [ -e /etc/slurm/slurm.conf ] || [ -L /etc/slurm/slurm.conf ] || [ -n "${SLURM_CONF:-}" ]; then
  refuse "SLURM is set up here already: ${SLURM_CONF:-/etc/slurm/slurm.conf}"
fi
[ ! -e /etc/slurm/gres.conf ] || refuse "SLURM is set up here already: /etc/slurm/gres.conf"
if timeout 10 scontrol ping 2>/dev/null | grep -q "is UP"; then
  refuse "a SLURM controller answers already"
fi

done=
trap '[ -n "$done" ] || "$here/down.sh" "$folder"' EXIT # nothing is left of half a cluster
trap 'exit 1' INT TERM HUP
mkdir -p "$folder"/{munge,run,state,spool,log} /etc/slurm
chmod 755 "$folder" "$folder/run"
chmod 700 "$folder/munge"
head -c 1024 /dev/urandom > "$folder/munge/munge.key"
chmod 400 "$folder/munge/munge.key"

for i in $(seq 0 $((gpus - 1))); do # a GPU must be a device: each is another /dev/null
  mknod "$folder/gpu$i" c 1 3 || refuse "device nodes cannot be made here"
done
echo "Name=gpu File=$folder/gpu[0-$((gpus - 1))]" > "$folder/gres.conf"

# cred_expire: what was requeued starts after so many seconds, not after two minutes.
# SlurmdTimeout: a node that is silent so long is lost.   KillWait: from SIGTERM to SIGKILL.
# config_overrides: the nodes may claim more than there is.
cat > "$folder/slurm.conf" <<CONF
ClusterName=tests
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=$port
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/%n/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/jobs.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=100000
MinJobAge=3600
DefMemPerCPU=500
MessageTimeout=10
SlurmdTimeout=10
ReturnToService=2
KillWait=60
InactiveLimit=0
GresTypes=gpu
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
NodeName=DEFAULT CPUs=$cpus RealMemory=$memory Gres=gpu:$gpus State=UNKNOWN
CONF
for i in $(seq "$nodes"); do
  mkdir -p "$folder/log/node$i"
  echo "NodeName=node$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + i))" >> "$folder/slurm.conf"
done
echo "${OWNER:=1}" > "$folder/owner"
if [ "$OWNER" != 1 ]; then
  watch='source "$1/alive.sh"; while sleep 1 && [ -e "$2/owner" ]; do alive "$3" || exec "$1/down.sh" "$2"; done'
  setsid bash -c "$watch" watch "$here" "$folder" "$OWNER" </dev/null >/dev/null 2>&1 &
fi
ln -s "$folder"/slurm.conf "$folder"/gres.conf /etc/slurm/

munged --key-file="$folder/munge/munge.key" --socket="$folder/run/munge.socket" \
       --pid-file="$folder/run/munged.pid" --log-file="$folder/munge/munged.log" \
       --seed-file="$folder/munge/seed" --force
slurmctld -c
for i in $(seq "$nodes"); do
  slurmd -N "node$i"
done
for _ in $(seq 100); do # both have gone to the background before they know whether they can work
  if [ "$(timeout 10 sinfo --noheader --Node --format %T 2>/dev/null | grep -c idle)" = "$nodes" ]; then
    done=1
    exit 0
  fi
  if grep -rh "fatal:" "$folder/log" >&2; then
    break
  fi
  sleep 0.1
done
tail -n 20 "$folder"/log/*.log "$folder"/log/*/*.log >&2
exit 1
