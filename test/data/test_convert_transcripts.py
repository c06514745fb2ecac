"""Transcripts of other systems are converted to hypotheses for stage 5. Dropped texts are counted."""

import json

import pytest

from k2d.core.errors import K2DError, MissingInput, UsageError
from k2d.data.cli import main
from k2d.data.convert_transcripts import convert_transcripts
from k2d.data.external_hypotheses import Demands, ExternalHypotheses
from k2d.data.kaldi.datadir import read_recordings
from k2d.data.rows import Hypothesis, Segment
from k2d.data.subtitles import FORMATS

LENGTHS_S = {"r1": 12.0, "r2": 40.0, "r3": 9.0}
SEGMENTS = {"r1": [(0.5, 2.0, "我們 <3"), (3.0, 5.5, "so 好")], "r2": [(1.0, 30.0, "乙 today")], "r3": []}


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "wav.scp").write_text("".join(f"{key} {key}.wav\n" for key in LENGTHS_S))
    (folder / "reco2dur").write_text("".join(f"{key} {seconds}\n" for key, seconds in LENGTHS_S.items()))
    return folder


@pytest.fixture
def convert(data, tmp_path):
    """Convert files, given by name and content, and return the output and the counts."""

    def made(source="source", **files):
        folder = tmp_path / "source"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
        output = tmp_path / "hyp.jsonl"
        counts = convert_transcripts(tmp_path / source, data, output)
        lines = output.read_text(encoding="utf-8").splitlines()
        read_back = ExternalHypotheses(output, Demands(30.0, 0.0)).of(_of(data, lines), tmp_path)
        assert len(list(read_back)) == len(lines)  # stage 5 finds no fault
        return {each["id"]: [tuple(s.values()) for s in each["segments"]] for each in map(json.loads, lines)}, counts

    return made


def _of(data, lines):
    ids = {json.loads(line)["id"] for line in lines}
    return (row for row in read_recordings(data) if row.id in ids)


def hypothesis(key):
    return Hypothesis(key, LENGTHS_S[key], tuple(Segment(*each) for each in SEGMENTS[key]), ())


@pytest.mark.parametrize("form", ["srt", "vtt", "json"])
def test_hypotheses_of_k2d_are_read(convert, form):
    files = {f"{key}__{form}": FORMATS[form](hypothesis(key)) for key in LENGTHS_S}
    found, counts = convert(**files)
    assert found == SEGMENTS
    assert (counts.n_in, counts.n_kept, counts.n_found, counts.longest_s) == (3, 3, 3, 29.0)


def test_kaldi_text_and_segments(convert):
    found, counts = convert(
        text="u1 我們 so\nu2 好\nu3\nu4 lost\nu9 anders\n",
        segments="u1 r1 0.5 2.0\nu2 r1 3 5.5\nu3 r2 0 1\nu9 r9 0 1\n",
    )
    assert found == {"r1": [(0.5, 2.0, "我們 so"), (3.0, 5.5, "好")], "r2": []}
    assert dict(counts.dropped) == {"no_words": 1, "no_segment": 1, "unknown_recording": 1}
    assert list(counts.lines()) == [
        "in 5 texts = kept 2 + no_segment 1 + no_words 1 + unknown_recording 1",
        "2 of 3 recordings have a transcript; without one: r3",
        "the longest text lasts 2.5 s; it must fit into the teacher's window (Whisper: 30 s)",
    ]


def test_a_kaldi_text_alone_is_of_whole_recordings(convert):
    found, _ = convert(text="r1 我們\nr3 so\n")
    assert found == {"r1": [(0.0, 12.0, "我們")], "r3": [(0.0, 9.0, "so")]}


def test_json_lines_of_texts_and_of_recordings(convert):
    lines = [
        {"key": "r1", "text": "<|zh|><|NEUTRAL|><|Speech|>好", "start": 3, "end": 5.5},
        {"id": "r1", "text": "so", "start_s": 0.5, "end_s": 2.0, "language": "en"},
        {"id": "r3", "segments": [{"start": 1.0, "end": 2.0, "text": " a ", "avg_logprob": -0.2, "tokens": [1]}]},
        {"id": "r2", "segments": []},
    ]
    found, counts = convert("source/x.jsonl", x__jsonl="".join(json.dumps(line) + "\n" for line in lines))
    assert found == {"r1": [(0.5, 2.0, "so", "en"), (3.0, 5.5, "好")], "r2": [], "r3": [(1.0, 2.0, "a")]}
    assert counts.n_in == 3


