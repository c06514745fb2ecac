#!/usr/bin/env bash
# Show the scores of experiments side by side: show_results.sh [exp/a exp/b …]   (default: all under exp/)
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
(($#)) || set -- "$root"/exp/*/
PYTHONSAFEPATH=1 PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "${K2D_PYTHON:-$root/.venv/bin/python}" -m k2d compare "$@"
