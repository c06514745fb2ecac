"""python -m k2d compare: which scores are comparable, which is best, and which differences are significant."""

import json
from types import SimpleNamespace

import pytest

from k2d.core.errors import K2DError
from k2d.score.cli import main as score
from k2d.score.compare import main
from k2d.score.comparison import System, against, sets_of
from k2d.score.stored_systems import systems_in

WORDS = "我 們 今 天 用 gpu 跑 一 個 model 好 不 好"


def hypothesis(n_wrong, n):
    """WORDS with errors in the first `n_wrong` of `n` utterances, far enough from each other to be segments."""
    wrong = WORDS.replace("們", "門").replace("一", "衣").replace("不", "布")
    return [f"s{at % 8}-u{at:03} {wrong if at < n_wrong else WORDS}" for at in range(n)]


@pytest.fixture
def experiment(texts, timing, tmp_path, capsys):
    """Make exp/NAME/score/MODEL/SET of hypotheses, and return the experiment's folder."""

    def make(name, models, *options, test="lab/test", run_s=None):
        n = 120
        ref = texts(f"data/{test}", *(f"s{at % 8}-u{at:03} {WORDS}" for at in range(n)))
        for table, value in (("utt2spk", "s{}"), ("wav.scp", "a{}.wav")):
            rows = sorted(f"s{at % 8}-u{at:03} {value.format(at % 8)}\n" for at in range(n))
            (ref.parent / table).write_text("".join(rows))
        ref.write_text("".join(sorted(ref.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")
        for model, n_wrong in models.items():
            hyp = texts(f"hyp/{name}/{model}", *hypothesis(n_wrong, n))
            if run_s:
                timing(hyp.parent, run_s[model])
            folder = tmp_path / name / "score" / model / test
            score(["--ref", str(ref), "--hyp", str(hyp), "--out", str(folder), *options])
        capsys.readouterr()
        return tmp_path / name

    return make


def compared(capsys, *words):
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_the_teacher_comes_first_the_best_is_bold_and_a_real_difference_marked(experiment, capsys):
    folder = experiment(
        "a", {"k2d-s1": 40, "same-s1": 118, "teacher": 120}, run_s={"k2d-s1": 5, "same-s1": 50, "teacher": 50}
    )
    printed = compared(capsys, folder, "--format", "md")
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    assert rows[0] == "| system | test |"
    assert rows[2] == "| teacher | 23.08 |"  # 3 of 13 tokens
    assert rows[3] == "| k2d-s1 | **7.69**† |"
    assert rows[4].startswith("| same-s1 | 22.69")
    assert "| k2d-s1 | test | +15.38 | +66.7 | 1.000 | 0.000 | ×10.0 |" in rows


def test_speeds_are_compared_within_an_experiment_alone(experiment, tmp_path, capsys):
    timing = {"audio_s": 100.0, "batch_size": 1, "threads": 2, "dtype": "fp32", "device": "cpu"}
    for name, seconds in (("a", {"teacher": 8.0, "k2d-s1": 2.0}), ("b", {"k2d-s2": 1.0})):
        experiment(name, dict.fromkeys(seconds, 40))
        for score_file in (tmp_path / name).rglob("score.json"):  # the stage names a set with its corpus
            score_file.write_text(json.dumps({**json.loads(score_file.read_text()), "set": "lab/test"}))
        path = tmp_path / name / "speed" / "lab" / "test" / "speed.json"
        path.parent.mkdir(parents=True)
        timings = {model: {**timing, "runs_s": [s]} for model, s in seconds.items()}
        path.write_text(json.dumps({"single": timings, "batched": {}}))
    (alone,) = json.loads(compared(capsys, tmp_path / "a", "--format", "json"))["against_baseline"]
    assert alone["speed_up"] == 4.0
    both = json.loads(compared(capsys, tmp_path / "a", tmp_path / "b", "--format", "json"))["against_baseline"]
    assert {row["system"]: row["speed_up"] for row in both} == {"a/k2d-s1": 4.0, "b/k2d-s2": None}
    for damaged in ("[]", "{}", '{"single": {}}', '{"single": {"teacher": {}}, "batched": {}}', "no json"):
        (tmp_path / "a" / "speed" / "lab" / "test" / "speed.json").write_text(damaged)
        with pytest.raises(K2DError, match=r"speed\.json: not a record of decoding times"):
            main([str(tmp_path / "a")])


def test_the_significance_tests_find_a_made_difference(experiment):
    """80 of 120 utterances are better by 3 segments each, and 40 are equal, over 8 speakers."""
    systems = systems_in([experiment("a", {"teacher": 120, "k2d-s1": 40})])
    (found,) = against(systems)
    assert found.p_better == 1.0
    assert found.is_significant()
    assert found.pairs.n_segments == 360
    assert found.pairs.mean == pytest.approx(-240 / 360)
    assert found.note == ""
    (back,) = against(systems[::-1])
    assert (back.p_better, back.pairs.mean) == (0.0, pytest.approx(240 / 360))
    assert back.is_significant()


def test_json_has_everything(experiment, capsys):
    found = json.loads(compared(capsys, experiment("a", {"teacher": 120, "k2d-s1": 40}), "--format", "json"))
    assert (found["baseline"], found["metric"]) == ("teacher", "mer")
    assert found["best"] == {"test": ["k2d-s1"]}
    assert found["against_baseline"][0]["significant"] is True
    assert [system["name"] for system in found["systems"]] == ["teacher", "k2d-s1"]


def test_another_measure_can_be_chosen(experiment, capsys):
    printed = compared(capsys, experiment("a", {"teacher": 120}), "--metric", "zh_joint")
    assert "Mandarin CER, joint (%)" in printed
    assert "*27.27*" in printed  # 3 of 11


def test_systems_of_several_experiments_have_the_experiments_names(experiment, capsys):
    printed = compared(capsys, experiment("a", {"teacher": 120}), experiment("b", {"k2d-s1": 40}))
    assert "a/teacher" in printed
    assert "b/k2d-s1" in printed
    assert "MER against a/teacher" in printed


def test_sets_come_in_the_order_of_their_roles_and_those_without_one_last(tmp_path):
    roles = {"d": "out_domain", "c": "in_domain", "b": "", "a": "dev", "e": "in_domain"}
    scores = {name: SimpleNamespace(score=SimpleNamespace(role=role)) for name, role in roles.items()}
    assert sets_of([System("teacher", scores, tmp_path, {})]) == ["a", "c", "e", "d", "b"]


def test_different_signatures_are_refused_without_an_option(experiment, capsys):
    folders = [experiment("a", {"teacher": 9}), experiment("b", {"k2d": 9}, "--mode", "paper")]
    with pytest.raises(K2DError, match="a/teacher on test and b/k2d on test differ in tok: default / paper"):
        main([str(folder) for folder in folders])
    printed = compared(capsys, *folders, "--mixed-signatures")
    assert "different signatures: a/teacher on test and b/k2d on test differ in tok: default / paper" in printed


def test_sets_may_differ_in_the_set_alone(experiment, capsys):
    folder = experiment("a", {"teacher": 9})
    experiment("a", {"teacher": 9}, test="lab/other")
    assert "system" in compared(capsys, folder)
    experiment("a", {"teacher": 9}, "--script", "none", test="lab/third")
    with pytest.raises(K2DError, match=r"teacher on other and teacher on third differ in norm: "):
        main([str(folder)])


def test_missing_and_broken_scores_are_reported(tmp_path):
    (tmp_path / "exp").mkdir()
    with pytest.raises(K2DError, match=r"exp: no score.json below it; expected an experiment after stage 12"):
        main([str(tmp_path / "exp")])
    (tmp_path / "exp" / "score.json").write_text('{"model": "m"}')
    with pytest.raises(K2DError, match=r"score.json: not a score of this toolkit \(KeyError: 'set'\); run stage 12"):
        main([str(tmp_path / "exp")])


def test_without_its_files_a_significance_test_is_omitted_and_broken_files_are_reported(experiment, capsys):
    folder = experiment("a", {"teacher": 120, "k2d-s1": 40})
    (path,) = folder.glob("score/k2d-s1/**/per_utt.jsonl")
    path.write_text(path.read_text().replace('"n": 13', '"n": 0', 1))
    with pytest.raises(K2DError, match=r"per_utt.jsonl:1: not the counts of an utterance \(more wrong tokens than"):
        main([str(folder)])
    path.unlink()
    printed = compared(capsys, folder, "--format", "md")
    assert "| k2d-s1 | **7.69** |" in printed
    assert "per_utt.jsonl is gone" in printed


def test_other_references_are_not_tested_against_each_other(experiment, capsys):
    """A set with the same name and size, but another word in its references: another signature, no paired test."""
    folder = experiment("a", {"teacher": 120, "k2d-s1": 40})
    (path,) = folder.glob("score/k2d-s1/**/ref.trn")
    path.write_text(path.read_text(encoding="utf-8").replace("gpu", "cpu", 1), encoding="utf-8")
    assert "k2d-s1 on test: not tested: the references or their tokens differ" in compared(capsys, folder)