def test_padded_segments_are_cut_and_larger_overlaps_are_not(convert, data, tmp_path):
    found, counts = convert(text="u1 a\nu2 b\n", segments="u1 r1 0.5 2.3\nu2 r1 2.0 4.0\n")
    assert (found["r1"], counts.n_cut) == ([(0.5, 2.0, "a"), (2.0, 4.0, "b")], 1)
    (tmp_path / "source" / "segments").write_text("u1 r1 0.5 3.5\nu2 r1 2.0 4.0\n")
    made = convert_transcripts(tmp_path / "source", data, tmp_path / "hyp.jsonl")
    assert (made.n_cut, made.n_kept) == (0, 2)
    checked = ExternalHypotheses(tmp_path / "hyp.jsonl", Demands(30.0, 0.0))
    with pytest.raises(K2DError, match="overlaps 1, such as r1#0001"):
        list(checked.of((row for row in read_recordings(data) if row.id == "r1"), tmp_path))


def test_texts_without_a_stretch_of_time_are_counted(convert):
    lines = [{"id": "r1", "text": "a", "start": 2, "end": 2}, {"id": "r1", "text": "b", "start": 1}]
    lines += [{"id": "r1", "text": "c", "start": 1e300, "end": 2}, {"id": "r1", "text": "d", "start": 1, "end": 2}]
    lines += [{"id": "r1", "text": "f\ud800", "start": 1, "end": 2}]
    lines += [{"id": "../r1", "text": "e", "start": 1, "end": 2}, {"id": "r1", "text": "♪", "start": 1, "end": 2}]
    found, counts = convert("source/x.jsonl", x__jsonl="".join(json.dumps(line) + "\n" for line in lines))
    assert found == {"r1": [(1.0, 2.0, "d")]}
    assert dict(counts.dropped) == {"bad_times": 3, "unknown_recording": 1, "no_words": 1, "encoding": 1}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "source: found none, expected a Kaldi text (with segments), or a .srt, .vtt or .json for each recording"),
        ({"a__srt": "", "b__json": "{}"}, "source: found files of several kinds (.json, .srt), expected"),
        ({"r1__json": "["}, "source/r1.json: cannot be read as JSON: Expecting value"),
        ({"r1__json": "[]"}, "source/r1.json: expected a JSON object, found []"),
        ({"r1__json": '{"text": 3}'}, "source/r1.json: text: expected a string, found 3"),
        ({"r1__json": '{"segments": [1]}'}, "source/r1.json: segments: expected a list of objects with start, end and"),
        ({"r1__json": '{"text": "a", "start": "1"}'}, 'r1.json: start: expected seconds as a number, found "1"'),
        ({"text": "r1 a\nr1 b\n"}, "source/text"),
        ({"r1__srt": "no captions"}, "source/r1.srt: found no line such as 00:01:02.345 --> 00:01:04.000"),
        ({"r9__json": '{"text": "a"}'}, "no text can be used (in 1 texts, unknown_recording); expected texts"),
    ],
)
def test_sources_that_cannot_be_read(convert, files, message):
    with pytest.raises(K2DError) as caught:
        convert(**files)
    assert message in str(caught.value)


def test_lines_without_an_id_are_reported_with_their_place(convert):
    with pytest.raises(K2DError, match=r"x\.jsonl:2: id: expected the recording's, as a string; found none"):
        convert("source/x.jsonl", x__jsonl='\n{"text": "a"}\n')


def test_the_command_writes_the_file_and_overwrites_none(data, tmp_path, capsys):
    (tmp_path / "r1.srt").write_text(FORMATS["srt"](hypothesis("r1")), encoding="utf-8")
    words = ["hypotheses", str(tmp_path), str(data), str(tmp_path / "out.jsonl")]
    assert main(words) == 0
    message = capsys.readouterr().out.splitlines()
    assert message[0] == f"{tmp_path}/out.jsonl: in 2 texts = kept 2"
    with pytest.raises(UsageError, match="is there already; name another file, or replace it with --force"):
        main(words)
    assert main([*words, "--force"]) == 0
    with pytest.raises(MissingInput, match="nowhere: there is no such file or folder; expected transcripts"):
        main(["hypotheses", str(tmp_path / "nowhere"), *words[2:], "--force"])
