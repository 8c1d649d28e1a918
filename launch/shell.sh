# shellcheck shell=bash
# Sourced by the launchers: failing, --dry_run, and what flags mean.

dry_run=''

fail() {
  echo "$0: $*" >&2
  exit 1
}

# As one would type it.
quoted() {
  local word line=''
  for word in "$@"; do
    if [[ ! $word =~ ^[A-Za-z0-9_./:=,@%+~^-]+$ ]]; then
      word="'${word//\'/\'\\\'\'}'"
    fi
    line+="$word "
  done
  printf '%s\n' "${line% }"
}

# Does it, or with --dry_run says it.
run() {
  if [[ -n $dry_run ]]; then
    quoted "$@"
  else
    "$@"
  fi
}

# What comes between commands: remarks of a dry run, and of a run.
say() {
  echo "# $*"
}

# Sorts arguments. Those that the launcher knows become variables, all others go to
# `python -m mmkd_jax.train` as they are, in `flags`. Known are given by name, with "=" if they take a
# value:
#
#   zone='' spot=''
#   sort_flags 'zone= spot' "$@"
flags=()
sort_flags() {
  local known=" $1 " given key
  shift
  for given in "$@"; do
    key=${given#--}
    key=${key%%=*}
    case $given in
      --dry_run) dry_run=yes ;;
      --config | --workdir) fail "write $given=VALUE, with an equals sign." ;;
      --?*=*)
        if [[ $known == *" $key= "* ]]; then
          printf -v "$key" '%s' "${given#*=}"
        else
          flags+=("$given")
        fi
        ;;
      *)
        if [[ $known == *" $key "* ]]; then
          printf -v "$key" yes
        elif [[ $known == *" $key= "* ]]; then
          fail "write $given=VALUE, with an equals sign."
        else
          flags+=("$given")
        fi
        ;;
    esac
  done
}

# The value of a flag that goes to the trainer, or nothing.
value_of() {
  local flag
  for flag in ${flags[@]+"${flags[@]}"}; do
    if [[ $flag == "--$1="* ]]; then
      printf '%s\n' "${flag#*=}"
    fi
  done
}

# Stops unless there are these flags for the trainer.
need_flags() {
  local wanted
  for wanted in "$@"; do
    [[ -n $(value_of "$wanted") ]] || fail "--$wanted=VALUE is missing."
  done
}

# Stops unless the launcher itself was told these.
need_options() {
  local wanted
  for wanted in "$@"; do
    [[ -n ${!wanted} ]] || fail "--$wanted=VALUE is missing."
  done
}

# Machines of the cloud have all buckets that they may use below /gcs, by gcsfuse: gs://BUCKET/PATH,
# of whatever flag, is /gcs/BUCKET/PATH there.
mount_buckets() {
  flags=("${flags[@]/=gs:\/\//=/gcs/}")
}
