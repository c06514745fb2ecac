"""Rows are written to files and read back: order, joins by id, refusals, kills, and reading by ESPnet."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.core.errors import K2DError
from k2d.core.layout import PROJECT_ROOT
from k2d.data.kaldi.datadir import InvalidData, Recording, read_recordings, read_utterances
from k2d.data.kaldi.datadir_writer import write_datadir
from k2d.data.kaldi.ids import id_fault
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import AudioLevel, Checks
from k2d.data.rows import Utterance

NO_AUDIO = Checks(audio=AudioLevel.NONE)

IDS = st.text("abAB019_-.é课😀", min_size=1, max_size=6).filter(lambda text: not id_fault(text))
WORDS = st.text("ab 'é你好，<>😀", max_size=12).map(lambda text: " ".join(text.split()))
MS = st.integers(0, 10_000)


@st.composite
def rows(draw):
    """Rows for one directory, in any order."""
    has_segments, has_text, has_language = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    made = []
    for key in draw(st.lists(IDS, min_size=1, max_size=12, unique=True)):
        recording = draw(IDS) if has_segments else key
        start, length = draw(MS), draw(MS) + 1
        made.append(
            Utterance(
                id=key,
                recording_id=recording,
                audio=f"/data/of {recording}.wav",
                speaker=draw(IDS),
                text=draw(WORDS) if has_text else None,
                start_s=start / 1000 if has_segments else None,
                end_s=(start + length) / 1000 if has_segments else None,
                language="zh-en" if has_language else None,
            )
        )
    return made


@settings(max_examples=30, deadline=None)
@given(rows())
@pytest.mark.slow
def test_written_rows_are_read_back_sorted(tmp_path_factory, made):
    folder = tmp_path_factory.mktemp("d") / "data"
    durations = {row.recording_id: 25.0 for row in made}
    assert write_datadir(folder, made, durations_s=durations.items()) == len(made)
    in_order = sorted(made, key=lambda row: row.id.encode())
    assert list(read_utterances(folder)) == in_order
    recordings = {row.recording_id: row.audio for row in made}
    expected = [Recording(key, recordings[key], 25.0) for key in sorted(recordings, key=str.encode)]
    assert list(read_recordings(folder)) == expected
    validation = validate(folder, Checks(audio=AudioLevel.NONE, need_text=made[0].text is not None))
    assert validation.is_sound, validation.report.lines()


def row(key="a-1", **changes):
    return Utterance(**{"id": key, "recording_id": key, "audio": f"{key}.wav", "speaker": "a", "text": "x", **changes})


def test_the_files_follow_kaldis_rules(tmp_path, contents):
    made = [
        row("b-1", recording_id="r", audio="my talk.flac", speaker="b", start_s=0.5, end_s=2.0),
        row("a-2", recording_id="r", audio="my talk.flac", start_s=2.0, end_s=2.25, text="你好"),
        row("a-1", recording_id="q", audio="q.wav", start_s=0.0, end_s=1.5, text=""),
    ]
    write_datadir(tmp_path / "data", made, durations_s=[("r", 3.0), ("q", 1.5)])
    assert {name: text.decode() for name, text in contents(tmp_path / "data").items()} == {
        "wav.scp": "q q.wav\nr my talk.flac\n",
        "segments": "a-1 q 0.0 1.5\na-2 r 2.0 2.25\nb-1 r 0.5 2.0\n",
        "text": "a-1\na-2 你好\nb-1 x\n",
        "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
        "spk2utt": "a a-1 a-2\nb b-1\n",
        "utt2dur": "a-1 1.5\na-2 0.25\nb-1 1.5\n",
        "reco2dur": "q 1.5\nr 3.0\n",
    }


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        ([row("a", audio="a.wav"), row("a", audio="b.wav")], "two utterances have the id 'a': 'a.wav' and 'b.wav'"),
        ([row("é"), row("e\u0301")], "two utterances have the id 'é'"),
        ([row("../x")], "the utterance id '../x' contains '/'"),
        ([row(speaker="a b")], "utt2spk: expected one speaker id, found 'a b'"),
        ([row(text="x\nforged y")], "text: control character U+000A after the id"),
        ([row(audio="cat x.wav |")], "wav.scp: 'cat x.wav |' is a pipe"),
        ([row(audio="a\udcff.wav")], "wav.scp: the value of 'a-1' is not Unicode text"),
        ([row(start_s=1.0)], "'a-1' has a start or an end, but not both"),
        ([row(start_s=1.0, end_s=1.0)], "'a-1' starts at 1.0 s and ends at 1.0 s"),
        ([row(start_s=-1.0, end_s=1.0)], "segments: the start time is '-1.0'"),
        ([row(start_s=0.0, end_s=float("nan"))], "'a-1' starts at 0.0 s and ends at nan s"),
        ([row(recording_id="r")], "'a-1' has no times, so it must be its own recording, not 'r'"),
        ([row("a"), row("b", text=None)], "text has values for 1 of 2 utterances, expected all or none"),
        ([row("a", start_s=0.0, end_s=1.0), row("b")], "segments has values for 1 of 2 utterances"),
        (
            [row(k, recording_id="r", audio=f"{k}.wav", start_s=0.0, end_s=1.0) for k in "ab"],
            "recording 'r' has two audio values, 'a.wav' and 'b.wav'",
        ),
    ],
)
def test_bad_rows_are_refused(tmp_path, made, fault):
    with pytest.raises(InvalidData) as caught:
        write_datadir(tmp_path / "data", made)
    assert fault in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_durations_are_needed_for_all_recordings_or_none(tmp_path):
    with pytest.raises(InvalidData, match="recording 'b' has no duration, although others have one"):
        write_datadir(tmp_path / "data", [row("a"), row("b")], durations_s=[("a", 1.0)])
    with pytest.raises(InvalidData, match="recording 'c' has a duration but no audio"):
        write_datadir(tmp_path / "data", [row("a")], durations_s=[("a", 1.0), ("c", 1.0)])


def test_text_is_written_in_nfc_with_single_spaces(tmp_path):
    write_datadir(tmp_path / "data", [row("a", text=" cafe\u0301  noir ")])
    assert (tmp_path / "data" / "text").read_text() == "a café noir\n"


def test_no_rows_are_refused(tmp_path):
    with pytest.raises(K2DError, match="there are no utterances to write"):
        write_datadir(tmp_path / "data", [])


def test_a_full_folder_is_replaced_only_when_forced_and_only_if_it_is_a_data_directory(tmp_path):
    write_datadir(tmp_path / "data", [row("a")])
    with pytest.raises(K2DError, match="exists and is not empty"):
        write_datadir(tmp_path / "data", [row("b")])
    write_datadir(tmp_path / "data", [row("b")], force=True)
    assert [each.id for each in read_utterances(tmp_path / "data")] == ["b"]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    with pytest.raises(K2DError, match="is not a data directory that --force may replace"):
        write_datadir(tmp_path / "home", [row("b")], force=True)
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_rows_that_fail_half_way_leave_the_old_directory(tmp_path):
    write_datadir(tmp_path / "data", [row("a")])

    def failing():
        yield row("b")
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        write_datadir(tmp_path / "data", failing(), force=True)
    assert [each.id for each in read_utterances(tmp_path / "data")] == ["a"]


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.15])
@pytest.mark.slow
def test_a_kill_while_writing_leaves_no_incomplete_result(tmp_path, delay_s):
    program = """
