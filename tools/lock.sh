#!/usr/bin/env bash
# Writes requirements.lock again from pyproject.toml: exact versions and hashes for Python 3.10 to 3.12.
# Needs uv (pip install uv). Afterwards: tools/install.sh, make test.
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
uv pip compile --universal --python-version 3.10 --generate-hashes --no-header --quiet \
  --extra mini --extra kokoro --extra export --extra dev pyproject.toml -o requirements.lock "$@"
echo "tools/lock.sh: wrote requirements.lock ($(grep -c '^[a-z]' requirements.lock) packages)"
