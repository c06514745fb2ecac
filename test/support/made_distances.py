"""Distances made by hand, in the order of the columns."""

from k2d.select.chunk_row import PairDistances
from k2d.select.metrics import Measuring, Opinion, OpinionPair, composite


def far(loops_a: bool, loops_b: bool, n_a: int, n_b: int, mer: float, per: float) -> PairDistances:
    """The composite distance follows from the others."""
    sides = (Opinion(loops, [], "") for loops in (loops_a, loops_b))
    both = composite(OpinionPair(*sides, Measuring(), {"mer": mer, "per": per}))
    return PairDistances(loops_a, loops_b, n_a, n_b, {"mer": mer, "per": per, "composite": both})
