"""Neural voices for egs/mini: speakers, options, and units with a tone in place of the network."""

import re
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random

import numpy as np
import pytest
import soundfile

from egs.mini import prepare as mini
from egs.mini.kokoro import render as render_module
from egs.mini.kokoro.render import makers, render
from egs.mini.kokoro.voices import ALLOTMENTS
from egs.mini.options import Long, Options
from egs.mini.plan import DEVELOPMENT, TEST, TRAINING, plan
from egs.mini.records import read_record
from egs.mini.render import Job, audio_path, record_path
from egs.mini.units import Line, Recording, Scene, Unit
from egs.mini.voices import Voice, make_voices
from k2d.config import settings_of
from k2d.core.errors import K2DError, UsageError
from k2d.data.corpus import Corpus
from k2d.models.published import kokoro as published

SHORT = Long(1, 15.0, 15.0)
LONG_SPLITS = ("lectures", "lectures_dev", "talk_dev", "lectures_test", "course_test", "talk_test")
TINY = {"pool": 2, "pool_voices": 2, "pool_dev": 1, "read_test": 1, "lecturers": 1, **dict.fromkeys(LONG_SPLITS, SHORT)}
OPTIONS = Options(voices="kokoro", **TINY)


# --- who speaks ------------------------------------------------------------------------------------------------


def names(*splits: str) -> set[str]:
    """Kokoro's voices in the speakers of splits."""
    return {name for split in splits for variant in ALLOTMENTS[split].variants for name in variant.split("-")}


def test_voices_of_tests_appear_nowhere_else():
    assert set(ALLOTMENTS) == {*TEST, *DEVELOPMENT, *TRAINING}
    parts = names(*TEST), names(*DEVELOPMENT), names(*TRAINING)
    assert sum(map(len, parts)) == len(set(chain(*parts))) == 36
    assert not names("course_test") & names("lectures_test", "talk_test", "read_test")
    planned = {"-".join(line.id.split("-p")[:1]) for line in lines_of(TEST)}
    assert planned <= {variant for split in TEST for variant in ALLOTMENTS[split].variants}


def lines_of(splits) -> list[Line]:
    return [line for unit in plan(OPTIONS) if unit.split in splits for r in unit.recordings for line in r.lines]


def test_every_voice_is_a_published_one_and_every_mixture_begins_with_a_mandarin_one():
    files = {name[3:-4]: name for name in published.published_source().files if name.endswith(".bin")}
    assert len(files) == 36
    assert names(*ALLOTMENTS) <= files.keys()
    for split in ALLOTMENTS:
        for variant in ALLOTMENTS[split].variants:
            mandarin, *english = variant.split("-")
            assert files[mandarin][0] == "z"
            assert len(english) <= 1
            assert all(files[name][0] in "ab" for name in english)


def test_speakers_have_ids_of_which_none_begins_another():
    found = {voice.id for a in ALLOTMENTS.values() for voice in make_voices(a, a.n_voices, Random(1))}
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)?-p\d\d-s\d{3}", each) for each in found)
    assert not [(a, b) for a in found for b in found if a != b and b.startswith(a)]


def test_conversations_are_faster_than_lectures():
    slowest = min(ALLOTMENTS[split].speed_wpm[0] for split in ("talk_test", "talk_dev"))
    assert slowest > max(ALLOTMENTS[split].speed_wpm[1] for split in ("lectures", "lectures_test", "course_test"))


# --- options ---------------------------------------------------------------------------------------------------


def test_neural_voices_have_defaults_of_their_own():
    asked = Corpus("mini").options({"voices": "kokoro", "pool": 7})
    assert (asked.pool, asked.lecture_snr_db.low, asked.lecture_snr_db.high) == (7, 10.0, 25.0)
    hours = asked.lectures.recordings * (2 * asked.lectures.shortest_s + asked.lectures.longest_s) / 3 / 3600
    assert 2 <= hours <= 4  # of a triangle that leans to the short side
    assert mini.variant(Options(voices="kokoro")) == "kokoro"
    assert mini.variant(asked) is None


def test_neural_voices_and_the_smoke_preset_are_refused_together():
    with pytest.raises(UsageError, match=r"options\.mini: voices: found 'kokoro'; .*preset smoke has one voice of"):
        Corpus("mini").options({"voices": "kokoro", "preset": "smoke"})
    with pytest.raises(UsageError, match=r"voices: found 'piper'; input should be 'espeak' or 'kokoro'"):
        Corpus("mini").options({"voices": "piper"})


def test_stamps_do_not_record_the_default_voices():
    """So that what was prepared before there was another one is still done."""
    assert "voices" not in settings_of(Options())
    assert settings_of(Options(voices="kokoro"))["voices"] == "kokoro"
    assert settings_of(Options(voices="espeak")) == settings_of(Options())


