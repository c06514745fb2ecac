"""Small test sets on disk."""

import json

import pytest


@pytest.fixture
def texts(tmp_path):
    """Write a `text` file from lines, and return its path: texts("ref", "u1 好")."""

    def write(name, *lines):
        path = tmp_path / name / "text"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    return write


@pytest.fixture
def timing():
    """Write a timing.json into a folder."""

    def write(folder, *runs_s, audio_s=100.0, device="cpu"):
        record = {"audio_s": audio_s, "runs_s": runs_s, "batch_size": 1, "threads": 2, "dtype": "fp32"}
        (folder / "timing.json").write_text(json.dumps({**record, "device": device}))

    return write
