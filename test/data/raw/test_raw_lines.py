"""Text files of a corpus are read from any system, or refused with the place of the fault."""

import pytest

from k2d.core.errors import K2DError
from k2d.data.raw.lines import entries, raw_lines


def test_byte_order_marks_line_ends_and_blank_lines_are_ignored(tmp_path):
    path = tmp_path / "label.txt"
    path.write_bytes("\ufeffa 你好\r\n\r\n \nb\tso what ".encode())
    assert [tuple(line) for line in raw_lines(path)] == [(1, "a 你好"), (4, "b\tso what ")]
    assert [tuple(entry) for entry in entries(path)] == [(1, "a", "你好"), (4, "b", "so what")]


def test_an_id_without_a_value_has_an_empty_one(tmp_path):
    path = tmp_path / "label.txt"
    path.write_text("a\nb  x y\n")
    assert [tuple(entry) for entry in entries(path)] == [(1, "a", ""), (2, "b", "x y")]


def test_bytes_that_are_not_utf8_are_refused_with_their_place(tmp_path):
    path = tmp_path / "label.txt"
    path.write_bytes(b"a ok\nb \xc4\xe3\n")  # GBK
    with pytest.raises(K2DError, match=r"label\.txt:2: byte 2 of the line is not UTF-8; save the file as UTF-8"):
        list(raw_lines(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(K2DError, match=r"label\.txt: cannot be read: No such file.*is the raw corpus whole\?"):
        list(raw_lines(tmp_path / "label.txt"))


def test_duplicate_ids_are_reported_together_with_both_lines(tmp_path):
    path = tmp_path / "text"
    path.write_text("a 1\nb 2\na 3\nb 2\n")
    with pytest.raises(K2DError) as caught:
        list(entries(path))
    first, second = str(caught.value).splitlines()
    assert "text:3: found the id 'a' again (first in line 1), expected each id once; keep one of the lines" in first
    assert "text:4: found the id 'b' again (first in line 2)" in second
