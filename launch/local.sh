#!/usr/bin/env bash
# Trains on this machine. Needs python3 (3.11 or newer) with pip, and nothing else.
#
#   ./launch/local.sh                                        the quickstart
#   ./launch/local.sh --config=configs/pulse.py              another config
#   ./launch/local.sh --config=C --workdir=DIR --config.batch_size=64
#   ./launch/local.sh --dry_run                              says what it would do
#
# Everything else goes to `python -m mmkd_jax.train`. Without --workdir the run lives in runs/NAME of
# the config. The same command again continues a run that was stopped. The first run makes .venv in
# the checkout and installs into it, with CUDA where there is an NVIDIA GPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/shell.sh
source launch/venv.sh

sort_flags '' "$@"
config=$(value_of config)
if [[ -z $config ]]; then
  config=configs/quickstart.py
  flags+=("--config=$config")
fi
if [[ -z $(value_of workdir) ]]; then
  name=${config##*/}
  flags+=("--workdir=runs/${name%%.py*}")
fi

accelerator=''
if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
  accelerator='[cuda]'
fi
make_venv local "$accelerator"
[[ -n $dry_run ]] || echo "== Training: python -m mmkd_jax.train ${flags[*]}"
# On a CPU a quarter of a step would go into first touches of memory, page by page: huge pages are
# touched once. Only glibc knows the word, and only while a process starts.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}
run exec "$venv/bin/python" -m mmkd_jax.train "${flags[@]}"
