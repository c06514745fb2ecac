"""Students: a teacher with fewer decoder layers, and the checks that both fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from k2d.core.errors import K2DError, UsageError
from k2d.models.interface import Recogniser


class Shrinkable(Recogniser, Protocol):
    """A recogniser whose decoder layers can be removed."""

    @property
    def n_decoder_layers(self) -> int: ...

    @property
    def width(self) -> int:
        """The number of features of the encoder's output."""
        ...

    def with_decoder_layers(self, layers: Sequence[int]) -> Shrinkable:
        """A copy that has only these layers of the decoder, and everything else."""
        ...


def chosen_layers(rule: Literal["first_last", "spaced"] | Sequence[int], n_wanted: int, n_layers: int) -> list[int]:
    """The teacher's decoder layers that a student gets: by a rule, or as listed.

    >>> chosen_layers("first_last", 2, 12), chosen_layers("first_last", 3, 12), chosen_layers("spaced", 3, 12)
    ([0, 11], [0, 1, 11], [0, 6, 11])
    >>> chosen_layers((0, 5), 2, 12)
    [0, 5]
    """
    if not isinstance(rule, str):
        return list(rule)
    if n_wanted > n_layers:
        raise UsageError(f"student.n_decoder_layers: {n_wanted} of a teacher that has {n_layers}; ask for fewer")
    if rule == "first_last":
        n_first = (n_wanted + 1) // 2
        return [*range(n_first), *range(n_layers - n_wanted + n_first, n_layers)]
    gap = (n_layers - 1) / max(1, n_wanted - 1)
    return [int(n * gap + 0.5) for n in range(n_wanted)]


def shrink(teacher: Shrinkable, layers: Sequence[int]) -> Shrinkable:
    """The teacher with only these decoder layers (numbers from 0, ascending)."""
    n_layers = teacher.n_decoder_layers
    if not layers or list(layers) != sorted(set(layers)) or layers[0] < 0 or layers[-1] >= n_layers:
        asked = ", ".join(map(str, layers)) or "none"
        raise UsageError(f"student: decoder layers {asked}; expected some of 0 to {n_layers - 1}, each once, ascending")
    return teacher.with_decoder_layers(layers)


def check_pair(teacher: Shrinkable, student: Shrinkable) -> None:
    """Refuse a student that cannot be trained with the teacher's tokens or encoder."""
    if teacher.codec.vocabulary_hash != student.codec.vocabulary_hash:
        raise K2DError("student and teacher: their vocabularies differ; make the student from this teacher (stage 9)")
    if teacher.window != student.window:
        windows = f"{student.window} and {teacher.window}"
        raise K2DError(f"student and teacher: windows differ ({windows}); make the student from this teacher (stage 9)")
    if teacher.width != student.width:
        widths = f"{student.width} and {teacher.width}"
        raise K2DError(f"student and teacher: encoders differ in width ({widths}); make the student from this teacher")
