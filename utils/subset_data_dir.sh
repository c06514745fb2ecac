#!/usr/bin/env bash
# Make a smaller data directory: subset_data_dir.sh [--first|--last|--shortest|--speakers|--per-spk] SRC N DEST
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
PYTHONSAFEPATH=1 PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "${K2D_PYTHON:-$root/.venv/bin/python}" -m k2d data subset "$@"
