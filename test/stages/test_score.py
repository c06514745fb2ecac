"""Stage 12: decoded sets and distances become scores and the validator study."""

import json
import shutil

import pytest
from commands_here import ExperimentHere

pytestmark = pytest.mark.slow  # each test runs the stage several times

CONF = """
corpora:
  unlabelled: [lab/lectures]
  dev: [lab/dev]
  out_domain: [far/test]
auxiliaries:
  base: {}
score:
  bootstrap_resamples: 50
"""


def write(folder, **tables):
    """Write tables, each from {id: value}, sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        lines = "".join(f"{key} {rows[key]}".rstrip() + "\n" for key in sorted(rows))
        (folder / name.replace("wav_scp", "wav.scp")).write_text(lines, encoding="utf-8")


@pytest.fixture
def lab(tmp_path):
    """Two test sets (utterances of recordings; single utterances), decoded by a teacher and a student."""
    made = ExperimentHere(tmp_path, "lab")
    made.conf.write_text(CONF)
    segments = {"a-u1": "a 0 2", "a-u2": "a 3 5", "b-u1": "b 1 4"}
    texts = {"a-u1": "我們用 GPU", "a-u2": "跑 model", "b-u1": "今天好"}
    audio = {"a": "a.wav", "b": "b.wav"}
    speakers = {"a-u1": "a", "a-u2": "a", "b-u1": "b"}
    durations = {"a": 6.0, "b": 5.0}
    write(
        made.root / "data" / "lab" / "dev",
        text=texts, segments=segments, wav_scp=audio, utt2spk=speakers, reco2dur=durations,
    )  # fmt: skip
    far = {"u1": "run it", "u2": "好", "u3": "謝謝"}
    write(
        made.root / "data" / "far" / "test",
        text=far, wav_scp=dict.fromkeys(far, "x.wav"), utt2spk={"u1": "s1", "u2": "s1", "u3": "s2"},
    )  # fmt: skip
    decode = made.exp / "decode"
    write(decode / "teacher" / "lab" / "dev", text={"a": "<0.00>我们用 CPU<2.00><3.00>跑 model<5.00>", "b": "今天好"})
    write(decode / "teacher" / "far" / "test", text={"u1": "run it", "u3": ""})
    write(decode / "k2d-s1" / "lab" / "dev", text=texts)
    write(decode / "k2d-s1" / "far" / "test", text=far)
    return made


def score(lab, *words):
    return lab.k2d("score", *words)


def record(lab, *parts):
    return json.loads(lab.exp.joinpath("score", *parts).read_text(encoding="utf-8"))


def test_every_model_is_scored_on_every_set(lab):
    done = score(lab)
    assert done.returncode == 0, done.stderr
    assert "teacher on lab/dev: MER 11.11 %" in done.stdout
    assert "teacher on far/test: 1 hypotheses are missing and count as deletions: u2" in done.stdout
    found = record(lab, "teacher", "lab", "dev", "score.json")
    assert (found["model"], found["set"], found["role"]) == ("teacher", "lab/dev", "dev")
    assert found["mer"] == {"n": 9, "s": 1, "d": 0, "i": 0, "percent": 11.1111}
    assert (found["unit"], found["n_utterances"], found["interval"]["over"]) == ("recordings", 2, "2 recordings")
    assert (found["too_long"], found["timed"]) == (0, 2)
    assert "|decode:beam-1-" in found["signature"]
    far = record(lab, "teacher", "far", "test", "score.json")
    assert (far["role"], far["missing"], far["empty"]) == ("out_domain", ["u2"], 1)
    assert far["mer"] == {"n": 5, "s": 0, "d": 3, "i": 0, "percent": 60.0}
    assert (far["unit"], far["interval"]["over"]) == ("utterances", "2 speakers")
    student = record(lab, "k2d-s1", "lab", "dev", "score.json")
    assert (student["unit"], student["n_utterances"], student["mer"]["percent"]) == ("utterances", 3, 0.0)
    folder = lab.exp / "score" / "teacher" / "lab" / "dev"
    assert (folder / "ref.trn").read_text(encoding="utf-8") == "我 们 用 gpu 跑 model (a)\n今 天 好 (b)\n"
    assert not (lab.exp / "score" / "validator").exists()  # no truth, no study


def test_finished_units_are_skipped_and_changed_ones_are_refused(lab):
    score(lab)
    again = score(lab)
    assert again.stdout.count("done already, skipped") == 4
    changed = score(lab, "score.tokens=paper")
    assert changed.returncode == 1
    assert 'setting score.tokens: "default" -> "paper"' in changed.stderr
    forced = score(lab, "score.tokens=paper", "--force")
    assert forced.returncode == 0, forced.stderr
    assert "|tok:paper|" in record(lab, "teacher", "lab", "dev", "score.json")["signature"]


def test_missing_sets_are_named_before_any_work(lab):
    shutil.rmtree(lab.exp / "decode" / "k2d-s1" / "far")
    stopped = score(lab)
    assert stopped.returncode != 0
    assert "exp/lab/decode/k2d-s1/far/test/text" in stopped.stderr
    assert not (lab.exp / "score").exists()


def test_before_any_decoding_the_missing_teacher_is_named(lab):
    shutil.rmtree(lab.exp / "decode")
    stopped = score(lab)
    assert stopped.returncode != 0
    assert "exp/lab/decode/teacher/lab/dev/text" in stopped.stderr


def test_an_extra_hypothesis_and_bad_utf8_stop_the_stage(lab):
    path = lab.exp / "decode" / "k2d-s1" / "far" / "test" / "text"
    path.write_text("u1 run it\nu9 好\n", encoding="utf-8")
    stopped = score(lab)
    assert stopped.returncode == 1
    reference = lab.root / "data" / "far" / "test" / "text"
    assert f"k2d-s1/far/test/text: 1 of 2 ids are not in the reference {reference}: u9" in stopped.stderr
    path.write_bytes(b"u1 run\xff\n")
    assert "invalid UTF-8 at byte offset 6 (0xff)" in score(lab).stderr


def test_the_stage_can_be_limited_to_a_corpus_even_outside_the_config(lab):
    done = score(lab, "--corpus", "far")
    assert done.returncode == 0, done.stderr
    assert not (lab.exp / "score" / "teacher" / "lab").exists()
    write(lab.root / "data" / "new" / "talks", text={"u1": "好"})
    missing = score(lab, "--corpus", "new")
    assert "no set of the corpus 'new' has been decoded; run stage 11 (decode) on it first" in missing.stderr
    write(lab.exp / "decode" / "teacher" / "new" / "talks", text={"u1": "好"})
    shutil.rmtree(lab.exp / "decode" / "k2d-s1")
    done = score(lab, "--corpus", "new")
    assert done.returncode == 0, done.stderr
    assert record(lab, "teacher", "new", "talks", "score.json")["role"] == "out_domain"


@pytest.fixture
def studied(lab):
    """Two chunks of a lecture: a good label and a hallucination; the truth, and the distances."""
    audio, speakers = {"a": "a.wav"}, {"a-u1": "a", "a-u2": "a", "a-u3": "a"}
    truth = {"a-u1": "今天講 GPU", "a-u2": "好", "a-u3": "我們跑 model"}
    spans = {"a-u1": "a 0 4", "a-u2": "a 4 9", "a-u3": "a 12 16"}
    write(lab.root / "data" / "lab" / "lectures_truth", text=truth, segments=spans, wav_scp=audio, utt2spk=speakers)
    write(
        lab.exp / "chunks" / "lab" / "lectures",
        text={"a-0": "<0.00>今天讲 GPU 好<9.00>", "a-1": "<0.00>謝謝觀看<4.00>"},
        segments={"a-0": "a 0 10", "a-1": "a 10 20"},
        wav_scp=audio,
        utt2spk={"a-0": "a", "a-1": "a"},
    )
    table = lab.exp / "select" / "distances" / "base"
    table.mkdir(parents=True)
    head = "id recording duration_s loops_teacher loops_auxiliary n_teacher n_auxiliary mer per composite"
    rows = [
        "lab/lectures/a-0 a 10.0 0 0 5 5 0.2000 0.1000 0.1000",
        "lab/lectures/a-1 a 10.0 0 0 4 4 0.8000 0.7000 0.7000",
    ]
    (table / "distances.tsv").write_text("\n".join([head, *rows, ""]).replace(" ", "\t"))
    opinions = lab.exp / "opinions" / "base" / "lab" / "lectures"
    opinions.mkdir(parents=True)
    timing = {"audio_s": 20.0, "runs_s": [2.0, 4.0], "batch_size": 1, "threads": 1, "dtype": "fp32", "device": "cpu"}
    (opinions / "timing.json").write_text(json.dumps(timing))
    return lab


def test_the_validator_study(studied):
    done = score(studied)
    assert done.returncode == 0, done.stderr
    found = record(studied, "validator", "base.json")
    assert (found["auxiliary"], found["bad_label_mer"], found["n_chunks"], found["n_bad"]) == ("base", 0.4, 2, 1)
    assert found["by_metric"]["mer"]["recall"] == [1.0] * 7 + [0.0, 0.0]
    assert found["by_metric"]["per"]["recall"] == [1.0] * 6 + [0.0] * 3
    assert found["by_metric"]["mer"]["kept_share"] == [0.0, *[0.5] * 6, 1.0, 1.0]
    assert found["by_metric"]["mer"]["max_recall"] == 0.0  # half is not more than half
    assert found["by_metric"]["mer"]["mean_recall"] == pytest.approx(7 / 9)
    assert found["cost"] == {
        "audio_s": 20.0, "runs_s": [3.0], "batch_size": 1, "threads": 1, "dtype": "fp32", "device": "cpu",
    }  # fmt: skip
    assert "in 2 chunks = kept 2" in done.stdout


def test_distances_of_other_chunks_are_refused(studied):
    path = studied.exp / "select" / "distances" / "base" / "distances.tsv"
    path.write_text(path.read_text().replace("a-1", "a-7"))
    stopped = score(studied)
    assert stopped.returncode == 1
    message = "2 chunks are either missing here or missing in chunks/: lab/lectures/a-1, lab/lectures/a-7"
    assert f"{message}; run stage 8 (select) again" in stopped.stderr
