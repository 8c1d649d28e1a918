#!/usr/bin/env bash
# Trains in a GKE cluster, on TPU slices or on nodes with GPUs.
#
#   ./launch/gke/jobset.sh --name=mmkd --image=REGION-docker.pkg.dev/PROJECT/REPO/mmkd_jax:1 --build \
#       --topology=v6e:4x4 --config=configs/mmkd.py --workdir=gs://BUCKET/runs/mmkd
#   ./launch/gke/jobset.sh --name=mmkd --image=IMAGE --gpus=nvidia-h100-80gb:8 --hosts=2 \
#       --config=configs/mmkd.py --workdir=gs://BUCKET/runs/mmkd
#
#   --topology=v6e:4x4   as mmkd_jax.plan takes it: v4, v5e, v5p, v6e, tpu7x
#   --slices=N           several slices
#   --build              builds the image of this checkout and pushes it first
#   --dry_run            says what it would do, with the whole JobSet
#
# The JobSet is jobset_tpu.yaml or jobset_gpu.yaml with these values. A run that is preempted goes on
# by itself. `kubectl delete jobset NAME` ends it, and makes room for the same command again after an
# error; the node pool costs until it is scaled down.
# Needs docker, kubectl with the cluster's credentials, and JobSet in the cluster (README.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source launch/shell.sh
source launch/topology.sh

name='' image='' topology='' slices='' gpus='' hosts='' build=''
sort_flags 'name= image= topology= slices= gpus= hosts= build' "$@"
need_options name image
need_flags config workdir
[[ $name =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ ]] ||
  fail "--name must be of small letters, digits and hyphens, got '$name'."
mount_buckets

# A list of texts as YAML (and JSON) writes it.
list_of() {
  local text line=''
  for text in "$@"; do
    text=${text//\\/\\\\}
    line+="\"${text//\"/\\\"}\", "
  done
  printf '[%s]\n' "${line%, }"
}

case "${topology:+tpu}${gpus:+gpu}" in
  tpu)
    read_topology "$topology"
    accelerator=tpu
    case $generation in
      v4) kind=tpu-v4-podslice ;;
      v5e) kind=tpu-v5-lite-podslice ;;
      v5p) kind=tpu-v5p-slice ;;
      v6e) kind=tpu-v6e-slice ;;
      tpu7x) kind=tpu7x ;;
    esac
    each=$((chips < 4 ? chips : 4))
    hosts=$((chips / each))
    ;;
  gpu)
    [[ $gpus =~ ^([a-z0-9-]+):([0-9]+)$ ]] ||
      fail "--gpus must be like nvidia-h100-80gb:8, the kind and the number on a host, got '$gpus'."
    accelerator=cuda
    kind=${BASH_REMATCH[1]}
    each=${BASH_REMATCH[2]}
    hosts=${hosts:-1}
    slices=1
    ;;
  *) fail "one of --topology and --gpus says what to train on." ;;
esac

filled() {
  local line indent
  while IFS= read -r line; do
    indent=${line%%[! ]*}
    case ${line#"$indent"} in
      \#*) continue ;;
      'replicas: '*) line="${indent}replicas: ${slices:-1}" ;;
      'parallelism: '*) line="${indent}parallelism: $hosts" ;;
      'completions: '*) line="${indent}completions: $hosts" ;;
      'value: "'*) line="${indent}value: \"$hosts\"" ;;
      'cloud.google.com/gke-tpu-accelerator: '*) line="${line%%:*}: $kind" ;;
      'cloud.google.com/gke-tpu-topology: '*) line="${line%%:*}: $shape" ;;
      'cloud.google.com/gke-accelerator: '*) line="${line%%:*}: $kind" ;;
      'google.com/tpu: '* | 'nvidia.com/gpu: '*) line="${line%%:*}: $each" ;;
      'image: '*) line="${indent}image: $image" ;;
      'args: '*) line="${indent}args: $(list_of "${flags[@]}")" ;;
    esac
    printf '%s\n' "${line//mmkd-run/$name}"
  done <"launch/gke/jobset_${accelerator/cuda/gpu}.yaml"
}

if [[ -n $build ]]; then
  run docker build --file launch/gke/Dockerfile --build-arg "ACCELERATOR=$accelerator" \
    --tag "$image" .
  run docker push "$image"
fi
if [[ -n $dry_run ]]; then
  say "kubectl create --filename - with:"
  filled
else
  filled | kubectl create --filename -
fi
say "its log:  kubectl logs --follow --selector=jobset.sigs.k8s.io/jobset-name=$name"
say "ends it:  kubectl delete jobset $name"
