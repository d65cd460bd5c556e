#!/usr/bin/env bash
# Slurm on one node, for as long as a command takes: unshare --net slurm-node.sh FOLDER COMMAND...
# In a network of its own, whose address no other program shares.
set -euo pipefail
folder=$1 address=10.9.0.1 name=$(hostname -s)
shift
mkdir -p "$folder"/{munge,state,spool,log}
ip link set lo up
# Slurm looks for an address that is not loopback.
ip link add eth0 type veth peer name eth1
ip address add $address/24 dev eth0
ip link set eth1 up
ip link set eth0 up
chmod 700 "$folder/munge"
(umask 077; head -c 1024 /dev/urandom > "$folder/munge/key")
munged --force --socket="$folder/munge.sock" --key-file="$folder/munge/key" --pid-file="$folder/munge/pid" \
  --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
cat > "$folder/slurm.conf" <<C
ClusterName=test
SlurmctldHost=$name($address)
SlurmUser=root
AuthInfo=socket=$folder/munge.sock
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
NodeName=$name NodeAddr=$address CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
C
export SLURM_CONF=$folder/slurm.conf
slurmctld -D &
controller=$!
slurmd -D &
node=$!
trap 'kill $controller $node $(cat "$folder/munge/pid"); wait' EXIT
for _ in $(seq 30); do
  [ "$(sinfo --noheader --format=%T)" = idle ] && break
  sleep 1
done
"$@"
