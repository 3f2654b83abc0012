# Sourced by quickstart.sh and test.sh. Owns the project's virtual environment: where it is, how it is made, what is in it.
# PYTHON names another interpreter than python3; MTL_VENV another place than .venv in the project.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${MTL_VENV:-$root/.venv}"

# Ends with a message unless the interpreter exists and is Python 3.11 or newer.
check_python() {
    local python="${PYTHON:-python3}"
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "Python 3.11 or newer is needed, but '$python' is $("$python" --version 2>&1 || true)." >&2
        echo "Install one and name it: PYTHON=/path/to/python3.11 bash $0" >&2
        exit 1
    fi
}

# Installs the project (editable) with the extras named, at the versions of constraints.txt; at once when that was done before.
install() {
    local extras="$1" done_file="$venv/.installed-$1" state
    if ! "$venv/bin/python" -c "" 2>/dev/null; then
        check_python
        echo "making the virtual environment $venv" >&2
        "${PYTHON:-python3}" -m venv --clear "$venv"
    fi
    state="$root $(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum)"
    if [ "$(cat "$done_file" 2>/dev/null || true)" != "$state" ]; then
        echo "installing mtl_transformers[$extras], a few minutes the first time" >&2
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            -c "$root/constraints.txt" -e "$root[$extras]"
        echo "$state" >"$done_file"
    fi
    export PATH="$venv/bin:$PATH"
}
