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

ruff check .
ruff format --check .
mypy
pytest -m "not slow" "$@"
