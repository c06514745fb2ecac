"""Stage 12's study in this process: references of chunks are found by their recordings."""

import json

import pytest

from k2d.config import load_config
from k2d.core.errors import MissingInput
from k2d.pipeline.runner import make_job, run_stage
from k2d.pipeline.stage_list import BY_VERB

CONF = "corpora: {unlabelled: [lab/lectures]}\nauxiliaries: {base: {}}\n"
TRUTH = {
    "a-1": ("a 0 4", "今天講 GPU"),
    "a-2": ("a 4 9", "好"),
    "a-3": ("a 9.5 12", "缺"),
    "a-4": ("a 12 16", "我們跑"),
}
LABELS = {"a-x": "<0.00>今天講 GPU<4.00><4.00>好<9.00>", "a-y": "<0.00>謝謝觀看<4.00>"}
HEAD = "id recording duration_s loops_teacher loops_auxiliary n_teacher n_auxiliary mer per composite"
ROWS = ["lab/lectures/a-x a 9.0 0 0 5 5 0.2 0.1 0.1", "lab/lectures/a-y a 4.0 0 0 4 4 0.8 0.7 0.7"]
IN_PLACE = {"wav.scp": {"a": "a.wav"}, "segments": {"a-x": "a 0 9", "a-y": "a 12 16"}}
CUT_OUT = {"wav.scp": dict.fromkeys(LABELS, "x.flac"), "utt2source": {"a-x": "a 0 4 4.5 9", "a-y": "a 12 16"}}


def write(folder, tables):
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / name).write_text("".join(f"{key} {value}\n" for key, value in rows.items()), encoding="utf-8")


@pytest.fixture
def study(tmp_path):
    """Stage 12 on two chunks, one with a good label and one with a bad one, written as the tables say."""
    (tmp_path / "x.yaml").write_text(CONF)
    exp, data = tmp_path / "exp", tmp_path / "data"
    (exp / "x" / "decode" / "teacher").mkdir(parents=True)
    spans, texts = ({key: row[column] for key, row in TRUTH.items()} for column in (0, 1))
    speakers = dict.fromkeys(TRUTH, "a")
    truth = {"wav.scp": {"a": "a.wav"}, "segments": spans, "text": texts, "utt2spk": speakers}
    write(data / "lab" / "lectures_truth", truth)
    table = exp / "x" / "select" / "distances" / "base" / "distances.tsv"
    table.parent.mkdir(parents=True)
    table.write_text("\n".join([HEAD, *ROWS, ""]).replace(" ", "\t"))

    def run(duration, tables):
        both = {"text": LABELS, "utt2spk": dict.fromkeys(LABELS, "a")}
        write(exp / "x" / "chunks" / "lab" / "lectures", {**both, **tables})
        settings = [f"exp={exp}", f"data={data}", f"chunk.duration={duration}"]
        run_stage(BY_VERB["score"], make_job(load_config(tmp_path / "x.yaml", settings)))
        return json.loads((exp / "x" / "score" / "validator" / "base.json").read_text())

    return run


@pytest.mark.parametrize(("duration", "tables"), [("span", IN_PLACE), ("sum", CUT_OUT)])
def test_labels_are_judged_for_all_kinds_of_chunks(study, duration, tables):
    found = study(duration, tables)
    assert (found["n_chunks"], found["n_bad"]) == (2, 1)
    assert found["by_metric"]["mer"]["recall"] == [1.0] * 7 + [0.0, 0.0]


def test_chunks_of_the_sum_without_sources_are_refused_before_any_work(study):
    with pytest.raises(MissingInput, match="chunks/lab/lectures/utt2source\nrun the stages before it first"):
        study("sum", {"wav.scp": CUT_OUT["wav.scp"]})
