"""The speakers of `voices: kokoro`: Kokoro's Mandarin voices, and each of them mixed with an English one.

A speaker is a `Voice` as with eSpeak: `variant` is a voice (xiaobei), or two that are mixed (xiaobei-heart); `pitch` is
50 for the voice as it is, and `speed_wpm` is 175 for its own speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from egs.mini.voices import Allotment

MANDARIN_SHARE = 0.7
"""How much of a mixed voice is the Mandarin one."""
OWN_PITCH = 50
SHIFT_PER_STEP = 0.002
"""How much higher one step of pitch is, as a share: 40 is 2 % lower than 50."""
OWN_SPEED_WPM = 175


def _mixed(mandarin: str, *english: str) -> tuple[str, ...]:
    """A Mandarin voice, and with each of the English ones."""
    return mandarin, *(f"{mandarin}-{each}" for each in english)


def _in_turn(*speakers: tuple[str, ...]) -> tuple[str, ...]:
    """Speakers of several Mandarin voices, so that the first few are of all of them."""
    return tuple(chain.from_iterable(zip(*speakers, strict=True)))


TRAINING = _in_turn(
    _mixed("xiaobei", "heart", "bella", "nicole", "emma"),
    _mixed("yunjian", "michael", "fenrir", "onyx", "george"),
    _mixed("xiaoxiao", "aoede", "kore", "sarah", "isabella"),
    _mixed("yunxi", "puck", "liam", "adam", "lewis"),
)
DEVELOPMENT = _mixed("xiaoni", "nova", "echo", "river", "fable")
LECTURES_TEST = _in_turn(_mixed("xiaoyi", "sky", "alice"), _mixed("yunyang", "eric", "daniel"))
READ_TEST = ("xiaoyi-jessica", "yunyang-santa", "xiaoyi-lily", "yunyang-alloy")
COURSE_TEST = ("yunxia",)

ALLOTMENTS: Mapping[str, Allotment] = {
    "pool": Allotment(TRAINING, pitch=(35, 65), speed_wpm=(150, 195)),
    "lectures": Allotment(TRAINING, pitch=(35, 65), speed_wpm=(145, 190)),
    "pool_dev": Allotment(DEVELOPMENT, pitch=(35, 65), speed_wpm=(150, 195)),
    "lectures_dev": Allotment(DEVELOPMENT, pitch=(35, 65), speed_wpm=(145, 190)),
    "talk_dev": Allotment(DEVELOPMENT, pitch=(35, 65), speed_wpm=(195, 225)),
    "lectures_test": Allotment(LECTURES_TEST, pitch=(40, 60), speed_wpm=(145, 190), n_voices=6),
    "course_test": Allotment(COURSE_TEST, pitch=(45, 55), speed_wpm=(155, 180), n_voices=1),
    "read_test": Allotment(READ_TEST, pitch=(40, 60), speed_wpm=(150, 180), n_voices=6),
    "talk_test": Allotment((*LECTURES_TEST, *READ_TEST), pitch=(35, 65), speed_wpm=(195, 225), n_voices=10),
}
