#!/usr/bin/env bash
# Installs what the tests need, then checks style and types and runs the tests that are quick.
#
#     bash scripts/test.sh                      # everything but the slow proofs
#     bash scripts/test.sh tests/plan -k share  # arguments go to pytest
#     bash scripts/test.sh -m slow              # a later -m wins: the slow proofs
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/venv.sh"

cd "$root"
install quickstart,test
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # the tests run on all cores, a file on one of them

ruff check .
ruff format --check .
mypy
pytest -n auto --dist loadfile -m "not slow" "$@"
