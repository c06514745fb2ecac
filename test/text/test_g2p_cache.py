"""Guesses on disk are not damaged by kills or by several writers."""

import subprocess
import sys

import pytest

from k2d.core.errors import K2DError
from k2d.text.g2p_cache import Guesses

PHONEMES = ("s", "ɔ", "f")


def test_kept_for_the_next_process(tmp_path):
    first = Guesses(tmp_path / "cache", "v1")
    assert first.get("soft") is None
    first.add("soft", PHONEMES)
    assert first.get("soft") == PHONEMES
    assert Guesses(tmp_path / "cache", "v1").get("soft") == PHONEMES
    assert Guesses(tmp_path / "cache", "v2").get("soft") is None  # another version guesses again


def test_a_truncated_line_is_ignored(tmp_path):
    guesses = Guesses(tmp_path, "v1")
    guesses.add("whole", PHONEMES)
    start = guesses.path.stat().st_size
    guesses.add("torn", PHONEMES)
    content = guesses.path.read_bytes()
    for end in range(start, len(content) - 1):
        guesses.path.write_bytes(content[:end])
        Guesses(tmp_path, "v1").add("next", ("n",))
        read = Guesses(tmp_path, "v1")
        torn_off_behind_its_mark = content[:end].endswith(b"\t.")
        assert read.get("torn") == (PHONEMES if torn_off_behind_its_mark else None)
        assert (read.get("whole"), read.get("next")) == (PHONEMES, ("n",))


def test_several_writers_do_not_mix_lines(tmp_path):
    code = (
        "import sys; from pathlib import Path; from k2d.text.g2p_cache import Guesses\n"
        "guesses = Guesses(Path(sys.argv[1]), 'v1')\n"
        "for i in range(300): guesses.add(f'{sys.argv[2]}{i}', ('x' * 20, sys.argv[2]))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "abc"]
    assert [process.wait(600) for process in started] == [0, 0, 0]
    read = Guesses(tmp_path, "v1")
    assert all(read.get(f"{name}{i}") == ("x" * 20, name) for name in "abc" for i in range(300))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(K2DError, match=r"file/guesses-v1.tsv: cannot keep pronunciations .*name a cache folder"):
        Guesses(tmp_path / "file", "v1").add("soft", PHONEMES)
