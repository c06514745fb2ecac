#!/usr/bin/env bash
# Check a data directory: validate_data_dir.sh [--no-text] [--no-wav] [--no-feats] DIR
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
PYTHONSAFEPATH=1 PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "${K2D_PYTHON:-$root/.venv/bin/python}" -m k2d data validate "$@"
