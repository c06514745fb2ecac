"""Stage 8: hand-made chunks and opinions become distances, decisions, kept directories and records."""

import json

import pytest
from commands_here import ExperimentHere, k2d

from k2d.select import distance_workers
from k2d.select.distances import Comparer
from k2d.select.metrics import Measuring

CONF = """
corpora: {unlabelled: [lab/train, lab/train-b]}
auxiliaries: {base: {}, small: {}}
select:
  methods:
    kd_all: {rule: none}
    kd_ngram: {rule: trivial}
    k2d_mer: {rule: mer}
    k2d_per: {rule: per}
    k2d_composite: {rule: composite}
"""

LOOP = "我們很好 " * 12

# id: (recording, course of it, seconds, teacher, auxiliary base)
TRAIN = {
    "c1": ("r1", "100", 10, "<0.00> 我們用 model <10.00>", "我们用 model"),  # the same words in another script
    "c2": ("r1", "100", 20, f"<0.00> {LOOP}", "我們很好"),  # a looping teacher
    "c3": ("r1", "100", 30, "<0.00> 今天天氣很好", LOOP),  # a looping auxiliary
    "c4": ("r2", "200", 8, "<0.00> 他在那裡", "她再那里"),  # other characters, the same sounds
    "c5": ("r2", "200", 4, "<0.00> … <4.00>", "好"),  # an empty label
    "c6": ("r2", "200", 6, "<0.00> 深度學習 is fun", ""),  # an empty opinion
}
MORE = {"m1": ("q1", None, 3, "<0.00> 完全不同", "nothing like it")}


@pytest.fixture(scope="module", autouse=True)
def _lexicons():
    """Workers are forked from here. What each of them would read anew is read once."""
    Comparer(Measuring()).compare("我們用 model", "我們")


@pytest.fixture
def lab(tmp_path):
    made = ExperimentHere(tmp_path)
    made.conf.write_text(CONF, encoding="utf-8")
    for split, chunks in (("lab/train", TRAIN), ("lab/train-b", MORE)):
        write_chunks(made, split, chunks)
        for auxiliary in ("base", "small"):
            write_opinion(made, auxiliary, split, {key: chunk[4] for key, chunk in chunks.items()})
    return made


def write_chunks(lab, split, chunks):
    folder = lab.exp / "chunks" / split
    folder.mkdir(parents=True)
    recordings = sorted({chunk[0] for chunk in chunks.values()})
    courses = sorted({(chunk[0], chunk[1]) for chunk in chunks.values() if chunk[1]})
    tables = {
        "wav.scp": [f"{recording} audio/{recording}.flac" for recording in recordings],
        "segments": [f"{key} {chunk[0]} 0.00 {chunk[2]:.2f}" for key, chunk in chunks.items()],
        "utt2spk": [f"{key} {key}" for key in chunks],
        "spk2utt": [f"{key} {key}" for key in chunks],
        "text": [f"{key} {chunk[3]}" for key, chunk in chunks.items()],
        **({"reco2course": [f"{recording} {course}" for recording, course in courses]} if courses else {}),
    }
    for name, rows in tables.items():
        (folder / name).write_text("".join(row + "\n" for row in rows), encoding="utf-8")


def write_opinion(lab, auxiliary, split, texts):
    path = lab.exp / "opinions" / auxiliary / split / "text"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} {text}".rstrip() + "\n" for key, text in texts.items()), encoding="utf-8")


def select(lab, *words):
    return lab.k2d("select", *words)


def made(lab, name):
    return lab.exp / "select" / name


def rows(path):
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def reasons(lab, method):
    decisions = rows(made(lab, method) / "decisions.tsv")
    assert all((row["decision"] == "kept") == (row["reason"] == "") for row in decisions)
    return {row["id"].rpartition("/")[2]: row["reason"] for row in decisions}


@pytest.mark.slow
def test_all_methods_of_the_paper_on_cases_worked_out_by_hand(lab):
    killed = made(lab, "distances") / ".base.partial"  # what a run that was killed leaves
    (killed / ".scratch-x").mkdir(parents=True)
    done = select(lab)
    assert done.returncode == 0, done.stderr
    assert not killed.exists()
    check_distances(lab)
    check_decisions(lab)
    assert "in 7 chunks = kept 3 + distance 2 + empty_teacher 1 + loop 1" in done.stdout
    check_record(json.loads((made(lab, "k2d_composite") / "record.json").read_text()))
    check_kept(lab, made(lab, "k2d_composite") / "kept")


