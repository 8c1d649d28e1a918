#!/usr/bin/env bash
# Runs all tests. Needs python3 (3.11 or newer) with pip, and nothing else.
#
#   ./launch/test.sh                        everything
#   ./launch/test.sh tests/crf -k viterbi   arguments go to pytest
#   PYTHON=python3.12 ./launch/test.sh      under another interpreter
#
# The first run makes .venv in the checkout and installs into it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/shell.sh
source launch/venv.sh

make_venv test '[test]'
echo "== Running the tests with $("$venv/bin/python" -V): pytest -n 2 $*"
exec "$venv/bin/python" -m pytest -n 2 "$@"
