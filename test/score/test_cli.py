"""python -m k2d score --ref … --hyp …"""

import json

import pytest

from k2d.core.errors import K2DError
from k2d.score.cli import main

REF = ("s1-u1 我們用 GPU 跑", "s1-u2 今天很好", "s2-u1 run it now", "s2-u2 謝謝")
HYP = ("s1-u1 我们用 CPU 跑", "s1-u2 今天好", "s2-u1 run it now please", "s2-u2 谢谢")


@pytest.fixture
def score(texts, capsys):
    """Score lines against lines, and return the output."""

    def run(*options, ref=REF, hyp=HYP):
        assert main(["--ref", str(texts("set", *ref)), "--hyp", str(texts("model", *hyp)), *options]) == 0
        return capsys.readouterr()

    return run


def test_json_has_every_figure(score):
    found = json.loads(score("--format", "json").out)
    assert found["mer"] == {"n": 14, "s": 1, "d": 1, "i": 1, "percent": 21.4286}
    assert found["zh_split"] == found["zh_joint"] == {"n": 10, "s": 0, "d": 1, "i": 0, "percent": 10.0}
    assert found["en_split"] == {"n": 4, "s": 1, "d": 0, "i": 1, "percent": 50.0}
    assert found["parts"]["mixed"] == {"n": 5, "s": 1, "d": 0, "i": 0, "percent": 20.0}
    assert found["pier"] == {"n": 1, "s": 1, "d": 0, "i": 0, "percent": 100.0}
    assert (found["model"], found["set"], found["role"]) == ("model", "set", None)
    assert (found["repetitions"], found["missing"], found["rtf"]) == (0, [], None)
    assert found["signature"].startswith("k2d-score:1|norm:basic-")
    assert "|tok:default|" in found["signature"]


def test_text_and_markdown_have_the_same_figures(score):
    text, markdown = score().out, score("--format", "md").out
    assert any(line.split() == ["MER", "14", "1", "1", "1", "21.43"] for line in text.splitlines())
    assert "| MER | 14 | 1 | 1 | 1 | 21.43 |" in markdown
    for printed in (text, markdown):
        assert "95% interval of the MER: " in printed
        assert "recall of English terms: 0.00 %, of 1 words in mixed utterances" in printed
        assert "signature: k2d-score:1|" in printed


def test_a_missing_hypothesis_is_named_and_counts_as_deletions(score):
    found = json.loads(score("--format", "json", hyp=HYP[:3]).out)
    assert found["missing"] == ["s2-u2"]
    assert found["mer"]["d"] == 3
    printed = score(hyp=HYP[:3]).out
    assert "missing: 1 (s2-u2), counted as deletions" in printed
    assert "longer than the audio allows: not known, without durations" in printed


def test_an_extra_hypothesis_is_an_error(score):
    with pytest.raises(K2DError, match=r"1 of 5 ids are not in the reference .*: s9-u1 "):
        score(hyp=(*HYP, "s9-u1 好"))


def test_the_order_of_lines_does_not_matter_and_is_reported(score):
    there, back = score("--format", "json"), score("--format", "json", ref=REF[::-1], hyp=HYP[::-1])
    assert json.loads(there.out) == json.loads(back.out)
    assert there.err == ""
    assert "set/text: normalised 1 × [unsorted]" in back.err


def test_conventions_change_the_score_and_the_signature(score):
    lines = {"ref": ("u1 說 3",), "hyp": ("u1 说 4",)}
    usual, paper = (
        json.loads(score("--format", "json", *words, **lines).out)
        for words in ([], ["--mode", "paper", "--script", "none"])
    )
    assert (usual["mer"]["s"], usual["en_split"]["n"]) == (1, 0)
    assert (paper["mer"]["s"], paper["en_split"]["n"]) == (2, 1)
    assert "tok:paper" in paper["signature"]
    assert "t2s" not in paper["signature"]


def test_the_test_set_is_in_the_signature_and_the_hypothesis_is_not(score):
    one = json.loads(score("--format", "json").out)["signature"]
    assert json.loads(score("--format", "json", hyp=REF).out)["signature"] == one
    changed = (*REF[:3], "s2-u2 謝謝你")
    assert json.loads(score("--format", "json", ref=changed).out)["signature"] != one


def test_the_record_of_time_beside_the_hypotheses_is_used(score, timing, tmp_path):
    (tmp_path / "model").mkdir()
    timing(tmp_path / "model", 20, 30)
    assert json.loads(score("--format", "json").out)["rtf"]["mean"] == 0.25
    assert "real-time factor: 0.2500 (0.2000 to 0.3000 in 2 runs; cpu, fp32, batch 1, 2 threads)" in score().out


def test_out_contains_the_alignment_and_the_counts(score, tmp_path):
    printed = json.loads(score("--format", "json", "--out", str(tmp_path / "out")).out)
    folder = tmp_path / "out"
    assert sorted(path.name for path in folder.iterdir()) == [
        "align.txt",
        "hyp.trn",
        "per_utt.jsonl",
        "ref.trn",
        "score.json",
    ]
    assert json.loads((folder / "score.json").read_text()) == printed
    rows = [json.loads(line) for line in (folder / "per_utt.jsonl").read_text().splitlines()]
    assert rows[0] == {
        "id": "s1-u1", "group": "block 1", "part": "mixed", "n": 5, "s": 1, "d": 0, "i": 0, "repetitions": 0,
    }  # fmt: skip
    assert sum(row["n"] for row in rows) == printed["mer"]["n"]
    assert (folder / "ref.trn").read_text().splitlines()[0] == "我 们 用 gpu 跑 (s1-u1)"
    assert (folder / "hyp.trn").read_text().splitlines()[0] == "我 们 用 cpu 跑 (s1-u1)"
    assert "REF:  run it now ******\nHYP:  run it now please\nEval:            I" in (folder / "align.txt").read_text()


def test_a_wrong_call_is_explained(score):
    with pytest.raises(SystemExit) as stopped:
        main(["--ref", "a"])
    assert stopped.value.code == 2
