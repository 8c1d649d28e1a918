# shellcheck shell=bash
# Sourced by the launchers, after shell.sh: makes .venv in the checkout, and installs into it what is
# missing.
#
#   make_venv NAME EXTRAS [PIP ARGUMENTS]      e.g. make_venv test '[test]'
#
# PYTHON chooses the interpreter. The venv is made anew when the interpreter changes or the checkout
# moves, and updated when the dependencies change; otherwise it is used as it is.

venv=.venv
python=${PYTHON:-python3}

install() {
  run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

install_all() {
  local extras=$1
  shift
  # The quickstart's wheels ask for PyTorch, which nothing here uses.
  install "$@" --editable ".$extras" && install --no-deps --requirement launch/quickstart.txt
}

make_venv() {
  local name=$1 extras=$2 version made_for wanted
  shift 2
  if [[ -n $dry_run ]]; then
    say "unless it is there:"
    run "$python" -m venv --clear "$venv"
    install_all "$extras" "$@"
    return
  fi
  version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])') ||
    fail "cannot run '$python'. PYTHON=/path/to/python3 chooses an interpreter."
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "needs Python 3.11 or newer, but '$python' is $version." \
      "PYTHON=/path/to/a/newer/python3 chooses another."
  # Scripts in a venv hold absolute paths, so a checkout that was moved needs a new one.
  made_for="Python $version of $("$python" -c 'import sys; print(sys.base_prefix)') in $PWD"
  wanted=$("$python" -c '
import hashlib, pathlib, sys
print(hashlib.sha256(b"".join(pathlib.Path(name).read_bytes() for name in sys.argv[2:])).hexdigest(), sys.argv[1])
' "$extras $*" setup.py pyproject.toml mmkd_jax/_version.py launch/quickstart.txt launch/versions.txt)

  if [[ $(cat "$venv/made_for.txt" 2>/dev/null) != "$made_for" ]] ||
    ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "== Making $venv with Python $version"
    if ! "$python" -m venv --clear "$venv" >/dev/null 2>&1; then
      # Some systems split ensurepip off from Python: its own pip fills the venv then.
      "$python" -m venv --clear --without-pip "$venv" || fail "cannot make a virtual environment."
      "$python" -m pip --python "$venv/bin/python" install --quiet pip ||
        fail "'$python' has neither ensurepip nor pip 22.3 or newer: install one of them."
    fi
    printf '%s\n' "$made_for" >"$venv/made_for.txt"
  fi
  if [[ $(cat "$venv/installed_for_$name.txt" 2>/dev/null) != "$wanted" ]]; then
    echo "== Installing mmkd_jax and what it needs into $venv (a minute or two)"
    install_all "$extras" "$@" || fail "the installation failed, see above."
    printf '%s\n' "$wanted" >"$venv/installed_for_$name.txt"
  fi
}
