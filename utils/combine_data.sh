#!/usr/bin/env bash
# Combine several data directories into one: combine_data.sh DEST SRC1 SRC2…
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
PYTHONSAFEPATH=1 PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "${K2D_PYTHON:-$root/.venv/bin/python}" -m k2d data combine "$@"
