"""Read a JSON file that is one long list item by item, because a shard's texts may not fit in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from k2d.core.errors import K2DError

READ_CHARACTERS = 1 << 20
MAX_ITEM_CHARACTERS = 1 << 26


def json_list(path: Path) -> Iterator[Any]:
    """The items of the list in order. K2DError with the place of invalid JSON, or of an item without an end."""
    with path.open(encoding="utf-8-sig") as file:
        try:
            yield from _Items(file, path).read()
        except UnicodeDecodeError as error:
            raise K2DError(f"{path}: is not UTF-8; fetch it again") from error


class _Items:
    def __init__(self, file: TextIO, path: Path) -> None:
        self.file, self.path = file, path
        self.text, self.at, self.n_read = "", 0, 0

    def read(self) -> Iterator[Any]:
        decoder = json.JSONDecoder()
        self._expect("[")
        if self._peek() == "]":
            return
        while True:
            yield self._item(decoder)
            if (mark := self._peek()) == "]":
                return
            if mark != ",":
                raise self._fault(f"found {mark!r}, expected a comma or the end of the list")
            self.at += 1

    def _item(self, decoder: json.JSONDecoder) -> Any:
        """The next item. More of the file is read until the item is complete."""
        self._peek()
        while True:
            try:
                item, end = decoder.raw_decode(self.text, self.at)
                if end < len(self.text):  # a number at the end of the text may continue
                    self.at = end
                    return item
                problem = "the file ends within the list"
            except RecursionError:
                raise self._fault("an item is nested too deeply") from None
            except ValueError as error:
                problem = str(error).partition(":")[0]
            if len(self.text) - self.at > MAX_ITEM_CHARACTERS:
                raise self._fault(f"an item has no end within {MAX_ITEM_CHARACTERS:,} characters")
            if not self._more():
                raise self._fault(f"{problem}; is it whole?")

    def _peek(self) -> str:
        """The next character that is not white space."""
        while True:
            while self.at < len(self.text) and self.text[self.at].isspace():
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                raise self._fault("the file ends within the list; is it whole?")

    def _expect(self, mark: str) -> None:
        if (found := self._peek()) != mark:
            raise self._fault(f"found {found!r}, expected a list")
        self.at += 1

    def _more(self) -> bool:
        """Read more, twice as much each time, so that a long item is not parsed too often."""
        n_wanted = max(READ_CHARACTERS, len(self.text) - self.at)
        block = self.file.read(n_wanted)
        self.n_read += len(block)
        self.text, self.at = self.text[self.at :] + block, 0
        return bool(block)

    def _fault(self, message: str) -> K2DError:
        place = self.n_read - len(self.text) + self.at
        return K2DError(f"{self.path}: character {place:,}: {message}; fetch it again")
