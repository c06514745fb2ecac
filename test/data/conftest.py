"""Small data directories, made line by line."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import AudioLevel, Checks, Validation

MakeDir = Callable[..., Path]

WHOLE = {  # every utterance is its own recording
    "wav.scp": "a-1 a/1.wav\na-2 a/2.wav\nb-1 b/1.wav\n",
    "text": "a-1 你好 world\na-2 good 早上\nb-1 yes\n",
    "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
    "spk2utt": "a a-1 a-2\nb b-1\n",
    "utt2dur": "a-1 1.5\na-2 2\nb-1 0.75\n",
}
CUT = {  # utterances are parts of recordings
    "wav.scp": "r1 lecture 1.flac\nr2 lecture2.flac\n",
    "segments": "a-1 r1 0.00 1.50\na-2 r1 1.50 4.25\nb-1 r2 0.5 2\n",
    "text": "a-1 你好 world\na-2 good 早上\nb-1 yes\n",
    "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
    "spk2utt": "a a-1 a-2\nb b-1\n",
    "reco2dur": "r1 10.0\nr2 2.5\n",
}


@pytest.fixture
def make_dir(tmp_path: Path) -> MakeDir:
    """Write a good directory of a kind, with some files replaced, or left out (None)."""

    def make(kind: str = "whole", files: dict[str, str | bytes | None] | None = None, name: str = "data") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        content = {**(WHOLE if kind == "whole" else CUT), **(files or {})}
        for file, value in content.items():
            if value is not None:
                (folder / file).write_bytes(value.encode() if isinstance(value, str) else value)
        return folder

    return make


@pytest.fixture
def check(make_dir: MakeDir) -> Callable[..., Validation]:
    """Make a directory with these files and validate it without its audio."""

    def make_and_validate(kind: str = "whole", files: dict[str, str | bytes | None] | None = None) -> Validation:
        return validate(make_dir(kind, files), Checks(audio=AudioLevel.NONE))

    return make_and_validate


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    def read(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    return read


@pytest.fixture(autouse=True)
def no_leftovers(tmp_path: Path) -> Iterator[None]:
    """Check after each test that no unfinished files are beside its folders."""
    yield
    assert [p.name for p in tmp_path.iterdir() if ".partial" in p.name] == []
