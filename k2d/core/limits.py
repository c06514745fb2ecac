"""Upper limits of options. Larger values take very long and give no better results."""

from __future__ import annotations

import argparse
from collections.abc import Callable

MOST_RESAMPLES = 100_000
"""With this number, the ends of a 95 % interval vary by about a hundredth of its width."""
MOST_BEAM = 100
"""The work grows with the beam. Recognisers are used with beams of 1 to 60."""
MOST_SPEED_RUNS = 100
"""The paper uses the mean of 5 runs."""
MOST_PROCESSES = 1024
"""Each process is an interpreter of its own."""
MOST_BATCH = 4096
"""4,096 windows of 30 s are 7.9 GB of samples."""


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """An argparse type for whole numbers from `least` to `most`.

    >>> whole_number(1, 100)("7")
    7
    """
    expected = f"of at least {least}" if most is None else f"from {least} to {most:,}"

    def number(text: str) -> int:
        is_whole = text.isascii() and text.isdigit() and len(text) <= 18  # int() is slow with millions of digits
        if not is_whole or int(text) < least or (most is not None and int(text) > most):
            shown = text if len(text) <= 40 else f"{text[:40]}…"
            raise argparse.ArgumentTypeError(f"found {shown!r}, expected a whole number {expected}")
        return int(text)

    return number


def between_0_and_1(text: str) -> float:
    """An argparse type for numbers between 0 and 1, both exclusive."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"found {text[:40]!r}, expected a number above 0 and below 1")
    return value
