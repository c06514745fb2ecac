"""The audio of egs/mini follows the plan, and is the same in any way of making it."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pydantic import TypeAdapter

from egs.mini import prepare as mini
from egs.mini import rooms
from egs.mini.options import Long, Options, Range
from egs.mini.plan import plan
from egs.mini.prepare import prepare, tables
from egs.mini.records import read_record
from egs.mini.render import Job, record_path, render
from k2d.core.errors import K2DError
from k2d.core.layout import PROJECT_ROOT
from k2d.data.rows import Utterance

SHORT = Long(1, 8.0, 8.0)
TINY = {
    "pool": 4,
    "pool_voices": 2,
    "pool_dev": 1,
    "read_test": 1,
    "lecturers": 1,
    "lectures": Long(1, 15.0, 15.0),
    "lectures_dev": SHORT,
    "talk_dev": SHORT,
    "lectures_test": SHORT,
    "course_test": SHORT,
    "talk_test": SHORT,
}
OPTIONS = Options(event_rate=0.3, event_s=Range(1.0, 1.5), **TINY)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny corpus, made without interruption by one worker."""
    root = tmp_path_factory.mktemp("one worker")
    assert list(prepare(root, OPTIONS, 1))
    return root


@pytest.fixture(scope="module")
def rows(root: Path) -> list[tuple[str, Utterance]]:
    return list(prepare(root, OPTIONS, 1))


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy in another folder, which tests may change."""
    return Path(shutil.copytree(root, tmp_path / "copy"))


def checksums(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def made_again(monkeypatch: pytest.MonkeyPatch, root: Path, options: Options = OPTIONS) -> list[str]:
    """Prepare, and return the units that were synthesised."""
    made: list[str] = []
    run_each = mini.run_each

    def watched(function, items, **how):
        items = list(items)
        made.extend(job.unit.id for job in items)
        return run_each(function, items, **how)

    monkeypatch.setattr(mini, "run_each", watched)
    list(prepare(root, options, 2))
    return sorted(made)


# --- the rows --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_all_splits_and_their_files_exist(rows, root):
    splits = {split for split, _ in rows}
    assert splits == set(TypeAdapter(dict).validate_python(OPTIONS.long_splits())) | {
        "pool",
        "pool_dev",
        "read_test",
        "lectures_truth",
    }
    for _, row in rows:
        info = soundfile.info(row.audio)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert Path(row.audio).is_absolute()
        assert Path(row.audio).is_relative_to(root)
        if row.end_s is not None:
            assert 0 <= row.start_s < row.end_s <= info.duration


@pytest.mark.slow
def test_lectures_are_without_text_and_the_truth_is_another_split(rows):
    lectures = [row for split, row in rows if split == "lectures"]
    truth = [row for split, row in rows if split == "lectures_truth"]
    assert len(lectures) == 1
    assert lectures[0].text is lectures[0].start_s is lectures[0].language is None
    assert lectures[0].id == lectures[0].recording_id
    assert lectures[0].id.startswith(lectures[0].speaker + "-")
    assert {row.recording_id for row in truth} == {lectures[0].id}
    assert all(row.text and row.language for row in truth)


@pytest.mark.slow
def test_short_splits_are_a_recording_for_each_utterance(rows):
    found = [row for split, row in rows if split in ("pool", "pool_dev", "read_test")]
    assert len(found) == 6
    assert all(row.id == row.recording_id and row.start_s is None and row.text for row in found)


@pytest.mark.slow
def test_tables_name_the_course_and_the_noise(rows, root):
    found = {(split, name, key): value for split, name, key, value in tables(root, OPTIONS)}
    lecture = next(row.id for split, row in rows if split == "lectures")
    assert found["lectures", "reco2course", lecture] == found["lectures_truth", "reco2course", lecture] == "algorithms"
    assert (
        found["course_test", "reco2course", next(r.recording_id for s, r in rows if s == "course_test")] == "statistics"
    )
    assert not any(name == "reco2course" and split.startswith("talk") for split, name, _ in found)
    with_noise = {(split, key) for split, name, key in found if name == "reco2noise"}
    assert with_noise == {(split, row.recording_id) for split, row in rows}
    assert all(value.startswith("snr_db=") for (_, name, _), value in found.items() if name == "reco2noise")


# --- the sound ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_speech_has_the_times_and_the_level_above_noise_of_the_tables(rows, root):
    noise = {key: value for _, name, key, value in tables(root, OPTIONS) if name == "reco2noise"}
    checked = 0
    for row in [row for split, row in rows if row.start_s is not None]:
        if "event=" in noise[row.recording_id]:
            continue
        samples, _ = soundfile.read(row.audio, dtype="float32")
        facts = dict(word.split("=") for word in noise[row.recording_id].split())
        speech = samples[round(row.start_s * 16000) : round(row.end_s * 16000)]
        level_db = 20 * np.log10(rooms.rms(speech))
        assert level_db == pytest.approx(float(facts["level_db"]), abs=2.5)  # echo and noise add to it
        checked += 1
    assert checked >= 5


def test_pauses_are_quiet_and_speech_fills_its_span(tmp_path):
    quiet = Options(**TINY, talk_snr_db=Range(50.0, 50.0), reverb_s=Range(0.0, 0.0))
    unit = next(unit for unit in plan(quiet) if unit.split == "talk_test")
    (done,) = mini.run_each(render, [Job(tmp_path, unit, "a spec")], nj=1, fresh=True)
    assert not done.error
    record = read_record(record_path(tmp_path, unit))
    assert record is not None
    found = record.recordings[0].spans
    samples, _ = soundfile.read(tmp_path / record.recordings[0].path, dtype="float32")
    edges = [0.0, *(t for row in found for t in (row.start_s, row.end_s)), len(samples) / 16000]
    pieces = [samples[round(a * 16000) : round(b * 16000)] for a, b in pairwise(edges)]
    pauses, speech = pieces[0::2], pieces[1::2]
    assert max(map(rooms.rms, pauses)) < 0.02 * min(map(rooms.rms, speech))
    for piece in speech:  # no silence of more than 0.1 s is counted as speech at either end
        floor = 0.02 * np.abs(piece).max()
        assert np.abs(piece[:1600]).max() > floor
        assert np.abs(piece[-1600:]).max() > floor
    shares = [quiet.pause_s.low / 3 <= len(pause) / 16000 <= quiet.pause_s.high / 3 + 0.001 for pause in pauses]
    assert all(shares)


@pytest.mark.slow
def test_no_file_is_clipped(rows):
    for _, row in rows:
        assert np.abs(soundfile.read(row.audio)[0]).max() < 0.99


# --- the same, however made ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_workers_make_the_same_files_as_one(root, tmp_path):
    list(prepare(tmp_path, OPTIONS, 2))
    assert checksums(tmp_path) == checksums(root)
    assert len(checksums(root)) == 12 + 10  # recordings, and a record for each unit


@pytest.mark.slow
def test_a_voice_with_breath_does_not_depend_on_the_time_of_day():
    """eSpeak takes the seed of its noise from its starting time in seconds, which must not change the audio."""
    script = (
        "import hashlib, sys; from egs.mini.speak import Espeak; from egs.mini.voices import Voice; espeak = Espeak();"
        "spoken = [espeak.say('你好嗎', Voice(variant, 50, 170), 170).tobytes() for variant in ('f2', 'f3', 'f5')];"
        "print([hashlib.sha256(samples).hexdigest() for samples in spoken])"
    )
    outputs = set()
    for pause_s in (1.01, 0.0):  # the second begins in the next second
        done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, check=True)
        outputs.add(done.stdout)
        time.sleep(pause_s)
    assert len(outputs) == 1


@pytest.mark.slow
def test_another_seed_sounds_different(root, tmp_path):
    list(prepare(tmp_path, replace(OPTIONS, seed=OPTIONS.seed + 1), 2))
    one, two = checksums(root), checksums(tmp_path)
    assert not set(one.values()) & set(two.values())


@pytest.mark.slow
def test_only_changed_files_are_made_again(root, copy, monkeypatch):
    assert made_again(monkeypatch, copy) == []
    lecture = next((copy / "audio" / "lectures").glob("*.flac"))
    lecture.write_bytes(lecture.read_bytes()[:-100])
    next((copy / "audio" / "read_test").glob("*.flac")).unlink()
    (copy / "units" / "talk_dev" / "talkdev000.json").write_text('{"spec": "', encoding="utf-8")
    assert made_again(monkeypatch, copy) == ["lec000", "read000", "talkdev000"]
    assert checksums(copy) == checksums(root)


@pytest.mark.slow
def test_only_units_with_another_plan_are_made_again(copy, monkeypatch):
    noisier = replace(OPTIONS, talk_snr_db=Range(0.0, 5.0))
    assert made_again(monkeypatch, copy, noisier) == ["talk000", "talkdev000"]


@pytest.mark.slow
def test_a_killed_run_is_continued(root, tmp_path):
    script = (
        "import sys; from pathlib import Path; from egs.mini.prepare import prepare;"
        "from test_mini_audio import OPTIONS\n"
        "if __name__ == '__main__': list(prepare(Path(sys.argv[1]), OPTIONS, 1))"
    )
    main = tmp_path / "main.py"
    main.write_text(script, encoding="utf-8")
    path = os.pathsep.join([str(PROJECT_ROOT), str(Path(__file__).parent)])
    corpus = tmp_path / "corpus"
    process = subprocess.Popen(
        [sys.executable, str(main), str(corpus)], env={**os.environ, "PYTHONPATH": path}, start_new_session=True
    )
    deadline = time.monotonic() + 30
    while len(list(corpus.rglob("*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    records = {path: path.stat().st_mtime_ns for path in corpus.rglob("*.json")}
    assert 3 <= len(records) < 10
    list(prepare(corpus, OPTIONS, 2))
    assert all(path.stat().st_mtime_ns == when for path, when in records.items())
    for left in corpus.rglob("*.partial"):
        left.unlink()  # an unfinished file of the killed run, which is never used as a result
    assert checksums(corpus) == checksums(root)


@pytest.mark.slow
def test_a_failed_unit_is_named_and_the_others_are_kept(root, copy):
    blocked = copy / "audio" / "course_test"
    shutil.rmtree(blocked)
    blocked.write_text("in the way", encoding="utf-8")
    (copy / "units" / "pool" / "pool001.json").unlink()
    with pytest.raises(K2DError, match=r"(?s)1 of 2 units could not be synthesised.*run again:.*course_test/crs000: "):
        list(prepare(copy, OPTIONS, 2))
    blocked.unlink()
    list(prepare(copy, OPTIONS, 2))
    assert checksums(copy) == checksums(root)


def test_tables_of_a_corpus_that_is_not_made_are_reported(tmp_path):
    with pytest.raises(
        K2DError, match=r"crs000.json: is missing or cannot be read; prepare the corpus again|lectest000"
    ):
        list(tables(tmp_path, OPTIONS))
