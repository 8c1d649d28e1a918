#!/usr/bin/env bash
# Trains on TPU VMs of Google Cloud (v4, v5e, v5p, v6e) that it asks for and gives back.
#
#   ./launch/tpu_vm.sh --name=mmkd --zone=us-west4-a --topology=v5e:4x4 --spot \
#       --config=configs/mmkd.py --workdir=gs://BUCKET/runs/mmkd
#
# creates a queued resource, waits for it, installs this checkout on all workers, starts training on
# all of them, and follows the first one's log. After a preemption it begins again, and training
# goes on where it was. When training is finished, or has failed, the TPU is deleted. If this machine
# loses its connection, the same command finds the TPU and follows again.
#
#   --topology=v5e:4x4   as mmkd_jax.plan takes it, which says beforehand whether a config fits
#   --slices=N           several slices, joined by the data-centre network
#   --spot               cheaper, and taken away at any moment
#   --project=P          other than gcloud's
#   --keep               deletes nothing at the end
#   --dry_run            says what it would do
#
# One step of it by itself, by its name in front: create, wait, setup, start, follow, status, delete.
# Needs gcloud, a quota for the TPU, and a bucket with a hierarchical namespace (README.md beside).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/shell.sh
source launch/topology.sh

name='' zone='' project='' topology='' slices='' spot='' keep=''
step=everything
case ${1:-} in
  create | wait | setup | start | follow | status | delete)
    step=$1
    shift
    ;;
esac
sort_flags 'name= zone= project= topology= slices= spot keep' "$@"

queue() {
  local action=$1
  shift
  run gcloud compute tpus queued-resources "$action" "$name" "--zone=$zone" \
    ${project:+"--project=$project"} "$@"
}

everywhere() { queue ssh --node=all --worker=all "--command=$1"; }

# ACTIVE, SUSPENDED, ...; nothing if there is no such resource. Fails if the cloud does not answer,
# which `describe` would not tell apart.
state() {
  run gcloud compute tpus queued-resources list "--zone=$zone" ${project:+"--project=$project"} \
    "--filter=name~(^|/)$name\$" '--format=value(state.state)'
}

create() {
  need_options topology
  read_topology "$topology"
  local runtime nodes
  case $generation in
    v4) runtime=tpu-ubuntu2204-base ;;
    v5e) runtime=v2-alpha-tpuv5-lite ;;
    v5p) runtime=v2-alpha-tpuv5 ;;
    v6e) runtime=v2-alpha-tpuv6e ;;
    *) fail "$generation is to be had in GKE only: launch/gke." ;;
  esac
  nodes=("--node-id=$name")
  if ((${slices:-1} > 1)); then
    nodes=("--node-count=$slices" "--node-prefix=$name")
  fi
  queue create "${nodes[@]}" "--accelerator-type=$(accelerator_type)" \
    "--runtime-version=$runtime" ${spot:+--spot}
}

delete() { queue delete --force --quiet; }

await() {
  if [[ -n $dry_run ]]; then
    say "every 30 seconds, until it says ACTIVE:"
    state
    return
  fi
  local now before=''
  while true; do
    now=$(state) || now='out of reach'
    case $now in
      ACTIVE) return ;;
      '' | SUSPENDING | SUSPENDED) return 1 ;;
      FAILED)
        queue describe '--format=yaml(state)' || true # says why
        return 1
        ;;
    esac
    [[ $now == "$before" ]] || say "$(date +%T) $name is $now"
    before=$now
    sleep 30
  done
}

