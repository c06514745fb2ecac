"""Stage 8 with controls, in process: hours of another method, drawn at random or chosen by the truth."""

import json

import pytest

from k2d.config import load_config
from k2d.core.errors import K2DError, MissingInput, UsageError
from k2d.pipeline.runner import make_job, run_stage
from k2d.pipeline.stage_list import BY_VERB

pytestmark = pytest.mark.usefixtures("forked_workers")

CONF = """
corpora: {unlabelled: [lab/train]}
auxiliaries: {base: {}}
select:
  methods:
    random_1: {rule: random, hours_of: near}
    random_2: {rule: random, hours_of: near, draw: 2}
    oracle: {rule: oracle, hours_of: near}
    near: {rule: mer, alpha: 0.4}
"""
# id: (label, opinion, truth); ten seconds each, one after another
CHUNKS = {
    "a": ("今天講圖", "今天講圖", "今天講書"),  # both wrong: kept by `near`, one error of four
    "b": ("今天講書", "今天講輸", "今天講書"),  # a distance of a quarter
    "c": ("謝謝觀看", "我們", "我們"),  # four errors of two
    "d": ("我們很好", "他", "我們很好"),  # the auxiliary is wrong
    "e": ("謝謝", "", ""),  # nothing was spoken: two errors
    "f": ("", "我", "我"),
}


def table(column):
    return {f"r-{key}": row[column] for key, row in CHUNKS.items()}


def write(folder, tables):
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        lines = (f"{key} {value}".rstrip() + "\n" for key, value in rows.items())
        (folder / name).write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "x.yaml").write_text(CONF)
    exp, data = tmp_path / "exp" / "x", tmp_path / "data" / "lab"
    spans = {f"r-{key}": f"r {10 * n} {10 * n + 10}" for n, key in enumerate(CHUNKS)}
    shared = {
        "wav.scp": {"r": "r.wav"},
        "segments": spans,
        "utt2spk": dict.fromkeys(spans, "s"),
        "spk2utt": {"s": " ".join(spans)},
    }
    write(exp / "chunks" / "lab" / "train", {**shared, "text": table(0)})
    write(exp / "opinions" / "base" / "lab" / "train", {"text": table(1)})
    write(data / "train_truth", {**shared, "text": table(2)})
    return tmp_path


def run(lab, *settings, force=False):
    config = load_config(lab / "x.yaml", [f"exp={lab / 'exp'}", f"data={lab / 'data'}", *settings])
    run_stage(BY_VERB["select"], make_job(config, force=force))


def kept(lab, method):
    header, *lines = (lab / "exp/x/select" / method / "decisions.tsv").read_text().splitlines()
    found = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    return {row["id"][-1]: row["reason"] for row in found}


def record(lab, method):
    return json.loads((lab / "exp/x/select" / method / "record.json").read_text())


def test_controls_keep_the_hours_of_the_method_that_they_name(lab):
    run(lab)
    assert kept(lab, "near") == {
        "a": "",
        "b": "",
        "c": "distance",
        "d": "distance",
        "e": "distance",
        "f": "empty_teacher",
    }
    for name in ("random_1", "random_2", "oracle"):
        found = record(lab, name)
        assert (found["kept"], found["in"]["chunks"]) == (record(lab, "near")["kept"], 6)
        assert (found["hours_of"], found["alpha"], found["auxiliary"]) == ("near", None, None)
        assert len((lab / "exp/x/select" / name / "kept/lab/train/text").read_text().splitlines()) == 2


def test_the_oracle_keeps_the_labels_with_the_fewest_true_errors(lab):
    run(lab)
    assert kept(lab, "oracle") == {
        "a": "true_error",
        "b": "",
        "c": "true_error",
        "d": "",
        "e": "true_error",
        "f": "empty_teacher",
    }


def test_draws_differ_and_never_draw_an_empty_label(lab):
    several = {f"r{n}": {"rule": "random", "hours_of": "near", "draw": n} for n in range(1, 9)}
    run(lab, f"select.methods={json.dumps({'near': {'rule': 'mer'}, **several})}")
    drawn = {frozenset(key for key, reason in kept(lab, name).items() if not reason) for name in several}
    assert len(drawn) > 2
    assert all(kept(lab, name)["f"] == "empty_teacher" for name in several)


def test_other_hours_or_another_truth_make_a_control_stale(lab):
    run(lab)
    with pytest.raises(K2DError, match=r"alpha: 0\.4 -> 0\.1"):
        run(lab, "select.methods.near.alpha=0.1")
    run(lab, "select.methods.near.alpha=0.1", force=True)
    assert record(lab, "random_1")["kept"] == record(lab, "near")["kept"] == {"chunks": 1, "hours": 0.002778}
    (lab / "data/lab/train_truth/text").unlink()
    with pytest.raises(MissingInput, match="train_truth/text"):
        run(lab, "select.methods.near.alpha=0.1", force=True)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("{rule: random}", "hours_of: found null, expected the method whose hours the rule random keeps (near)"),
        ("{rule: oracle, hours_of: random_2}", 'hours_of: found "random_2", expected the method whose hours'),
        ("{rule: oracle, hours_of: near, alpha: 0.3}", "alpha: found 0.3, expected nothing: the rule oracle"),
        (
            "{rule: oracle, hours_of: near, weight: distance}",
            'weight: found "distance", expected none: the rule oracle',
        ),
        (
            "{rule: estimated_error, auxiliary: base}",
            'auxiliary: found "base", expected nothing: the rule estimated_error',
        ),
        (
            "{rule: estimated_error, also: [mean_logprob]}",
            'also: found ["mean_logprob"], expected nothing: the rule estimated_error uses all',
        ),
        ("{rule: none, weight: distance}", 'weight: found "distance", expected none: the rule none gives all chunks'),
        ("{rule: alignment}", 'rule: found "alignment", expected auxiliaries.base.alignment: true beside it'),
        ("{rule: oracle, hours_of: near, draw: 2}", "draw: found 2, expected only with the rule random"),
        ("{rule: mer, hours_of: near}", 'hours_of: found "near", expected only with the rules random and oracle'),
        ("{rule: random, hours_of: near, also: [mean_logprob]}", 'also: found ["mean_logprob"], expected nothing'),
    ],
)
def test_an_impossible_method_is_refused(lab, method, message):
    with pytest.raises(UsageError) as refused:
        load_config(lab / "x.yaml", [f"select.methods.other={method}"])
    assert f"select.methods.other.{message}" in str(refused.value)
