"""The speakers: variants of eSpeak's voice with a pitch and a speed each. Tests have speakers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker: a variant of eSpeak's `cmn` voice (such as m1 or linda), pitch 0 to 99, words per minute."""

    variant: str
    pitch: int
    speed_wpm: int

    @property
    def id(self) -> str:
        """The speaker id. It has a fixed width, so that ids sort alike with and without a suffix.

        >>> Voice("m1", 40, 170).id
        'm1-p40-s170'
        """
        return f"{self.variant}-p{self.pitch:02d}-s{self.speed_wpm:03d}"


@dataclass(frozen=True, slots=True)
class Allotment:
    """The variants, pitches and speeds from which the speakers of a split are made."""

    variants: tuple[str, ...]
    pitch: tuple[int, int]
    speed_wpm: tuple[int, int]
    n_voices: int = 4  # unless the options set another number


TRAINING = ("m1", "f1", "m2", "f2", "m3", "m4")
DEVELOPMENT = ("m5", "f3")

ALLOTMENTS: Mapping[str, Allotment] = {
    "pool": Allotment(TRAINING, pitch=(30, 70), speed_wpm=(150, 200)),
    "lectures": Allotment(TRAINING, pitch=(30, 70), speed_wpm=(145, 190)),
    "pool_dev": Allotment(DEVELOPMENT, pitch=(30, 70), speed_wpm=(150, 200)),
    "lectures_dev": Allotment(DEVELOPMENT, pitch=(30, 70), speed_wpm=(145, 190)),
    "talk_dev": Allotment(DEVELOPMENT, pitch=(30, 70), speed_wpm=(200, 240)),
    "lectures_test": Allotment(("m6", "f4"), pitch=(35, 65), speed_wpm=(145, 190), n_voices=6),
    "course_test": Allotment(("m7",), pitch=(40, 60), speed_wpm=(155, 180), n_voices=1),
    "read_test": Allotment(("m8", "f5"), pitch=(35, 65), speed_wpm=(150, 180), n_voices=6),
    "talk_test": Allotment(("m6", "f4", "m8", "f5"), pitch=(30, 70), speed_wpm=(200, 240), n_voices=8),
}


def make_voices(allotment: Allotment, n_voices: int, rng: Random) -> list[Voice]:
    """Different voices. The variants are taken in turn.

    >>> [v.variant for v in make_voices(ALLOTMENTS["lectures_test"], 3, Random(0))]
    ['m6', 'f4', 'm6']
    """
    voices: dict[Voice, None] = {}
    while len(voices) < n_voices:
        variant = allotment.variants[len(voices) % len(allotment.variants)]
        voices[Voice(variant, rng.randint(*allotment.pitch), rng.randint(*allotment.speed_wpm))] = None
    return list(voices)
