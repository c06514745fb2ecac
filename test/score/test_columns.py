"""Alignments, trn lines and tables: Han are two columns wide, and NIST's own tool reads the trn files."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.score.align import align
from k2d.score.columns import (
    alignment_block,
    markdown_table,
    padded,
    parse_trn_line,
    text_table,
    trn_line,
    width,
)
from k2d.text.tokenise import mixed_tokens

REF, HYP = "你 好 我 們 用 gpu 跑 model", "你 hi 我 用 gpu 跑 the model"


def test_an_alignment_in_sclites_manner():
    block = alignment_block("spk-u1", align(mixed_tokens(REF), mixed_tokens(HYP)))
    assert block == "\n".join(
        [
            "id: (spk-u1)",
            "Scores: (#C #S #D #I) 6 1 1 1",
            "REF:  你 好 我 們 用 gpu 跑 *** model",
            "HYP:  你 hi 我 ** 用 gpu 跑 the model",
            "Eval:    S     D            I",
        ]
    )


@given(st.lists(st.sampled_from(["我", "gpu", "カナ", "3"])), st.lists(st.sampled_from(["我", "run", "3"])))
def test_columns_are_aligned(ref, hyp):
    lines = alignment_block("u", align(mixed_tokens(" ".join(ref)), mixed_tokens(" ".join(hyp)))).split("\n")[2:4]
    starts = [[width(line[:at]) for at in range(1, len(line)) if line[at - 1] == " " != line[at]] for line in lines]
    assert starts[0] == starts[1]


@given(st.lists(st.sampled_from(["我", "gpu", "don't", "3"])))
def test_a_trn_line_has_its_words(words):
    assert parse_trn_line(trn_line("spk_1-u1", mixed_tokens(" ".join(words)))) == ("spk_1-u1", words)


def test_widths():
    assert [width(text) for text in ("gpu", "我們", "ＡＢ", "カ", "é", "e\u0301")] == [3, 4, 4, 2, 1, 1]
    assert padded("我", 4) + "|" == "我  |"
    assert padded("我", 4, right=True) == "  我"


def test_tables():
    rows = [["系統", "a"], ["x", "12.34"]]
    assert list(text_table(rows)) == ["系統      a", "x     12.34"]
    assert list(markdown_table([["a|b", "n"], ["x", "1"]])) == ["| a\\|b | n |", "| --- | ---: |", "| x | 1 |"]


@pytest.mark.skipif(shutil.which("sctk") is None, reason="NIST's tools are not installed (apt: sctk)")
def test_sclite_counts_the_same_total(tmp_path):
    alignment = align(mixed_tokens(REF), mixed_tokens(HYP))
    for name, tokens in (("ref", alignment.ref), ("hyp", alignment.hyp)):
        (tmp_path / name).write_text(trn_line("spk-u1", tokens) + "\n" + trn_line("spk-u2", []) + "\n")
    words = "sctk sclite -r ref trn -h hyp trn -i rm -e utf-8 -c NOASCII -o pralign stdout"
    done = subprocess.run(words.split(), cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert "id: (spk-u1)\nScores: (#C #S #D #I) 6 1 1 1" in done.stdout, done.stdout + done.stderr