def check_distances(lab):
    distances = rows(made(lab, "distances/base") / "distances.tsv")
    assert [row["id"] for row in distances] == ["lab/train-b/m1", *(f"lab/train/{key}" for key in TRAIN)]
    by_id = {row["id"].rpartition("/")[2]: row for row in distances}
    assert by_id["c1"] | {"id": ""} == {
        "id": "",
        "recording": "r1",
        "duration_s": "10.000",
        "loops_teacher": "0",
        "loops_auxiliary": "0",
        "n_teacher": "4",
        "n_auxiliary": "4",
        "mer": "0.0000",
        "per": "0.0000",
        "composite": "0.0000",
    }
    # 48 characters against 4: 44 deletions over the validator's 4
    assert (by_id["c2"]["loops_teacher"], by_id["c2"]["mer"], by_id["c2"]["composite"]) == ("1", "11.0000", "1.0000")
    assert (by_id["c3"]["loops_auxiliary"], by_id["c3"]["composite"]) == ("1", "0.0000")
    assert (by_id["c4"]["mer"], by_id["c4"]["per"]) == ("0.5000", "0.0000")  # 他/她 and 在/再 of four
    assert (by_id["c5"]["n_teacher"], by_id["c5"]["mer"]) == ("0", "1.0000")
    assert (by_id["c6"]["n_auxiliary"], by_id["c6"]["per"]) == ("0", "1.0000")


def check_decisions(lab):
    empty = {"c5": "empty_teacher"}
    clean = dict.fromkeys(TRAIN, "") | {"m1": ""}
    far = {"m1": "distance", "c6": "distance"}
    assert reasons(lab, "kd_all") == clean | empty
    assert reasons(lab, "kd_ngram") == clean | empty | {"c2": "loop"}
    assert reasons(lab, "k2d_mer") == clean | empty | far | {"c2": "distance", "c3": "distance", "c4": "distance"}
    assert reasons(lab, "k2d_per") == clean | empty | far | {"c2": "distance", "c3": "distance"}
    assert reasons(lab, "k2d_composite") == clean | empty | far | {"c2": "loop"}


def check_record(record):
    assert (record["rule"], record["alpha"], record["auxiliary"], record["also"]) == ("composite", 0.4, "base", [])
    assert record["settings"]["denominator"] == "validator"
    assert record["signature"].startswith("k2d-select:2|norm:")
    assert record["in"] == {"chunks": 7, "hours": round(81 / 3600, 6)}
    assert record["kept"] == {"chunks": 3, "hours": round(48 / 3600, 6)}
    assert record["dropped"] == {
        "distance": {"chunks": 2, "hours": round(9 / 3600, 6)},
        "empty_teacher": {"chunks": 1, "hours": round(4 / 3600, 6)},
        "loop": {"chunks": 1, "hours": round(20 / 3600, 6)},
    }
    assert record["by_course"]["100"]["kept"] == {"chunks": 2, "hours": round(40 / 3600, 6)}
    assert record["by_course"]["200"]["in"]["chunks"] == 3
    assert record["loops"] == {"teacher": 1, "auxiliary": 1, "both": 0}


def check_kept(lab, kept):
    assert (kept / "lab/train/text").read_text(encoding="utf-8").splitlines()[0] == "c1 <0.00> 我們用 model <10.00>"
    assert (kept / "lab/train/segments").read_text() == "c1 r1 0.00 10.00\nc3 r1 0.00 30.00\nc4 r2 0.00 8.00\n"
    assert not (kept / "lab/train-b").exists()  # nothing of it was kept
    valid = k2d("data", "validate", "--audio", "none", str(kept / "lab/train"))
    assert valid.returncode == 0, valid.stdout


@pytest.mark.slow
def test_a_finished_unit_is_skipped_and_a_changed_setting_is_noticed(lab):
    assert select(lab).returncode == 0
    again = select(lab)
    assert again.stdout.count("done already, skipped") == 7
    changed = select(lab, "select.methods.k2d_per.alpha=0.9")
    assert changed.returncode == 1
    assert "setting alpha: 0.4 -> 0.9" in changed.stderr
    write_opinion(lab, "base", "lab/train", dict.fromkeys(TRAIN, "好"))
    new = select(lab)
    assert new.returncode == 1
    assert "input opinions/base/lab/train/text has changed" in new.stderr


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(lab, monkeypatch):
    assert select(lab).returncode == 0
    before = {path.relative_to(lab.exp): path.read_bytes() for path in made(lab, ".").rglob("*.tsv")}
    assert len(before) == 7
    lab.exp.joinpath("select").rename(lab.root / "aside")
    monkeypatch.setattr(distance_workers, "BLOCK_PAIRS", 2)  # of seven: both workers get some
    assert select(lab, "--nj", "2").returncode == 0
    assert {path: (lab.exp / path).read_bytes() for path in before} == before


