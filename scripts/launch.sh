#!/usr/bin/env bash
# Runs mtl in several processes, or on a GPU, by `accelerate launch` and a file of configs/accelerate/.
#
#     scripts/launch.sh cpu        --processes 2 -- train config.yaml --overwrite
#     scripts/launch.sh one_gpu    -- train config.yaml
#     scripts/launch.sh multi_gpu  -- train config.yaml                     # all GPUs of this machine
#     MACHINE_RANK=0 NUM_MACHINES=2 MAIN_PROCESS_IP=10.0.0.1 MAIN_PROCESS_PORT=29500 \
#         scripts/launch.sh multi_node -- train config.yaml                 # the same on each machine, with its own rank
#
# --processes is the number on this machine. OMP_NUM_THREADS is cores / processes unless it is set.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
usage="usage: scripts/launch.sh cpu|one_gpu|multi_gpu|multi_node [--processes N] -- train config.yaml …"

fail() {
    echo "launch.sh: $1" >&2
    echo "$usage" >&2
    exit 2
}

place="${1:-}"
case "$place" in
cpu | one_gpu | multi_gpu | multi_node) shift ;;
*) fail "unknown place '$place'" ;;
esac

processes=""
if [ "${1:-}" = "--processes" ]; then
    processes="${2:-}"
    [[ "$processes" =~ ^[1-9][0-9]*$ ]] || fail "--processes is a number from 1, not '$processes'"
    shift 2
fi
[ "${1:-}" = "--" ] || fail "'--' and mtl's own arguments are missing; found '${1:-}'"
shift
[ "$#" -gt 0 ] || fail "mtl's own arguments are missing after '--'"

if [ -z "${VIRTUAL_ENV:-}" ] && [ -d "$root/.venv/bin" ]; then
    export PATH="$root/.venv/bin:$PATH"
fi

flags=(--config_file "$root/configs/accelerate/$place.yaml")
machines=1
if [ "$place" = cpu ]; then
    # `accelerate launch --cpu --num_processes 2` starts one process without a word (accelerate 1.15). The launcher for
    # several GPUs starts two, and this variable makes them meet on the CPU with gloo.
    export ACCELERATE_USE_CPU=true
    processes="${processes:-2}"
    if [ "$processes" -eq 1 ]; then flags+=(--cpu); fi
else
    gpus="$(python -c 'import torch; print(torch.cuda.device_count())')"
    if [ "$place" = one_gpu ]; then processes="${processes:-1}"; else processes="${processes:-$gpus}"; fi
    # Machines without a GPU can be joined too: ACCELERATE_USE_CPU=true scripts/launch.sh multi_node --processes N …
    if [ "${ACCELERATE_USE_CPU:-}" != true ] && { [ "$gpus" -eq 0 ] || [ "$processes" -gt "$gpus" ]; }; then
        fail "$place with ${processes} process(es) needs as many GPUs; this machine has $gpus"
    fi
fi
case "$place:$processes" in
one_gpu:1) ;;
one_gpu:*) fail "one_gpu is one process; use multi_gpu" ;;
multi_gpu:1) fail "there is one GPU to use; use one_gpu" ;;
*:0) fail "how many processes? name them with --processes" ;;
esac
if [ "$place" = multi_node ]; then
    machines="${NUM_MACHINES:?launch.sh: set it to the number of machines}"
    flags+=(
        --machine_rank "${MACHINE_RANK:?launch.sh: set it to 0 on the main machine, 1 on the next, …}"
        --main_process_ip "${MAIN_PROCESS_IP:?launch.sh: set it to the address of the main machine}"
        --main_process_port "${MAIN_PROCESS_PORT:?launch.sh: set it to a free port of the main machine}"
        --num_machines "$machines"
    )
fi

cores="$(getconf _NPROCESSORS_ONLN)"
threads=$((cores / processes))
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((threads > 0 ? threads : 1))}"
exec accelerate launch "${flags[@]}" --num_processes "$((processes * machines))" -m mtl_transformers "$@"
