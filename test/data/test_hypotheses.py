"""hyp.jsonl is read back exactly as it was written, and faults are reported with line and field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.core.errors import K2DError, MissingInput
from k2d.data.hypotheses import hypothesis_line, one_line, plain_text, read_hypotheses
from k2d.data.rows import DecodedWindow, Hypothesis, Segment

HEARD = Hypothesis(
    "r1",
    12.345,
    (Segment(0.0, 2.4, "你好 world", -0.31), Segment(2.4, 5.0, "", None, loop=True, language="zh")),
    (DecodedWindow(0.0, 5.0, 17, "loop", "timestamps", -1.25), DecodedWindow(5.0, 7.345, 0, "silence", "window")),
)
LINE = (
    '{"id": "r1", "duration_s": 12.345, "segments": ['
    '{"start_s": 0.0, "end_s": 2.4, "text": "你好 world", "mean_logprob": -0.31, "loop": false}, '
    '{"start_s": 2.4, "end_s": 5.0, "text": "", "mean_logprob": null, "loop": true, "language": "zh"}], "windows": ['
    '{"start_s": 0.0, "advance_s": 5.0, "n_tokens": 17, "ended": "loop", "moved_by": "timestamps", '
    '"mean_logprob": -1.25}, {"start_s": 5.0, "advance_s": 7.345, "n_tokens": 0, "ended": "silence", '
    '"moved_by": "window", "mean_logprob": null}]}'
)

ids = st.text("abcXYZ0189-_課", min_size=1, max_size=8).filter(lambda text: not text.startswith("-"))
times = st.integers(0, 10**8).map(lambda milliseconds: milliseconds / 1000)
logprobs = st.none() | st.integers(-900, 0).map(lambda hundredths: hundredths / 100)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
segments = st.builds(Segment, times, times, words, logprobs, st.booleans(), st.none() | st.just("en"))
no_speech = st.none() | st.integers(0, 100).map(lambda hundredths: hundredths / 100)
windows = st.builds(
    DecodedWindow, times, times, st.integers(0, 448), st.just("end"), st.just("window"), logprobs, no_speech
)
hypotheses = st.builds(
    Hypothesis, ids, times, st.lists(segments, max_size=4).map(tuple), st.lists(windows, max_size=3).map(tuple)
)


def written(tmp_path, *lines):
    path = tmp_path / "hyp.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def changed(**fields):
    """LINE with changes of its first segment, or of the line itself (segments, windows, …)."""
    record = json.loads(LINE)
    for name, value in fields.items():
        (record if name in record else record["segments"][0])[name] = value
    return json.dumps(record)


def test_a_hypothesis_is_one_line_of_json(tmp_path):
    assert hypothesis_line(HEARD) == LINE
    assert list(read_hypotheses(written(tmp_path, LINE))) == [HEARD]


@given(st.lists(hypotheses, max_size=4, unique_by=lambda each: each.recording_id))
@pytest.mark.slow
def test_written_hypotheses_are_read_back_exactly(tmp_path_factory, originals):
    originals.sort(key=lambda each: each.recording_id)
    path = written(tmp_path_factory.mktemp("h"), *map(hypothesis_line, originals))
    assert list(read_hypotheses(path)) == originals


def test_times_are_written_to_the_millisecond():
    line = hypothesis_line(Hypothesis("r", 1 / 3, (Segment(0.1 + 0.2, 2 / 3, "x"),), ()))
    assert '"duration_s": 0.333' in line
    assert '"start_s": 0.3, "end_s": 0.667' in line


def test_odd_times_of_segments_are_read_unchanged(tmp_path):
    path = written(tmp_path, changed(start_s=9, end_s=-3.5), changed(id="r2", start_s=float("nan"), end_s=10**400))
    first, second = (each.segments[0] for each in read_hypotheses(path))
    assert (first.start_s, first.end_s) == (9.0, -3.5)
    assert second.start_s != second.start_s
    assert second.end_s == float("inf")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "the line: expected an object, found []"),
        (changed(id="../r"), "id: '../r' contains '/'"),
        (changed(id=7), "id: expected a string, found 7"),
        (changed(duration_s=float("nan")), "duration_s: expected a finite number, found NaN"),
        (changed(segments={}), "segments: expected a list, found {}"),
        (changed(segments=[3]), "segments[0]: expected an object, found 3"),
        (changed(start_s="1,5"), 'segments[0].start_s: expected a number, found "1,5"'),
        (changed(start_s=True), "segments[0].start_s: expected a number, found true"),
        (changed(text=None), "segments[0].text: expected a string, found null"),
        (changed(loop=0), "segments[0].loop: expected true or false, found 0"),
        (changed(mean_logprob=float("-inf")), "segments[0].mean_logprob: expected a finite number, found -Infinity"),
        (changed(strat_s=1), "segments[0].strat_s: unknown field, expected one of end_s, language, loop, mean_logprob"),
        (changed(windows=[{"start_s": 0}]), "windows[0].advance_s: the field is missing"),
        (LINE.replace("17", "1.5"), "windows[0].n_tokens: expected a whole number, found 1.5"),
        (LINE[:-1] + ', "model": "x"}', "model: unknown field, expected one of duration_s, id, segments, windows"),
        ("[" * 2_000, "maximum recursion depth exceeded"),
    ],
)
def test_faults_are_reported_with_their_line(tmp_path, line, message):
    path = written(tmp_path, hypothesis_line(Hypothesis("a", 1.0, (), ())), line)
    with pytest.raises(K2DError) as caught:
        list(read_hypotheses(path))
    assert f"hyp.jsonl:2: {message}" in str(caught.value)
    assert "make the file again" in str(caught.value)


def test_a_truncated_last_line_and_bytes_that_are_not_utf8_are_reported(tmp_path):
    path = tmp_path / "hyp.jsonl"
    path.write_bytes(LINE.encode()[:-30])
    with pytest.raises(K2DError, match=r"hyp\.jsonl:1: "):
        list(read_hypotheses(path))
    path.write_bytes(LINE.encode().replace(b"world", b"w\xffrld"))
    with pytest.raises(K2DError, match=r"hyp\.jsonl:1: 'utf-8' codec can't decode byte 0xff"):
        list(read_hypotheses(path))


def test_ids_are_unique_and_in_c_order(tmp_path):
    for second in ("r1", "Z"):
        with pytest.raises(K2DError, match=rf"hyp\.jsonl:2: id: found '{second}' after 'r1', expected C order"):
            list(read_hypotheses(written(tmp_path, LINE, changed(id=second))))


def test_only_the_requested_hypotheses_are_parsed(tmp_path, monkeypatch):
    """For a few held-out recordings among a hundred thousand, the other lines are not parsed."""
    from k2d.data import hypotheses

    names = ["a", "b 'quoted'", "課-1", "課-2"]
    path = tmp_path / "hyp.jsonl"
    lines = [hypothesis_line(Hypothesis(name.replace(" ", ""), 3.0, (Segment(0.0, 1.0, "so"),), ())) for name in names]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    parsed = []
    real = hypotheses.parse_hypothesis
    monkeypatch.setattr(hypotheses, "parse_hypothesis", lambda line: (parsed.append(line), real(line))[1])
    wanted = {"課-1", "nobody"}
    assert [each.recording_id for each in read_hypotheses(path, wanted)] == ["課-1"]
    assert parsed == [lines[2] + "\n"]
    spelt = json.dumps({"duration_s": 3.0, "windows": [], "segments": [], "id": "課-3"})  # as another might write it
    path.write_text(f"{lines[2]}\n{spelt}\n", encoding="utf-8")
    assert [each.recording_id for each in read_hypotheses(path, {"課-3"})] == ["課-3"]
    path.write_text(f"{lines[2]}\n{lines[0]}\n", encoding="utf-8")
    with pytest.raises(K2DError, match=r":2: id: found 'a' after '課-1', expected C order"):
        list(read_hypotheses(path, {"nobody"}))


def test_a_missing_file_is_missing_input(tmp_path):
    with pytest.raises(MissingInput, match="there is no such file; decode the recordings first"):
        list(read_hypotheses(tmp_path / "hyp.jsonl"))


def test_plain_text_is_one_line_without_empty_segments():
    originals = [Segment(0, 1, " so\nr2 forged"), Segment(1, 2, "  "), Segment(2, 3, "\x00我們\u3000用\x7f")]
    assert plain_text(Hypothesis("r1", 3, tuple(originals), ())) == "so r2 forged 我們 用"


@given(st.text())
@pytest.mark.slow
def test_any_text_of_a_model_becomes_one_line(text):
    assert one_line(text).splitlines() in ([], [one_line(text)])
    assert one_line(one_line(text)) == one_line(text)
