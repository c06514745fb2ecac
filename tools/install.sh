#!/usr/bin/env bash
# Makes .venv with the exact versions of requirements.lock. Called again, it returns at once unless the lock changed.
#
#   tools/install.sh              Python: $PYTHON, or the first of python3.12 python3.11 python3.10 python3 that fits
#   tools/install.sh --quiet      prints nothing if there is nothing to do
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv lock=$root/requirements.lock installed=$root/.venv/installed.lock

die() { echo "tools/install.sh: $*" >&2; exit 1; }

is_current() { [[ -x $venv/bin/python ]] && cmp -s "$lock" "$installed"; }

find_python() { # the first Python from 3.10 to 3.12 that can make environments
  local candidate candidates=(python3.12 python3.11 python3.10 python3)
  [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "found no Python 3.10, 3.11 or 3.12 with venv; install one (Debian: apt install python3 python3-venv python3-dev)" \
    "or name it: PYTHON=/path/to/python tools/install.sh"
}

if is_current; then
  [[ ${1:-} == --quiet ]] || echo "tools/install.sh: .venv is up to date"
  exit 0
fi

exec 9>"$root/.install.lock"
flock 9 # a second call waits for the first and then has nothing to do
is_current && exit 0

command -v gcc >/dev/null || command -v cc >/dev/null || die "no C compiler found; install gcc (Debian: apt install build-essential)"
python=$(find_python)
echo "tools/install.sh: installing into .venv with $("$python" --version) (5.5 GB; some minutes, once)"
[[ -x $venv/bin/python ]] || "$python" -m venv "$venv"
rm -f "$installed"
"$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r "$lock" >"$venv/install.log" 2>&1 ||
  { tail -n 15 "$venv/install.log" >&2; die "pip failed; the whole log is $venv/install.log; run this again to continue"; }
"$venv/bin/python" -m pip check --disable-pip-version-check >&2 || die "the installed packages contradict each other"
cp "$lock" "$installed"
echo "tools/install.sh: .venv is ready"
