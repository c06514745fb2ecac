# Sourced by run.sh: reads its options into variables and reports all faults at once. No eval.
# Needs $root. Sets: conf stage_from stage_to corpus ngpu nj force verify list overrides[]
# shellcheck shell=bash disable=SC2034,SC2154  # variables of run.sh and utils/stages.sh

conf='' stage_from=1 stage_to='' corpus='' raw='' ngpu='' nj='' force='' verify='' list='' overrides=()
last_stage=$(grep -c '^stage  *[0-9]' "$root/run.sh")
faults=()

whole_number() { # name value least most
  if ! [[ $2 =~ ^[0-9]{1,9}$ ]] || ((10#$2 < $3)) || { [[ -n $4 ]] && ((10#$2 > $4)); }; then
    faults+=("--$1: found '$2', expected a whole number $([[ -n $4 ]] && echo "from $3 to $4" || echo "of at least $3")")
  fi
}

find_conf() { # file; prints its path, which is relative to the current folder or to the project
  local path
  for path in "$1" "$root/$1"; do
    [[ ! -f $path ]] || { (cd -P "$(dirname "$path")" && printf '%s/%s' "$PWD" "$(basename "$path")"); return; }
  done
  return 1
}

set_option() { # name value
  case $1 in
    conf) conf=$(find_conf "$2") || faults+=("--conf: no such file: $2") ;;
    stage) stage_from=$2; whole_number stage "$2" 1 "$last_stage" ;;
    stop-stage) stage_to=$2; whole_number stop-stage "$2" 1 "$last_stage" ;;
    corpus) corpus=$2; [[ $2 =~ ^[A-Za-z0-9_]+$ && -d $root/egs/$2 ]] || faults+=("--corpus: no such folder: egs/$2") ;;
    root) raw=$(cd -- "${2/#\~\//$HOME/}" 2>/dev/null && pwd) || faults+=("--root: no such folder: $2") ;;
    ngpu) ngpu=$2; whole_number ngpu "$2" 0 '' ;;
    nj) nj=$2; whole_number nj "$2" 1 '' ;;
  esac
}

similar() { # name; prints the option with the same first letters
  local option
  for option in conf stage stop-stage corpus root ngpu nj force verify list allow-count-mismatch; do
    [[ ${option:0:3} != "${1:0:3}" ]] || { echo ", did you mean --$option?"; return; }
  done
}

while (($#)); do
  word=$1
  shift
  name=${word%%=*} # Kaldi and ESPnet spell --stop_stage, and --option=value is common
  name=${name#--}
  name=${name//_/-}
  case $word in
    -h | --help)
      sed -n '2,/^[^#]/ { /^#/ s/^# \{0,1\}//p; }' "$root/run.sh"
      exit 0
      ;;
    --force) force=1 ;;
    --verify) verify=1 ;;
    --list) list=1 ;;
    --allow-count-mismatch | --allow_count_mismatch) overrides+=(prepare.allow_count_mismatch=true) ;;
    --*)
      case $name in
        conf | stage | stop-stage | corpus | root | ngpu | nj)
          if [[ $word == *=* ]]; then
            set_option "$name" "${word#*=}"
          elif (($# == 0)) || [[ $1 == --* ]]; then
            faults+=("--$name: a value is missing")
          else
            set_option "$name" "$1"
            shift
          fi
          ;;
        *)
          faults+=("unknown option ${word%%=*}$(similar "$name")")
          [[ $word == *=* || ${1:---} == --* || ${1-} == *=* ]] || shift # probably its value
          ;;
      esac
      ;;
    [A-Za-z]*=*) overrides+=("$word") ;;
    *) faults+=("stray word '$word' (settings are written key=value)") ;;
  esac
done

stage_to=${stage_to:-$last_stage}
if [[ -n $raw && -z $corpus ]]; then
  faults+=("--root: needs --corpus NAME")
elif [[ -n $raw ]]; then
  quote="'" # doubled, so that any path is a valid YAML string
  overrides=("prepare.roots.$corpus='${raw//$quote/$quote$quote}'" ${overrides[@]+"${overrides[@]}"})
fi
[[ -n $conf || ! -f $root/conf/$corpus.yaml ]] || conf=$root/conf/$corpus.yaml
conf=${conf:-$root/conf/mini.yaml}
if ((${#faults[@]} == 0)) && ((10#$stage_from > 10#$stage_to)); then
  faults+=("--stage $stage_from comes after --stop-stage $stage_to")
fi
if ((${#faults[@]})); then
  printf 'run.sh: %s; ./run.sh -h lists the options\n' "${faults[@]}" >&2
  exit 2
fi
