"""How numbers are written: decimals, thousands, a true minus sign, and a dash for a missing value."""

from __future__ import annotations

from k2d.report.document import NOTHING
from k2d.score.rates import ErrorRate


def number(value: float | None, decimals: int = 2, unit: str = "") -> str:
    """
    >>> number(-1234.5, 1), number(12.345, unit=" %"), number(None)
    ('−1,234.5', '12.35 %', '–')
    """
    return NOTHING if value is None else f"{value:,.{decimals}f}{unit}".replace("-", "−")


def rate(value: ErrorRate) -> str:
    """A rate in percent, with the number of reference tokens.

    >>> rate(ErrorRate(n=1200, s=90)), rate(ErrorRate())
    ('7.50 (1,200)', '–')
    """
    return NOTHING if value.percent is None else f"{number(value.percent)} ({value.n:,})"


def share(value: float | None) -> str:
    """
    >>> share(0.7412), share(None)
    ('74.1 %', '–')
    """
    return number(None if value is None else 100 * value, 1, " %")


def times(factor: float | None) -> str:
    """
    >>> times(5.04), times(None)
    ('×5.0', '–')
    """
    return NOTHING if factor is None else f"×{factor:.1f}"


def plural(n: int, one: str, many: str = "") -> str:
    """
    >>> plural(1, "chunk"), plural(1200, "chunk")
    ('1 chunk', '1,200 chunks')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
