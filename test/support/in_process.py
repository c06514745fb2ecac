"""Decoding stages without processes: the real worker's code with the fake recogniser."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from decode_fake import FakeRecogniser, text_of_tape, write_tape, writing_script

from k2d.config import load_config
from k2d.core.workers import Outcome
from k2d.data.audio import source as audio_source
from k2d.data.rows import Recording
from k2d.decode import sources
from k2d.inference import dispatch, worker
from k2d.inference.decode_job import DecodeJob
from k2d.inference.hypothesis_folder import decode_to_folder
from k2d.inference.tasks import WorkerDevice
from k2d.pipeline.job import Counts, Job
from k2d.pipeline.runner import make_job

Death = Callable[[Any], str]
"""The error of an outcome by which a share's worker dies. Empty: it does not die."""


class OneProcess:
    """Replaces a worker pool: each task runs in this process, one after another, by the worker's own function."""

    size = 1

    def __init__(self, dies: Death) -> None:
        self.dies = dies
        self.shares: list[list[str]] = []

    def map(self, tasks: Iterable[Any]) -> Iterator[Outcome[Any, Any]]:
        for task in tasks:
            self.shares.append([item.id for item in task.items])
            yield self._outcome(task)

    def _outcome(self, task: Any) -> Outcome[Any, Any]:
        if died := self.dies(task):
            return Outcome(task, error=died, answered=False)
        try:
            return Outcome(task, worker.carry_out((WorkerDevice("cpu", 1), task)))
        except Exception as error:
            return Outcome(task, error=f"{type(error).__name__}: {error}", exception=error)


class Bench:
    """A set of tapes that is decoded as in stage 5."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, tapes: dict[str, str], **settings: Any) -> None:
        self.cache = folder / "exp" / "x" / "cache" / "pseudo" / "lab" / "talks" / "0123456789abcdef"
        (folder / "x.yaml").write_text("{}\n", encoding="utf-8")
        places = [f"exp={folder / 'exp'}", f"data={folder / 'data'}"]
        self.job: Job = make_job(load_config(folder / "x.yaml", [*places, *(f"{k}={v}" for k, v in settings.items())]))
        self.folder = folder
        self.audio = {key: write_tape(folder / f"{key}.wav", tape) for key, tape in tapes.items()}
        self.rows = [Recording(key, str(path), len(tapes[key]) / 10) for key, path in self.audio.items()]
        self.work = DecodeJob(Path("exp/x/models/teacher"), "fake", (), {"batch_size": 2}, "fp32", None)
        self.dies: Death = lambda _: ""
        self.recogniser = FakeRecogniser(writing_script(text_of_tape))
        patch.setattr(worker, "_model_of", lambda *_: self.recogniser)
        patch.setattr(dispatch, "_crew", lambda *_: self._crew())
        self.shares: list[list[str]] = []

    def _crew(self) -> OneProcess:
        crew = OneProcess(lambda task: self.dies(task))
        crew.shares = self.shares
        return crew

    def decode(self) -> Counts:
        """Decode the set as stage 5 does. The folder is the unit's, before it is published."""
        self.shares.clear()
        self.out = self.folder / "exp" / "x" / "pseudo" / "lab" / ".talks.partial"
        self.out.mkdir(parents=True, exist_ok=True)
        return decode_to_folder(iter(self.rows), self.work, self.cache, self.job, self.out)

    def texts(self) -> dict[str, str]:
        lines = (self.out / "text").read_text(encoding="utf-8").splitlines()
        return dict(line.partition(" ")[::2] for line in lines)

    def rejected(self) -> dict[str, str]:
        path = self.out / "rejected.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        return {row["id"]: row["reason"] for row in rows}


class Disk:
    """A disk that fails for the first `n` accesses to some files, and then works."""

    def __init__(self, patch: pytest.MonkeyPatch, ids: Iterable[str], n: int, code: int = errno.EIO) -> None:
        self.left = dict.fromkeys(ids, n)
        self.code = code
        probe = sources.probe

        def looked(source: Any, **how: Any) -> Any:
            if self.left.get(source.path.stem, 0) > 0:
                self.left[source.path.stem] -= 1
                raise audio_source.from_os_error(OSError(self.code, "Input/output error"), source)
            return probe(source, **how)

        patch.setattr(sources, "probe", looked)


def without_line(part: Path, item_id: str) -> None:
    """Lose the line of an item."""
    kept = [line for line in part.read_text().splitlines(keepends=True) if not line.startswith(f"{item_id} ")]
    part.write_text("".join(kept))
