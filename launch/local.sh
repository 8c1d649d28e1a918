#!/usr/bin/env bash
# Trains on this machine. Needs python3 (3.11 or newer) with pip, and nothing else.
#
#   ./launch/local.sh                                        the quickstart
#   ./launch/local.sh --config=configs/pulse.py              another config
#   ./launch/local.sh --config=C --workdir=DIR --config.batch_size=64
#
# Everything goes to `python -m mmkd_jax.train`. Without --workdir the run lives in runs/NAME of the
# config. The same command again continues a run that was stopped. The first run makes .venv in the
# checkout and installs into it, with CUDA where there is an NVIDIA GPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/venv.sh

config='' workdir=''
for argument in "$@"; do
  case $argument in
    --config=*) config=${argument#--config=} ;;
    --workdir=*) workdir=${argument#--workdir=} ;;
    --config | --workdir) fail "write ${argument}=VALUE, with an equals sign." ;;
  esac
done
flags=("$@")
if [[ -z $config ]]; then
  config=configs/quickstart.py
  flags+=("--config=$config")
fi
if [[ -z $workdir ]]; then
  name=${config##*/}
  workdir=runs/${name%%.py*}
  flags+=("--workdir=$workdir")
fi

accelerator=''
if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
  accelerator='[cuda]'
fi
make_venv local "$accelerator"
echo "== Training: python -m mmkd_jax.train ${flags[*]}"
exec "$venv/bin/python" -m mmkd_jax.train "${flags[@]}"