import sys
from pathlib import Path
from k2d.data.kaldi.datadir_writer import write_datadir
from k2d.data.rows import Utterance
def rows():
    print("started", flush=True)
    for i in range(10**7):
        yield Utterance(f"u{i}", f"u{i}", "x.wav", "s", "word " * 20)
write_datadir(Path(sys.argv[1]), rows())
"""
    target = tmp_path / "folder" / "data"
    target.parent.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", program, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"started\n"
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    write_datadir(target, [row("a")])  # files left by the kill are no obstacle
    assert [path.name for path in target.parent.iterdir()] == ["data"]


def test_joins_are_by_id_whatever_the_order(make_dir):
    folder = make_dir(
        "cut",
        {
            "segments": "b-1 r2 0.5 2\na-2 r1 1.50 4.25\na-1 r1 0.00 1.50\n",
            "text": "a-2 good 早上\nb-1 yes\na-1 你好 world\n",
            "wav.scp": "r2 lecture2.flac\nr1 lecture 1.flac\n",
        },
    )
    assert list(read_utterances(folder)) == [
        Utterance("a-1", "r1", "lecture 1.flac", "a", "你好 world", 0.0, 1.5),
        Utterance("a-2", "r1", "lecture 1.flac", "a", "good 早上", 1.5, 4.25),
        Utterance("b-1", "r2", "lecture2.flac", "b", "yes", 0.5, 2.0),
    ]
    assert list(read_recordings(folder)) == [
        Recording("r1", "lecture 1.flac", 10.0),
        Recording("r2", "lecture2.flac", 2.5),
    ]


def test_durations_of_whole_recordings_may_come_from_utt2dur(make_dir):
    assert [each.duration_s for each in read_recordings(make_dir("whole"))] == [1.5, 2.0, 0.75]


@pytest.mark.parametrize(
    ("kind", "name", "content", "message"),
    [
        ("whole", "text", "a-1 x\nb-1 y\n", "'a-2' is in utt2spk but not in text"),
        ("whole", "text", "a-1 x\na-2 z\na-3 z\nb-1 y\n", "'a-3' is in text but not in utt2spk"),
        ("whole", "wav.scp", "a-1 x\nb-1 y\n", "'a-2' is in utt2spk but not in wav.scp"),
        ("cut", "segments", "a-1 r1 0 1\nb-1 r2 0 1\n", "'a-2' is in utt2spk but not in segments"),
        ("cut", "wav.scp", "r1 x\n", "'b-1' is of recording 'r2', which is not in wav.scp"),
        ("cut", "segments", "a-1 r1 0 1\na-2 r1 2 1\nb-1 r2 0 1\n", "'a-2' ends before it begins (r1 2 1)"),
        ("whole", "utt2spk", "a-1 x y\n", "utt2spk:1: expected one speaker id, found 'x y'"),
        ("whole", "utt2spk", None, "utt2spk: the file is missing"),
    ],
)
def test_tables_that_contradict_each_other_are_refused(make_dir, kind, name, content, message):
    with pytest.raises(K2DError) as caught:
        list(read_utterances(make_dir(kind, {name: content})))
    assert message in str(caught.value)


def test_reading_a_missing_directory(tmp_path):
    with pytest.raises(K2DError, match="no such data directory"):
        next(read_utterances(tmp_path / "nowhere"))


@pytest.mark.slow
def test_espnet_reads_the_written_directory(tmp_path):
    from espnet2.fileio.read_text import load_num_sequence_text, read_2columns_text

    made = [
        row(f"a-{i}", text=f"你好 {i}", recording_id="r", audio="a b.wav", start_s=i, end_s=i + 1.5) for i in range(3)
    ]
    write_datadir(tmp_path / "data", made)
    assert read_2columns_text(tmp_path / "data" / "text") == {f"a-{i}": f"你好 {i}" for i in range(3)}
    assert read_2columns_text(tmp_path / "data" / "wav.scp") == {"r": "a b.wav"}
    assert read_2columns_text(Path(tmp_path / "data" / "spk2utt")) == {"a": "a-0 a-1 a-2"}
    assert load_num_sequence_text(tmp_path / "data" / "utt2dur", "text_float") == {f"a-{i}": [1.5] for i in range(3)}
