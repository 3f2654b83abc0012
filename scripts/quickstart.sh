#!/usr/bin/env bash
# Installs the project, trains four tasks on support tickets in about two minutes on 2 cores, scores them on sentences that
# training never saw, and answers three new tickets. Needs Python 3.11 and a package registry; no GPU and no other network.
#
#     bash scripts/quickstart.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/venv.sh"

cd "$root"
install quickstart
export HF_HUB_OFFLINE=1
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
SECONDS=0

python scripts/make_tickets.py --out data/tickets
mtl train configs/quickstart.yaml --overwrite
mtl evaluate runs/quickstart/best configs/quickstart.yaml --split test

cat >"$scratch/tickets.jsonl" <<'TICKETS'
{"body": "I paid $49.90 twice for order #48213, and your app crashes. Fix it right now!"}
{"body": "Hello, we moved to Bristol, could our office chairs go there? There's plenty of time."}
{"body": "The Mixo blender was cracked when your driver dropped it off. It's a present for my niece."}
TICKETS
mtl predict runs/quickstart/best "$scratch/tickets.jsonl" "$scratch/predictions.jsonl"
echo
echo "three new tickets and the answers to them:"
paste -d '\n' "$scratch/tickets.jsonl" "$scratch/predictions.jsonl"
echo
echo "quickstart: $SECONDS s without installing; the model is in $root/runs/quickstart/best"
