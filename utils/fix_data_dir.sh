#!/usr/bin/env bash
# Repair a data directory in place: fix_data_dir.sh DIR
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
PYTHONSAFEPATH=1 PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "${K2D_PYTHON:-$root/.venv/bin/python}" -m k2d data fix "$@"
