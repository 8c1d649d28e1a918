#!/usr/bin/env bash
# Runs all tests. Needs python3 (3.11 or newer) with pip, and nothing else.
#
#   ./launch/test.sh                        everything
#   ./launch/test.sh tests/crf -k viterbi   arguments go to pytest
#   PYTHON=python3.12 ./launch/test.sh      under another interpreter
#
# The first run makes .venv in the checkout and installs into it. Later runs use it as it is: it
# is made anew when the interpreter changes, and updated when the dependencies change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
venv=.venv
stamp=$venv/installed.txt # first line: what the venv was made for; second: what was installed

fail() {
  echo "launch/test.sh: $*" >&2
  exit 1
}

version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])') ||
  fail "cannot run '$python'. PYTHON=/path/to/python3 chooses an interpreter."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "needs Python 3.11 or newer, but '$python' is $version." \
    "PYTHON=/path/to/a/newer/python3 chooses another."

# Scripts in a venv hold absolute paths, so a checkout that was moved needs a new one.
made_for="Python $version of $("$python" -c 'import sys; print(sys.base_prefix)') in $PWD"
installed=$("$python" -c '
import hashlib, pathlib, sys
print(hashlib.sha256(b"".join(pathlib.Path(name).read_bytes() for name in sys.argv[1:])).hexdigest())
' setup.py pyproject.toml mmkd_jax/_version.py launch/quickstart.txt)

old_made_for='' old_installed=''
if [[ -f $stamp ]] && "$venv/bin/python" -c '' 2>/dev/null; then
  { read -r old_made_for && read -r old_installed; } <"$stamp" || true
fi

if [[ $old_made_for != "$made_for" ]]; then
  echo "== Making $venv with Python $version"
  if ! "$python" -m venv --clear "$venv" >/dev/null 2>&1; then
    # Some systems split ensurepip off from Python: the interpreter's own pip fills the venv then.
    "$python" -m venv --clear --without-pip "$venv" || fail "cannot make a virtual environment."
    "$python" -m pip --python "$venv/bin/python" install --quiet pip ||
      fail "'$python' has neither ensurepip nor pip 22.3 or newer: install one of them."
  fi
fi
if [[ $old_made_for != "$made_for" || $old_installed != "$installed" ]]; then
  echo "== Installing mmkd_jax and what its tests need into $venv (a minute or two)"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[test]' &&
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
      --requirement launch/quickstart.txt ||
    fail "the installation failed, see above."
  printf '%s\n' "$made_for" "$installed" >"$stamp"
fi

echo "== Running the tests with Python $version: pytest -n 2 $*"
exec "$venv/bin/python" -m pytest -n 2 "$@"