def test_the_card_knows_how_many_utterances_are_planned():
    expected = Corpus("mini").card.expected["kokoro"]
    units = plan(Options(voices="kokoro"))
    for split in (*TEST, *DEVELOPMENT, "pool"):
        assert expected[split].utterances == sum(len(r.lines) for u in units if u.split == split for r in u.recordings)
    lectures = [r for u in units if u.split == "lectures" for r in u.recordings]
    assert expected["lectures"].utterances == len(lectures)
    assert expected["lectures_truth"].utterances == sum(len(r.lines) for r in lectures)


# --- units -----------------------------------------------------------------------------------------------------


class Tone:
    """In place of the network: a second of a tone between two silences, as long as nobody asks for another pace."""

    def __init__(self, folder):
        assert folder == Path("/where/kokoro/is")

    def say(self, text, voice, speed_wpm):
        quiet, rate = np.zeros(12000, dtype=np.float32), 24000.0
        tone = np.sin(np.arange(24000, dtype=np.float32)) * np.float32(0.5)
        return np.concatenate([quiet, tone, quiet]), rate


@pytest.fixture
def tone(monkeypatch) -> None:
    monkeypatch.setattr(render_module, "Kokoro", Tone)
    monkeypatch.setattr(published, "obtain", lambda: Path("/where/kokoro/is"))


QUIET = Scene(60.0, 0.0, -25.0, 1)


def unit(scene: Scene = QUIET) -> Unit:
    voice = Voice("xiaobei", 50, 175)
    lines = tuple(Line(f"xiaobei-p50-s175-lec-{n}", voice, 175, "你好", 0.5) for n in range(2))
    return Unit("lec", "lectures", (Recording("xiaobei-p50-s175-lec", "biology", scene, lines, 0.25),))


def test_a_unit_has_speech_where_its_record_says(tone, tmp_path):
    seconds = render(Job(tmp_path, unit(), "a spec"))
    assert seconds == pytest.approx(0.5 + 1 + 0.5 + 1 + 0.25, abs=0.02)
    record = read_record(record_path(tmp_path, unit()))
    assert record is not None
    assert record.spec == "a spec"
    (made,) = record.recordings
    assert made.path == audio_path("lectures", "xiaobei-p50-s175-lec")
    info = soundfile.info(tmp_path / made.path)
    assert (info.samplerate, info.channels, info.format, info.subtype) == (16000, 1, "FLAC", "PCM_16")
    samples, _ = soundfile.read(tmp_path / made.path)
    for span in made.spans:
        assert span.end_s - span.start_s == pytest.approx(1.0, abs=0.01)
        inside = samples[round(span.start_s * 16000) : round(span.end_s * 16000)]
        assert np.abs(inside).mean() > 50 * np.abs(samples[:7000]).mean()


def test_a_line_that_stays_silent_is_named(tone, tmp_path, monkeypatch):
    monkeypatch.setattr(Tone, "say", lambda *asked: (np.zeros(2400, dtype=np.float32), 24000.0))
    with pytest.raises(K2DError, match=r"Kokoro says nothing for '你好' with the voice xiaobei-p50-s175; change egs"):
        render(Job(tmp_path, unit(), ""))


def test_the_same_seed_makes_the_same_file_and_another_does_not(tone, tmp_path):
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        render(Job(tmp_path / name, unit(Scene(20.0, 0.1, -25.0, seed)), ""))
    one, two, three = (next((tmp_path / name).rglob("*.flac")).read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_weights_and_code_are_part_of_what_makes_a_unit():
    found = makers()
    assert {file.sha256 for file in published.published_source().files.values()} <= set(found)
    assert len(found) == len(mini.ENGINES["espeak"].makers()) + 6 + 3 + 37
    folder = Path(render_module.__file__).parent
    assert set(render_module.MAKERS) == {path.name for path in folder.glob("*.py")}


def test_kokoro_is_fetched_once_and_before_its_units_are_made(monkeypatch, tmp_path):
    asked: list[object] = []

    def run_each(function, jobs, **how):
        asked.append((function, len(jobs), how["limit_s"]))
        return iter(())

    monkeypatch.setattr(mini, "run_each", run_each)
    engine = replace(mini.ENGINES["kokoro"], fetch=lambda: asked.append("fetched"))
    monkeypatch.setattr(mini, "ENGINES", {"espeak": mini.ENGINES["espeak"], "kokoro": engine})
    with pytest.raises(K2DError, match="is missing or cannot be read"):
        list(mini.prepare(tmp_path, OPTIONS, 1))
    assert asked == ["fetched", (render, len(plan(OPTIONS)), 4 * 3600.0)]
    asked.clear()
    mini._synthesise([], 1, engine)
    assert "fetched" not in asked


def test_without_a_network_the_message_tells_where_the_files_go(monkeypatch, tmp_path):
    monkeypatch.setenv("K2D_KOKORO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("k2d.models.published.obtain.download_packages", unreachable)
    message = rf"(?s)Kokoro-82M: no source could be used:.*no index.*put it in {tmp_path}/cache; or call `python -m k2d"
    with pytest.raises(K2DError, match=message):
        published.obtain()


def unreachable(packages, folder, report):
    raise K2DError("there is no index")
