#!/usr/bin/env bash
# Trains in a GKE cluster that xpk has made, on TPU slices: v4 to v6e, and TPU7x, which is to be had
# nowhere else.
#
#   ./launch/gke/xpk.sh --cluster=C --zone=us-central1-c --name=mmkd --topology=tpu7x:4x4x4 \
#       --image=REGION-docker.pkg.dev/PROJECT/REPO/mmkd_jax:1 \
#       --config=configs/mmkd.py --workdir=gs://BUCKET/runs/mmkd
#
#   --slices=N     several slices
#   --project=P    other than gcloud's
#   --build        builds the image of this checkout and pushes it first
#   --dry_run      says what it would do
#
# Restarts 100 times at most, where it was preempted or asked to stop; `xpk workload delete` ends it.
# Needs xpk (pip install xpk==1.16.0), and the bucket attached to the cluster at /gcs/BUCKET
# (README.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source launch/shell.sh
source launch/topology.sh

cluster='' zone='' project='' name='' topology='' slices='' image='' build=''
sort_flags 'cluster= zone= project= name= topology= slices= image= build' "$@"
need_options cluster zone name topology image
need_flags config workdir
read_topology "$topology"
mount_buckets
# By its shape, v5litepod-4x4: several shapes have the same number of chips.
type=$(accelerator_type)
type=${type%-*}-$shape

if [[ -n $build ]]; then
  run docker build --file launch/gke/Dockerfile --build-arg ACCELERATOR=tpu --tag "$image" .
  run docker push "$image"
fi
run xpk workload create "--cluster=$cluster" "--zone=$zone" ${project:+"--project=$project"} \
  "--workload=$name" "--tpu-type=$type" "--num-slices=${slices:-1}" \
  "--docker-image=$image" "--command=python -m mmkd_jax.train $(quoted "${flags[@]}")" \
  --max-restarts=100 --restart-on-exit-codes=75 --termination-grace-period-seconds=120
say "its log:  kubectl logs --follow --selector=jobset.sigs.k8s.io/jobset-name=$name"
say "ends it:  xpk workload delete --cluster=$cluster --zone=$zone --workload=$name"
