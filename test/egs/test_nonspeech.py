"""Sounds without speech: their levels, and the corpus from the command to the count of invented words."""

import json

import numpy as np
import pytest
import soundfile
from commands_here import ExperimentHere

from egs.mini import rooms
from egs.nonspeech.prepare import KINDS, LEVELS_DB, SILENCE_DB, Options, sound

CONF = """
corpora: {in_domain: [nonspeech/test]}
prepare: {options: {nonspeech: {recordings: 2, length_s: 3.0}}}
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_has_its_length_and_level_and_depends_on_the_seed_alone(kind):
    options = Options(recordings=3, length_s=4.0)
    made = [sound(kind, number, options) for number in range(3)]
    assert all(len(samples) == 4 * 16000 for samples in made)
    levels_db = [20 * np.log10(rooms.rms(samples)) for samples in made]
    expected = [SILENCE_DB] * 3 if kind == "silence" else [LEVELS_DB[0], sum(LEVELS_DB) / 2, LEVELS_DB[1]]
    assert levels_db == pytest.approx(expected, abs=0.5)
    assert np.array_equal(made[1], sound(kind, 1, options))
    assert not np.array_equal(made[1], sound(kind, 1, options, "train"))
    if kind != "hum":
        assert not np.array_equal(made[0] / rooms.rms(made[0]), made[1] / rooms.rms(made[1]))


@pytest.mark.slow
def test_from_the_sounds_to_the_invented_words(tmp_path):
    lab = ExperimentHere(tmp_path)
    lab.conf.parent.mkdir(parents=True, exist_ok=True)
    lab.conf.write_text(CONF)
    lab.stages(1, 1)
    data = tmp_path / "data" / "nonspeech" / "test"
    ids = [line.split()[0] for line in (data / "text").read_text().splitlines()]
    assert ids == sorted(f"{kind}-{number:03d}" for kind in KINDS for number in range(2))
    assert (data / "text").read_text() == "".join(f"{key}\n" for key in ids)
    assert dict(line.split() for line in (data / "reco2kind").read_text().splitlines())["music-001"] == "music"
    others = [line.split()[0] for line in (data.parent / "train" / "text").read_text().splitlines()]
    assert others == sorted(f"train-{key}" for key in ids)
    audio = dict(line.split(maxsplit=1) for line in (data / "wav.scp").read_text().splitlines())
    assert soundfile.info(audio["hum-000"]).duration == 3.0

    heard = lab.exp / "decode" / "teacher" / "nonspeech" / "test"
    heard.mkdir(parents=True)
    (heard / "text").write_text("".join(f"{key} 謝謝\n" if key.startswith("music") else f"{key}\n" for key in ids))
    printed = lab.stages(12, 12)
    assert "teacher on nonspeech/test: 6.67 words a minute, where nobody speaks" in printed
    score = json.loads((lab.exp / "score" / "teacher" / "nonspeech" / "test" / "score.json").read_text())
    assert score["invented"] == {"utterances": 12, "with_text": 2, "tokens": 4, "seconds": 36.0}
