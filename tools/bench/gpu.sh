#!/usr/bin/env bash
# Measures labelling and distillation of Whisper on a GPU in at most 9 minutes: a table, and gpu.json.
#
#   tools/bench/gpu.sh                     all cases on the GPUs of this machine; --help lists the options
#   K2D_PYTHON=python3.12 tools/bench/gpu.sh --checkpoint base.pt --profile
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${K2D_PYTHON:-$root/.venv/bin/python}
[[ -x $python ]] || python=$(command -v "$python" || command -v python3)
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} exec "$python" "$root/tools/bench/gpu.py" "$@"
