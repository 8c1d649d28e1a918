# shellcheck shell=bash
# Sourced by the launchers for TPUs, after shell.sh.

# A slice as mmkd_jax.plan calls it, v5e:4x4 or v5p:2x2x4, in `generation`, `chips` and `shape`.
read_topology() {
  [[ $1 =~ ^(v4|v5e|v5p|v6e|tpu7x):([0-9]+)x([0-9]+)(x([0-9]+))?$ ]] ||
    fail "--topology must be like v5e:4x4 or v5p:2x2x4 (v4, v5e, v5p, v6e, tpu7x), got '$1'."
  generation=${BASH_REMATCH[1]}
  chips=$((BASH_REMATCH[2] * BASH_REMATCH[3] * ${BASH_REMATCH[5]:-1}))
  # shellcheck disable=SC2034 # of use to some
  shape=${1#*:}
}

# What Google calls it. The older and the largest ones are counted in cores, two a chip.
accelerator_type() {
  case $generation in
    v4 | v5p | tpu7x) echo "$generation-$((2 * chips))" ;;
    v5e) echo "v5litepod-$chips" ;;
    v6e) echo "v6e-$chips" ;;
  esac
}