@pytest.mark.slow
def test_nothing_kept_is_an_error_unless_allowed(lab):
    write_opinion(lab, "base", "lab/train", dict.fromkeys(TRAIN, "完全兩樣"))
    stopped = select(lab, "select.methods={k2d_mer: {rule: mer, alpha: 0.0}}")
    assert stopped.returncode == 1
    assert "the method k2d_mer (rule mer, alpha 0) keeps nothing of 7 chunks: dropped distance 6, empty_teacher 1" in (
        stopped.stderr
    )
    assert not made(lab, "k2d_mer").exists()
    allowed = select(lab, "select.methods={k2d_mer: {rule: mer, alpha: 0.0}}", "select.allow_empty=true")
    assert allowed.returncode == 0, allowed.stderr
    assert json.loads((made(lab, "k2d_mer") / "record.json").read_text())["kept"] == {"chunks": 0, "hours": 0.0}


@pytest.mark.slow
def test_opinions_on_other_chunks_are_refused_with_the_first_ids(lab):
    write_opinion(lab, "base", "lab/train", dict.fromkeys(list(TRAIN)[1:], "好"))
    done = select(lab)
    assert done.returncode == 1
    chunks, opinions = f"{lab.exp}/chunks/lab/train/text", f"{lab.exp}/opinions/base/lab/train/text"
    assert f"1 ids are in {chunks} but not in {opinions}: c1;" in done.stderr


@pytest.mark.slow
def test_missing_chunks_and_bad_files_are_named(lab):
    path = lab.exp / "opinions/base/lab/train/text"
    path.write_bytes("c1 好\nc2 \ud800\n".encode("utf-8", "surrogatepass"))
    broken = select(lab)
    assert broken.returncode == 1
    assert "invalid UTF-8 at byte offset 10" in broken.stderr
    path.unlink()
    missing = select(lab)
    assert missing.returncode == 3
    assert "exp/x/opinions/base/lab/train/text" in missing.stderr


@pytest.mark.slow
def test_further_rules_are_stacked_and_give_their_names_as_reasons(lab):
    for split, chunks in (("lab/train", TRAIN), ("lab/train-b", MORE)):
        sure = "".join(f"{key} {-1.5 if key in ('c1', 'c3') else -0.25}\n" for key in chunks)
        (lab.exp / "chunks" / split / "utt2logprob").write_text(sure)
    also = "[characters_per_second, identical_labels, phrase_blacklist]"
    methods = f"{{plus: {{rule: trivial, also: {also}}}, sure: {{rule: none, also: [mean_logprob]}}}}"
    done = select(lab, f"select.methods={methods}")
    assert done.returncode == 0, done.stderr
    assert [key for key, reason in reasons(lab, "sure").items() if reason == "mean_logprob"] == ["c1", "c3"]
    # c3: 6 characters in 30 s and c4: 4 in 8 s; c6: 深度学习isfun, 9 in 6 s
    assert reasons(lab, "plus") == {
        "m1": "",
        "c1": "characters_per_second",
        "c2": "loop",
        "c3": "characters_per_second",
        "c4": "characters_per_second",
        "c5": "empty_teacher",
        "c6": "",
    }
    record = json.loads((made(lab, "plus") / "record.json").read_text())
    assert record["dropped"]["characters_per_second"]["chunks"] == 3
    unknown = select(lab, "select.methods={plus: {rule: trivial, also: [typo]}}")
    assert unknown.returncode == 2
    assert "select.methods.plus.also: found 'typo', expected one of characters_per_second, " in unknown.stderr


@pytest.mark.slow
def test_rules_that_need_no_second_opinion_need_no_auxiliary(lab):
    done = select(lab, "auxiliaries=null", "select.methods=null", "select.methods={kd_ngram: {rule: trivial}}")
    assert done.returncode == 0, done.stderr
    assert reasons(lab, "kd_ngram")["c2"] == "loop"
    assert json.loads((made(lab, "kd_ngram") / "record.json").read_text())["auxiliary"] is None

    nothing_to_choose_from = select(lab, "corpora.unlabelled=[]")
    assert nothing_to_choose_from.returncode == 2
    assert (
        "corpora.unlabelled: found no split, expected at least one for select.methods" in nothing_to_choose_from.stderr
    )


@pytest.mark.slow
def test_the_users_lexicon_is_an_input_and_a_missing_one_is_named(lab):
    lexicon = lab.root / "lexicon.tsv"
    missing = select(lab, f"select.lexicon={lexicon}")
    assert missing.returncode == 3
    assert str(lexicon) in missing.stderr
    lexicon.write_text("model\tm o\n")
    assert select(lab, f"select.lexicon={lexicon}").returncode == 0
    lexicon.write_text("model\tm a\n")
    changed = select(lab, f"select.lexicon={lexicon}")
    assert changed.returncode == 1
    assert f"input {lexicon} has changed" in changed.stderr
    assert list((lab.exp / "cache/distances").glob("*/*")) == []  # blocks go once the table is there
