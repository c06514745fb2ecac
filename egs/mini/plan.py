"""Plan the corpus from the options: every word, pause, voice and room, before any audio is made. Pure functions."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from random import Random

from egs.mini import voices
from egs.mini.kokoro import voices as kokoro
from egs.mini.options import Long, Options, Range
from egs.mini.sentences import Draw, expected_s, hesitate, stammer
from egs.mini.texts import Texts, scripted_texts, smoke_texts
from egs.mini.units import Event, Line, Recording, Scene, Unit
from egs.mini.voices import Allotment, Voice, make_voices
from egs.mini.words import COURSES, UNSEEN_COURSE
from k2d.core.errors import K2DError

BLOCK = 50  # the number of short recordings that one process makes
EDGE_S = 0.05  # silence before and after a short recording; half a step of the time grid
LEVEL_DB = Range(23.0, 29.0)  # below full scale
MAX_DRAWS = 2000

TEST = ("lectures_test", "course_test", "talk_test", "read_test")
DEVELOPMENT = ("lectures_dev", "talk_dev", "pool_dev")
TRAINING = ("lectures", "pool")

SHORT = {"lectures": "lec", "lectures_dev": "lecdev", "lectures_test": "lectest", "course_test": "crs"}
SHORT |= {"pool": "pool", "pool_dev": "pooldev", "read_test": "read", "talk_dev": "talkdev", "talk_test": "talk"}

ALLOTMENTS = {"espeak": voices.ALLOTMENTS, "kokoro": kokoro.ALLOTMENTS}
SMOKE_VOICE = Allotment(("m1",), pitch=(50, 50), speed_wpm=(170, 170), n_voices=1)


def plan(options: Options) -> list[Unit]:
    """All units to synthesise. Test and development splits come first: their sentences are not used again."""
    texts = smoke_texts() if options.preset == "smoke" else scripted_texts()
    taken: set[str] = set()  # sentences of test and development splits
    units: list[Unit] = []
    for split in (*TEST, *DEVELOPMENT, *TRAINING):
        writer = _Writer(split, options, texts, taken)
        long = options.long_splits().get(split)
        units += writer.long_units(long) if long else writer.block_units(getattr(options, split))
    return units


class _Writer:
    """Plans one split. Its random numbers depend on the seed and the split's name."""

    def __init__(self, split: str, options: Options, texts: Texts, taken: set[str]) -> None:
        self.split, self.options, self.texts, self.taken = split, options, texts, taken
        self.rng = Random(f"{options.seed}/{split}")
        self.is_talk = split.startswith("talk")
        is_smoke = options.preset == "smoke"
        allotment = SMOKE_VOICE if is_smoke else ALLOTMENTS[options.voices][split]
        asked = {} if is_smoke else {"pool": options.pool_voices, "lectures": options.lecturers}
        self.voices = make_voices(allotment, asked.get(split, allotment.n_voices), self.rng)

    def long_units(self, size: Long) -> Iterator[Unit]:
        """One unit for each long recording. The courses take turns, each with its own lecturers."""
        courses = (UNSEEN_COURSE,) if self.split == "course_test" else COURSES
        for index in range(size.recordings):
            course = "" if self.is_talk else courses[index % len(courses)]
            target_s = self.rng.triangular(size.shortest_s, size.longest_s, size.shortest_s)
            speakers = self._conversation() if self.is_talk else itertools.repeat(self.voices[index % len(self.voices)])
            recording = self._long_recording(f"{SHORT[self.split]}{index:03d}", course, target_s, speakers)
            yield Unit(f"{SHORT[self.split]}{index:03d}", self.split, (recording,))

    def block_units(self, n_utterances: int) -> Iterator[Unit]:
        """One unit for each block of short recordings. A block has one voice."""
        n_random = round(n_utterances * self.options.random_share) if self.split != "read_test" else 0
        is_random = [index < n_random for index in range(n_utterances)]
        self.rng.shuffle(is_random)
        n_blocks = max(-(-n_utterances // BLOCK), min(len(self.voices), n_utterances))
        for index in range(n_blocks):
            voice = self.voices[index % len(self.voices)]
            name = f"{SHORT[self.split]}{index:03d}"
            part = is_random[index * n_utterances // n_blocks : (index + 1) * n_utterances // n_blocks]
            made = tuple(self._short_recording(f"{voice.id}-{name}-{n:03d}", voice, r) for n, r in enumerate(part))
            yield Unit(name, self.split, made)

    def _short_recording(self, name: str, voice: Voice, is_random: bool) -> Recording:
        draw = self.texts.random_words if is_random else self.texts.sentences(self.split, "")
        text = self._draw(draw, 0.0, 0.0 if is_random else self.options.hesitation_rate)
        line = Line(name, voice, self._speed(voice), text, EDGE_S)
        return Recording(name, "", self._scene(self.options.clean_snr_db, Range(0.0, 0.0)), (line,), EDGE_S)

    def _long_recording(self, name: str, course: str, target_s: float, speakers: Iterable[Voice]) -> Recording:
        """Add utterances until the recording has about the target length."""
        lines: list[Line] = []
        now_s = 0.0
        for voice in speakers:
            text = self._draw(
                self.texts.sentences(self.split, course), self.options.stammer_rate, self.options.hesitation_rate
            )
            event = None if self.is_talk else self._event()
            pause_s = self._pause_s() + (event.duration_s if event else 0.0)
            speed_wpm = self._speed(voice)
            now_s += pause_s + expected_s(text, speed_wpm)
            if lines and now_s > target_s:
                break
            lines.append(Line(f"{voice.id}-{name}-{len(lines):04d}", voice, speed_wpm, text, pause_s, event))
        name = name if self.is_talk else f"{lines[0].voice.id}-{name}"
        snr_db = self.options.talk_snr_db if self.is_talk else self.options.lecture_snr_db
        scene = self._scene(snr_db, self.options.reverb_s)
        return Recording(name, course, scene, tuple(lines), self._pause_s())

    def _draw(self, draw: Draw, stammer_rate: float, hesitation_rate: float) -> str:
        """Draw an utterance that is not in a test or development split, either with or without its stammer."""
        for _ in range(MAX_DRAWS):
            plain = text = draw(self.rng)
            if self.rng.random() < hesitation_rate:
                text = hesitate(text, self.rng)
            if self.rng.random() < stammer_rate:
                text = stammer(text, self.rng)
            if not {plain, text} & self.taken:
                if self.split not in TRAINING:
                    self.taken |= {plain, text}
                return text
        raise K2DError(
            f"{self.split}: {MAX_DRAWS} sentences in a row are already in a test or development split; "
            "make these splits smaller, or add patterns under words/"
        )

    def _conversation(self) -> Iterator[Voice]:
        """Two or three speakers. Nobody speaks more than twice in a row."""
        speakers = self.rng.sample(self.voices, min(len(self.voices), self.rng.choice((2, 3))))
        while True:
            yield from self.rng.sample(speakers, len(speakers))

    def _event(self) -> Event | None:
        if self.rng.random() >= self.options.event_rate:
            return None
        return Event(self.rng.choice(("applause", "music")), self._between(self.options.event_s))

    def _pause_s(self) -> float:
        pause_s = self._between(self.options.pause_s)
        return round(pause_s / 3, 3) if self.is_talk else pause_s

    def _speed(self, voice: Voice) -> int:
        return round(voice.speed_wpm * self._between(self.options.pace))

    def _scene(self, snr_db: Range, reverb_s: Range) -> Scene:
        level_db = -self._between(LEVEL_DB)
        return Scene(self._between(snr_db), self._between(reverb_s), level_db, self.rng.getrandbits(32))

    def _between(self, limits: Range) -> float:
        return round(self.rng.uniform(limits.low, limits.high), 3)
