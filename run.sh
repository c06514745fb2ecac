#!/usr/bin/env bash
# K2D: makes a small, fast speech recogniser from a large one and audio without transcripts.
#
#   ./run.sh                               the mini recipe, from its corpus to its table
#   ./run.sh --conf conf/smoke.yaml        the same stages in minutes
#   ./run.sh --stage 8 select.alpha=0.3    from stage 8 on, with one setting changed
#
#   --conf FILE        the experiment (default: conf/<corpus>.yaml if it exists, else conf/mini.yaml)
#   --stage N          first stage to run (default: 1)
#   --stop-stage N     last stage to run (default: the last)
#   --corpus NAME      limit stages 1, 11 and 12 to one corpus under egs/
#   --root DIR         folder of the raw corpus (needs --corpus)
#   --ngpu N           number of GPUs (default: 0, the CPU)
#   --nj N             number of processes (default: one per core)
#   --force            replace outputs that were made with other settings
#   --verify           hash all files again (default: trust files whose size and time have not changed)
#   --allow-count-mismatch   stage 1: continue if the counts differ from corpus.yaml
#   --list             print the stages, what each reads and writes, and what is done; run nothing
#   -h, --help         print this text
#   key=value          change a setting of the config (repeatable)
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$root/utils/parse_options.sh"
. "$root/utils/stages.sh"

stage  1 prepare          # egs/<corpus>, raw corpus         -> data/<corpus>/<split>
stage  2 tokens           # labelled text                    -> tokens
stage  3 teacher          # labelled data, or a checkpoint   -> models/teacher
stage  4 auxiliary        # labelled data, or a checkpoint   -> models/<auxiliary>
stage  5 pseudo_label     # long recordings, teacher         -> pseudo/<corpus>/<split>
stage  6 chunk            # pseudo-labels                    -> chunks/<corpus>/<split>
stage  7 second_opinion   # chunks, auxiliary                -> opinions/<auxiliary>/<corpus>/<split>
stage  8 select           # two opinions per chunk           -> select/<method>
stage  9 init_student     # teacher                          -> models/student_init
stage 10 distill          # kept chunks, teacher, student    -> models/<method>-s<seed>
stage 11 decode           # test and dev sets, every model   -> decode/<model>/<corpus>/<split>
stage 12 score            # hypotheses, references           -> score/<model>/<corpus>/<split>
stage 13 report           # scores, selection records        -> report
stage 14 export           # a student                        -> export/<model>
