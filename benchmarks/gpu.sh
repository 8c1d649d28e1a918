#!/usr/bin/env bash
# Every measurement of the project that wants a GPU, in one go, below 8 minutes.
#
#   ./benchmarks/gpu.sh             PYTHON=python3 chooses the interpreter
#   ./benchmarks/gpu.sh --dry_run   says what it would do
#
# Needs jax with CUDA, flax, optax, orbax, safetensors, tokenizers, transformers and jaxtyping; torch
# is the peer where it is installed. Neither a corpus nor grain, tensorflow-datasets, ml_collections
# or tensorboardX. Rows go to results/*.json and RESULTS.md. One that fails does not stop the others.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
source launch/shell.sh
sort_flags '' "$@"
python=${PYTHON:-python3}
failed=0

measure() {
  local minutes=$1
  shift
  PYTHONPATH=.${PYTHONPATH:+:$PYTHONPATH} run timeout "${minutes}m" "$python" "$@" || {
    echo "benchmarks/gpu.sh: $1 has failed, or took over $minutes minutes" >&2
    failed=1
  }
}

# Rows of another machine, or of other versions, do not mix with these: all are measured anew.
run rm -f benchmarks/results/crf_gpu.json benchmarks/results/losses_gpu.json
measure 4 benchmarks/gpu.py
measure 2.5 benchmarks/crf.py --platform gpu --only log_z,viterbi,kl --steps 128,512 --tags 17,64 \
  --minutes 1 --merge
measure 1.5 benchmarks/losses.py --platform gpu \
  --only word_alignment,structure_alignment,crf_kl,crf_posterior,token_alignment --merge
exit "$failed"
