#!/usr/bin/env bash
# A SLURM cluster of one node on this machine, for tests: no systemd, cgroups or accounting.
#     tests/slurm/up.sh FOLDER      … sinfo, sbatch, snakemake --profile workflow/profiles/slurm …
#     tests/slurm/down.sh FOLDER
# Everything lives in FOLDER but the link /etc/slurm/slurm.conf, by which all commands find it.
# Refuses (exit 77, the reason on stderr) where it cannot run or where SLURM is set up already.
# GPUS, CPUS, PORT: how many of each the node claims, the first of two free ports.
set -euo pipefail
folder=$(realpath -m "${1:?usage: up.sh FOLDER}")
host=$(hostname -s)
gpus=${GPUS:-4} cpus=${CPUS:-8} port=${PORT:-16817}
memory=$(( $(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 * 9 / 10 ))
PATH=$PATH:/usr/sbin:/sbin

refuse() { echo "$1" >&2; exit 77; }

[ "$(id -u)" = 0 ] || refuse "SLURM tests need root: daemons, device nodes, /etc/slurm"
for program in munged slurmctld slurmd sbatch srun mknod; do
  command -v "$program" >/dev/null || refuse "$program is not installed; apt-get install slurm-wlm munge"
done
if [ -e /etc/slurm/slurm.conf ] || [ -L /etc/slurm/slurm.conf ] || [ -n "${SLURM_CONF:-}" ]; then
  refuse "SLURM is set up here already: ${SLURM_CONF:-/etc/slurm/slurm.conf}"
fi
[ ! -e /etc/slurm/gres.conf ] || refuse "SLURM is set up here already: /etc/slurm/gres.conf"
if timeout 10 scontrol ping 2>/dev/null | grep -q "is UP"; then
  refuse "a SLURM controller answers already"
fi

mkdir -p "$folder"/{munge,run,state,spool,log} /etc/slurm
chmod 755 "$folder" "$folder/run"
chmod 700 "$folder/munge"
head -c 1024 /dev/urandom > "$folder/munge/munge.key"
chmod 400 "$folder/munge/munge.key"

for i in $(seq 0 $((gpus - 1))); do # a GPU must be a device: each is another /dev/null
  mknod "$folder/gpu$i" c 1 3 || refuse "device nodes cannot be made here"
done
echo "NodeName=$host Name=gpu File=$folder/gpu[0-$((gpus - 1))]" > "$folder/gres.conf"

# cred_expire: what was requeued starts after so many seconds, not after two minutes.
# SlurmdTimeout: a node that is silent so long is lost.   KillWait: from SIGTERM to SIGKILL.
# config_overrides: the node may claim more CPUs than there are.
cat > "$folder/slurm.conf" <<CONF
ClusterName=tests
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
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
SlurmdTimeout=5
ReturnToService=2
KillWait=10
InactiveLimit=0
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory Gres=gpu:$gpus State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
ln -s "$folder"/slurm.conf "$folder"/gres.conf /etc/slurm/

munged --key-file="$folder/munge/munge.key" --socket="$folder/run/munge.socket" \
       --pid-file="$folder/run/munged.pid" --log-file="$folder/munge/munged.log" \
       --seed-file="$folder/munge/seed" --force
slurmctld -c
slurmd -N "$host"
for _ in $(seq 100); do # both have gone to the background before they know whether they can work
  if timeout 10 sinfo --noheader --format %T 2>/dev/null | grep -q idle; then
    exit 0
  fi
  if grep -h "fatal:" "$folder"/log/*.log >&2; then
    break
  fi
  sleep 0.1
done
tail -n 20 "$folder"/log/slurm*.log >&2
"$(dirname "$0")/down.sh" "$folder"
exit 1