setup() {
  local archive=mmkd_jax.tar.gz folder
  if [[ -z $dry_run ]]; then
    folder=$(mktemp -d)
    archive=$folder/$archive
  fi
  run tar -czf "$archive" setup.py pyproject.toml MANIFEST.in README.md LICENSE launch configs mmkd_jax &&
    run gcloud compute tpus queued-resources scp "$archive" "$name:mmkd_jax.tar.gz" "--zone=$zone" \
      ${project:+"--project=$project"} --node=all --worker=all || return
  # Their own Python is 3.10. uv brings another one.
  # shellcheck disable=SC2016 # expands there, not here
  everywhere 'set -e
rm -rf ~/mmkd_jax && mkdir ~/mmkd_jax && tar -xzf ~/mmkd_jax.tar.gz -C ~/mmkd_jax && cd ~/mmkd_jax
python3 -m pip install --quiet --user uv==0.13.8
python3 -m uv venv --quiet --python 3.11 .venv
python3 -m uv pip install --quiet --python .venv/bin/python --constraint launch/versions.txt ".[tpu]"
sudo launch/gcsfuse.sh "$USER"
touch is_set_up'
}

# Sets up what is not: all workers if one of them is not. Fails if one does not answer. What trains is
# never set up anew, which would take its files and its lock away.
setup_if_needed() {
  local missing
  missing=$(everywhere 'test -e ~/mmkd_jax/is_set_up || echo missing') || return
  [[ $missing != *missing* ]] || setup
}

start() {
  need_flags config workdir
  mount_buckets
  # The lock keeps a second one out where training goes on already.
  everywhere "cd ~/mmkd_jax
mountpoint --quiet /gcs || gcsfuse --implicit-dirs /gcs || exit 1
cat >train.sh <<'END'
rm -f exit_code
.venv/bin/python -m mmkd_jax.train $(quoted "${flags[@]}")
echo \$? >exit_code
END
setsid nohup flock --nonblock --conflict-exit-code=0 train.lock bash train.sh >>log 2>&1 </dev/null &
sleep 2"
}

# Shows the first worker's log until training ends there.
follow() {
  queue ssh "--command=cd ~/mmkd_jax
tail -n +1 --retry -F log --pid=\$\$ &
while [[ ! -e exit_code ]]; do sleep 10; done
sleep 2"
}

# The exit code of training; nothing if it goes on, or cannot be asked.
exit_code() { queue ssh '--command=cat ~/mmkd_jax/exit_code' 2>/dev/null || true; }

finish() {
  if [[ -n $keep ]]; then
    say "$name is kept, and costs; delete it with: launch/tpu_vm.sh delete --name=$name --zone=$zone"
  else
    delete
  fi
}

everything() {
  local code now tries=0
  [[ -n $dry_run ]] || state >/dev/null || fail "gcloud does not answer, see above."
  while true; do
    if [[ -n $dry_run ]] || { now=$(state) && [[ -z $now ]]; }; then
      create
    fi
    if ! await; then
      say "$name was taken away, or could not be had: once more"
      delete || true
      sleep 30
      continue
    fi
    if [[ -n $dry_run ]]; then
      say "unless it is there:"
      setup
    elif ! setup_if_needed; then
      tries=$((tries + 1))
      if ((tries == 3)); then
        finish
        fail "$name could not be set up, see above."
      fi
      say "$name could not be set up, or is gone: once more"
      sleep 30
      continue
    fi
    tries=0
    start || true
    follow || true
    if [[ -n $dry_run ]]; then
      say "after exit code 75 (it has saved, and is to be started again) start and follow once more;"
      say "if the TPU is SUSPENDED (preempted) or FAILED, delete and begin at create; otherwise:"
      exit_code
      finish
      return
    fi
    code=$(exit_code)
    case $code in
      0)
        finish
        return
        ;;
      75) say "it was asked to stop, and has saved: once more" ;;
      '') say "no answer from $name: once more" && sleep 30 ;;
      *)
        finish
        fail "training ended with exit code $code, see above."
        ;;
    esac
  done
}

need_options name zone
case $step in
  everything)
    need_options topology
    need_flags config workdir
    everything
    ;;
  wait) await || fail "$name is gone: $(state)" ;;
  status) queue describe ;;
  *) "$step" ;;
esac
