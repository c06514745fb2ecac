"""python -m k2d distance: two Kaldi text files, joined by id."""

import os

import pytest

from k2d.core.errors import K2DError, UsageError
from k2d.select.cli import main

A = "u1 我們用 model\nu2 謝謝觀看謝謝觀看謝謝觀看謝謝觀看謝謝觀看謝謝觀看謝謝觀看\nu3 <0.00> 他在 <1.00>\nu4\n"
B = "u1 我们用 model\nu2 謝謝\nu3 她再\nu4 好\n"


@pytest.fixture
def texts(tmp_path):
    """Write A/text and B/text, and return the arguments that name them."""

    def write(a=A, b=B):
        words = []
        for side, content in (("a", a), ("b", b)):
            path = tmp_path / side / "text"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            words += [f"--{side}", str(path)]
        return words

    return write


def run(capsys, *words):
    assert main(words) == 0
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_a_line_for_each_utterance_with_a_header(texts, capsys):
    assert run(capsys, *texts()) == [
        ["id", "loops_a", "loops_b", "mer", "per", "composite", "keep"],
        ["u1", "0", "0", "0.0000", "0.0000", "0.0000", "1"],
        # 28 characters against 2; ㄒㄧㄝ ㄒㄧㄝ ㄍㄨㄢ ㄎㄢ has 11 phonemes, seven times 77 against 6
        ["u2", "1", "0", "13.0000", "11.8333", "1.0000", "0"],
        ["u3", "0", "0", "1.0000", "0.0000", "0.0000", "1"],
        ["u4", "0", "0", "1.0000", "1.0000", "1.0000", "0"],
    ]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--metric", "none"], "1110"),  # an empty label is kept by none
        (["--metric", "trivial"], "1010"),
        (["--metric", "mer"], "1000"),
        (["--metric", "per"], "1010"),
        (["--metric", "mer", "--alpha", "0.2", "--script", "none"], "0000"),  # 们 is not 們: one of three
        (["--metric", "trivial", "--count", "7"], "1110"),
    ],
)
@pytest.mark.slow
def test_metric_and_options_decide_what_is_kept(texts, capsys, words, kept):
    assert "".join(row[-1] for row in run(capsys, *texts(), *words)[1:]) == kept


@pytest.mark.slow
def test_the_order_of_lines_does_not_matter(texts, capsys):
    straight = run(capsys, *texts())
    shuffled = "".join(line + "\n" for line in reversed(B.splitlines()))
    assert run(capsys, *texts(b=shuffled)) == straight


def test_crlf_bom_and_a_missing_last_line_end_are_accepted(texts, capsys):
    windows = ("\ufeff" + B.replace("\n", "\r\n")).removesuffix("\r\n")
    assert run(capsys, *texts(b=windows)) == run(capsys, *texts())


@pytest.mark.parametrize(
    ("b", "message"),
    [
        (
            "u1 x\nu3 x\nu5 x\n",
            r"2 ids are in .*a/text but not in .*b/text: u2, u4\n1 ids are in .*b/text but .*: u5\n",
        ),
        ("u1 x\nu1 y\nu2\nu3\nu4\n", r"the id 'u1' occurs more than once .* with another value"),
        ("", r"b/text: the file is empty"),
        (b"u1 \xff\n", r"b/text: invalid UTF-8 at byte offset 3 \(0xff\)"),
        ("u1 好\n".encode("utf-16"), r"the file is UTF-16, not UTF-8"),
        ("u1 a\0b\nu2\nu3\nu4\n", r"b/text:1: .*control"),
    ],
)
def test_bad_files_are_refused_before_anything_is_printed(texts, capsys, b, message):
    with pytest.raises(K2DError, match=f"(?s){message}"):
        main(texts(b=b))
    assert capsys.readouterr().out == ""


def test_five_ids_are_shown_of_many(texts):
    many = "".join(f"v{n:02d} x\n" for n in range(12))
    with pytest.raises(K2DError, match=r"12 ids are in .*: v00, v01, v02, v03, v04, …"):
        main(texts(b=B + many))


def test_a_wrong_call_lists_all_faults(texts):
    with pytest.raises(
        UsageError, match="--n 0: expected at least 1\n--alpha 1: expected 0 to below 1\n--empty 2: exp"
    ):
        main([*texts(), "--n", "0", "--alpha", "1", "--empty", "2"])
    with pytest.raises(K2DError, match="no such file"):
        main(["--a", "nowhere/text", "--b", "nowhere/text"])


@pytest.mark.slow
def test_a_line_of_a_megabyte_is_measured(texts, capsys):
    long = "今天的天氣很好我們去公園走一走" * 23_000
    rows = run(capsys, *texts(a=f"u1 {long}\n", b="u1 今天的天氣很好\n"))
    assert rows[1][1] == "1"
    assert float(rows[1][3]) > 10_000


def test_the_users_lexicon_has_priority(texts, capsys, tmp_path):
    lexicon = tmp_path / "lexicon.tsv"
    lexicon.write_text("kubeflow\tk u b\ncubeflow\tk u b\n")
    words = texts("u1 kubeflow\n", "u1 cubeflow\n")
    assert run(capsys, *words, "--lexicon", str(lexicon))[1][3:5] == ["1.0000", "0.0000"]
    lexicon.write_text("kubeflow\tk u b\ncubeflow\ts i d\n")
    assert run(capsys, *words, "--lexicon", str(lexicon))[1][3:5] == ["1.0000", "1.0000"]


def test_a_folder_or_a_pipe_is_not_reported_as_missing(texts, tmp_path):
    words = texts()
    with pytest.raises(K2DError, match="a: is a directory, not a file"):
        main([*words[:1], str(tmp_path / "a"), *words[2:]])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(K2DError, match="pipe: is a named pipe, not a file"):
        main([*words[:1], str(tmp_path / "pipe"), *words[2:]])
    with pytest.raises(K2DError, match="nothing: no such file"):
        main([*words[:1], str(tmp_path / "nothing"), *words[2:]])
