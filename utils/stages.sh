# Sourced by run.sh: finds or makes the Python environment, checks the config, and defines `stage`.
# Needs $root and the variables of utils/parse_options.sh.
# shellcheck shell=bash disable=SC2154  # those variables

if [[ -n ${K2D_PYTHON:-} ]]; then
  python=$K2D_PYTHON
  command -v "$python" >/dev/null || { echo "run.sh: K2D_PYTHON: no such program: $python" >&2; exit 2; }
else
  "$root/tools/install.sh" --quiet
  python=$root/.venv/bin/python
fi
cd "$root" || exit # so that `-m k2d` loads this checkout, whatever the current folder was

experiment=(--conf "$conf" ${corpus:+--corpus "$corpus"})
settings=(${overrides[@]+"${overrides[@]}"})

if [[ -n $list ]]; then
  exec "$python" -m k2d stages "${experiment[@]}" ${verify:+--verify} ${settings[@]+"${settings[@]}"}
fi

# A wrong config stops here, before any stage.
folder=$("$python" -m k2d config --conf "$conf" --get folder ${settings[@]+"${settings[@]}"})

export K2D_RUN_SH=$$ # a stage ends with this script
interrupted=''
trap 'interrupted=yes' INT # at Ctrl-C the stage ends; the command that continues is printed below

unbuilt='' # the stages that this run has skipped

stage() { # number verb
  local number=$1 verb=$2 code=0 log
  ((number >= 10#$stage_from && number <= 10#$stage_to)) || return 0
  if [[ ! -f $root/k2d/stages/$verb.py ]]; then
    echo "stage $number $verb: not built yet in this version, skipped"
    unbuilt+=" $verb"
    return 0
  fi
  if [[ -n $interrupted ]]; then # between two stages
    code=130
  else
    "$python" -m k2d "$verb" "${experiment[@]}" ${nj:+--nj "$nj"} ${ngpu:+--ngpu "$ngpu"} ${force:+--force} \
      ${verify:+--verify} ${settings[@]+"${settings[@]}"} || code=$?
  fi
  ((code)) || return 0
  if ((code == 3)) && [[ -n $unbuilt ]]; then
    echo "stage $number $verb: skipped, it needs stages that are not built yet:$unbuilt"
    return 0
  fi
  log=$folder/log/$(printf '%02d' "$number").$verb.log
  {
    case $code in
      129 | 130 | 138 | 143) echo "stage $number ($verb) was interrupted, exit code $code" ;;
      *) echo "stage $number ($verb) failed, exit code $code$( ((code > 128)) && echo " (signal $((code - 128)))")" ;;
    esac
    [[ ! -f $log ]] || echo "  log:    ${log#"$root"/}"
    echo "  resume: $(resume_command "$number")"
  } >&2
  exit "$code"
}

resume_command() { # number; prints the command of this run with another first stage
  local words=("$root/run.sh" --conf "${conf#"$root"/}" --stage "$1")
  ((10#$stage_to == last_stage)) || words+=(--stop-stage "$stage_to")
  words+=(${corpus:+--corpus "$corpus"} ${ngpu:+--ngpu "$ngpu"} ${nj:+--nj "$nj"} ${settings[@]+"${settings[@]}"})
  printf '%q ' "${words[@]}"
}
