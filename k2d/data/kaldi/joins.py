"""Merge-joins of streams that are sorted by id. One row of each stream is in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Row = tuple[str, str]  # id, value


def differences(left: Iterable[str], right: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The ids that occur in only one of two sorted streams, and whether it is the left one.

    >>> list(differences(["a", "b", "d"], ["b", "c", "d"]))
    [('a', True), ('c', False)]
    """
    lefts, rights = iter(left), iter(right)
    a, b = next(lefts, None), next(rights, None)
    while a is not None and b is not None:
        if a == b:
            a, b = next(lefts, None), next(rights, None)
        elif a < b:
            yield a, True
            a = next(lefts, None)
        else:
            yield b, False
            b = next(rights, None)
    if a is not None:
        yield a, True
    if b is not None:
        yield b, False
    yield from ((rest, True) for rest in lefts)
    yield from ((rest, False) for rest in rights)


def look_up(rows: Iterable[Row], table: Iterable[Row]) -> Iterator[tuple[str, str, str | None]]:
    """Each row with its value in a sorted table (None if it has none). Ids of `rows` may repeat.

    >>> list(look_up([("a", "1"), ("a", "2"), ("c", "3")], [("a", "x"), ("b", "y")]))
    [('a', '1', 'x'), ('a', '2', 'x'), ('c', '3', None)]
    """
    others = iter(table)
    other = next(others, None)
    for key, value in rows:
        while other is not None and other[0] < key:
            other = next(others, None)
        yield key, value, other[1] if other is not None and other[0] == key else None


def keep(rows: Iterable[Row], ids: Iterable[str]) -> Iterator[Row]:
    """The rows whose id is in a sorted stream of ids.

    >>> list(keep([("a", "1"), ("b", "2"), ("c", "3")], ["b", "c", "d"]))
    [('b', '2'), ('c', '3')]
    """
    for key, value, found in look_up(rows, ((wanted, "") for wanted in ids)):
        if found is not None:
            yield key, value


def split_row(line: str) -> Row:
    """Split a canonical line into id and value."""
    key, _, value = line.partition(" ")
    return key, value


def joined_row(key: str, value: str) -> str:
    """Join an id and its value into a canonical line."""
    return f"{key} {value}" if value else key
