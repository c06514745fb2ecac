"""Data directories of long recordings, from outside: exact samples, and references that give the right score."""

import json

import numpy as np
import pytest
import soundfile
from made_parquet import tone

from k2d.__main__ import main
from k2d.core.errors import K2DError
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.longform import ByTime, Concatenate
from k2d.data.longform_datadir import lengthen_datadir

RATE = 16_000
LENGTHS_S = {"b-1": 1.0, "a-2": 2.0, "a-1": 0.5}  # in the order of rows, which is not that of ids


@pytest.fixture
def short(tmp_path):
    """Three clips of two speakers in one session: b-1 at 5 s, a-1 at 6.25 s, a-2 at 7 s."""
    folder = tmp_path / "short"
    folder.mkdir()
    for n, (key, length_s) in enumerate(LENGTHS_S.items()):
        soundfile.write(tmp_path / f"{key}.wav", tone(length_s, n), RATE)
    tables = {
        "wav.scp": {key: tmp_path / f"{key}.wav" for key in LENGTHS_S},
        "utt2spk": {key: key[0] for key in LENGTHS_S},
        "text": {"b-1": "我們用 GPU", "a-2": "跑 model", "a-1": "好"},
        "utt2row": {key: n for n, key in enumerate(LENGTHS_S)},
        "reco2session": dict.fromkeys(LENGTHS_S, "ses1"),
        "reco2start": {"b-1": 5.0, "a-1": 6.25, "a-2": 7.0},
    }
    for name, rows in tables.items():
        (folder / name).write_text("".join(f"{key} {rows[key]}\n" for key in sorted(rows)), encoding="utf-8")
    return folder


@pytest.fixture
def k2d(capsys):
    """python -m k2d WORD…: its exit code, and what it prints to either stream."""

    def k2d(*words):
        try:
            code = main([*map(str, words)])
        except SystemExit as stop:  # argparse's way
            code = stop.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return k2d


def samples(path):
    return soundfile.read(path, dtype="int16")[0]


def test_rows_one_after_another_in_their_order(short, tmp_path):
    made = lengthen_datadir(short, tmp_path / "long", Concatenate(3.0, 500, 1), tmp_path / "audio")
    assert (made.n_utterances, made.n_recordings) == (3, 2)
    rows = {row.id: row for row in read_utterances(tmp_path / "long")}
    spans = {key: (row.recording_id, row.start_s, row.end_s) for key, row in rows.items()}
    assert spans == {
        "b-1": ("long-00001", 0.0, 1.0),
        "a-2": ("long-00001", 1.0, 3.0),
        "a-1": ("long-00002", 0.0, 0.5),
    }
    assert {key: row.speaker for key, row in rows.items()} == {"b-1": "b", "a-2": "a", "a-1": "a"}
    assert (samples(rows["b-1"].audio) == np.concatenate([tone(1.0, 0), tone(2.0, 1)])).all()
    assert (tmp_path / "long" / "reco2dur").read_text() == "long-00001 3.0\nlong-00002 0.5\n"


def test_a_session_with_its_pauses_of_silence(short, tmp_path):
    lengthen_datadir(short, tmp_path / "long", ByTime(), tmp_path / "audio")
    rows = list(read_utterances(tmp_path / "long"))
    assert {row.id: row.start_s for row in rows} == {"b-1": 0.0, "a-1": 1.25, "a-2": 2.0}
    silence = np.zeros(RATE // 4, np.int16)
    expected = np.concatenate([tone(1.0, 0), silence, tone(0.5, 2), silence, tone(2.0, 1)])
    assert (samples(rows[0].audio) == expected).all()


def test_segments_of_a_recording_are_a_session_of_their_own(short, tmp_path):
    lengthen_datadir(short, tmp_path / "long", Concatenate(3.0, 500, 1), tmp_path / "audio")
    lengthen_datadir(tmp_path / "long", tmp_path / "again", ByTime(), tmp_path / "audio")
    assert [(row.id, row.recording_id, row.start_s) for row in read_utterances(tmp_path / "again")] == [
        ("a-1", "long-00002", 0.0),
        ("a-2", "long-00001", 1.0),
        ("b-1", "long-00001", 0.0),
    ]


@pytest.mark.slow
def test_the_command_and_its_references(short, tmp_path, k2d):
    long = tmp_path / "long"
    code, out, errors = k2d("data", "longform", short, long, "--mode", "by_time", "--audio", tmp_path / "audio")
    assert code == 0, errors
    assert f"{long}: 3 utterances in 1 recordings, 0.00 h" in out
    assert k2d("data", "validate", long)[0] == 0
    (tmp_path / "hyp").write_text("ses1 我們用 GPU 壞 跑 model\n", encoding="utf-8")
    code, _, errors = k2d("score", "--ref", long / "text", "--hyp", tmp_path / "hyp", "--out", tmp_path / "score")
    assert code == 0, errors
    score = json.loads((tmp_path / "score" / "score.json").read_text())
    assert score["mer"] == {"n": 7, "s": 1, "d": 0, "i": 0, "percent": 14.2857}  # 好 recognised as 壞, in its place


def test_existing_audio_is_not_written_again(short, tmp_path):
    lengthen_datadir(short, tmp_path / "long", ByTime(), tmp_path / "audio")
    (path,) = (tmp_path / "audio").rglob("*.flac")
    before = path.stat().st_mtime_ns
    lengthen_datadir(short, tmp_path / "long", ByTime(), tmp_path / "audio", force=True)
    assert path.stat().st_mtime_ns == before


def test_an_utterance_without_a_row_is_reported(short, tmp_path):
    (short / "utt2row").write_text("a-1 2\nb-1 0\n")
    with pytest.raises(K2DError, match=r"utt2row: 1 of 3 utterances have no number, such as 'a-2'"):
        lengthen_datadir(short, tmp_path / "long", Concatenate(), tmp_path / "audio")
    assert not (tmp_path / "long").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mode", "by_time", "--batch", "3"], "--batch has no meaning with --mode by_time"),
        (["--mode", "concatenate", "--max-s", "0"], "--max-s is 0.0, it must be above 0"),
        (["--mode", "other"], "invalid choice: 'other'"),
    ],
)
def test_a_wrong_call(short, tmp_path, k2d, words, message):
    code, _, errors = k2d("data", "longform", short, tmp_path / "long", *words)
    assert code == 2
    assert message in errors
