"""Checkpoints that are either complete or absent: the last ones and the best ones of a training."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from k2d.core.atomic import PARTIAL, partial_file, sync_folder, write_text
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.core.stamp import Recipe, differences

log = logging.getLogger("k2d")

VERSION = 2  # of checkpoints; raise it by hand if a training cannot continue from older ones
KEPT_LAST = 2  # two, in case the last one cannot be read
_FREE_SPACE = 2  # times the size of a checkpoint that must be free before one is written


@dataclass(frozen=True, slots=True)
class Seal:
    """A small file beside a checkpoint, written after it. A checkpoint without a seal is incomplete."""

    step: int
    """The step, counted over all phases."""
    phase: str
    sha256: str
    error_rate: float | None
    """The error rate of free-running decoding of the development sets, if it was measured at this step."""


class Checkpoints:
    """The checkpoints of one training, in one folder."""

    def __init__(self, folder: Path, kept_best: int) -> None:
        self._folder, self._kept_best = folder, kept_best

    def save(self, state: Mapping[str, Any], *, step: int, phase: str, error_rate: float | None = None) -> None:
        """Write a checkpoint and its seal, then remove those that are neither among the last nor the best."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._check_space(state)
        # In this order a kill at any moment leaves no seal without its checkpoint: write beside the place, sync, take
        # the checksum of what is on the disk, rename, and only then write the seal.
        path = self._path(step)
        partial = partial_file(path)
        try:
            with partial.open("wb") as file:
                torch.save(dict(state), file)
                file.flush()
                os.fsync(file.fileno())
            seal = Seal(step, phase, _sha256(partial), error_rate)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(self._folder)
        write_text(self._seal_path(step), json.dumps(asdict(seal)) + "\n")
        self._remove_surplus(phase)

    def latest(self) -> dict[str, Any] | None:
        """The last complete checkpoint, with a warning for each damaged one after it. None if there is none."""
        seals = self.seals()
        for seal in reversed(seals):
            try:
                return self.load(seal)
            except K2DError as error:
                log.warning("%s; the checkpoint before it is used", error)
        if seals:
            raise K2DError(f"{shown(self._folder)}: no checkpoint can be read; remove the folder to train again")
        return None

    def load(self, seal: Seal) -> dict[str, Any]:
        """The state of a checkpoint, on the CPU."""
        path = self._path(seal.step)
        if not path.is_file():
            raise K2DError(f"{shown(path)}: the checkpoint is missing")
        if _sha256(path) != seal.sha256:
            raise K2DError(f"{shown(path)}: the checkpoint is damaged (its sha256 is not the one beside it)")
        state = torch.load(path, map_location="cpu", weights_only=True)  # a pickle could run code
        assert isinstance(state, dict)
        return state

    def seals(self) -> list[Seal]:
        """The seals in the folder, by step."""
        found = []
        for path in self._folder.glob("step-*.json"):
            try:
                found.append(Seal(**json.loads(path.read_text(encoding="utf-8"))))
            except (ValueError, TypeError):
                log.warning("%s: not the seal of a checkpoint; it is ignored", shown(path))
        return sorted(found, key=lambda seal: seal.step)

    def best(self, phase: str) -> list[Seal]:
        """The best checkpoints of a phase, best first. Of equal ones the later one is first."""
        measured = [seal for seal in self.seals() if seal.phase == phase and seal.error_rate is not None]
        return sorted(measured, key=lambda seal: (seal.error_rate, -seal.step))[: self._kept_best]

    def _remove_surplus(self, phase: str) -> None:
        seals = self.seals()
        kept = {seal.step for seal in [*seals[-KEPT_LAST:], *self.best(phase)]}
        for step in [seal.step for seal in seals if seal.step not in kept]:
            self._seal_path(step).unlink()  # first, because a seal promises a checkpoint
            self._path(step).unlink(missing_ok=True)
        # Checkpoints without a seal were written by a process that was killed meanwhile.
        sealed = {self._path(step) for step in kept}
        unfinished = set(self._folder.glob("step-*.pt")) - sealed
        for path in [*unfinished, *self._folder.glob(f".step-*{PARTIAL}")]:
            path.unlink()

    def _check_space(self, state: Mapping[str, Any]) -> None:
        needed = _FREE_SPACE * _size_bytes(state)
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            message = f"{free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB needed for a checkpoint"
            raise K2DError(f"{shown(self._folder)}: {message}; free some space and run the same command again")

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:08d}.pt"

    def _seal_path(self, step: int) -> Path:
        return self._folder / f"step-{step:08d}.json"


def refuse_another(state: Mapping[str, Any], recipe: Recipe, folder: Path) -> None:
    """Raise if a checkpoint belongs to another training: then it is never continued."""
    where, version = shown(folder), state.get("version", 1)
    if version != VERSION:
        raise K2DError(
            f"{where}: its checkpoints were written by {'an earlier' if version < VERSION else 'a later'} version of "
            f"this toolkit (training code {version}, now {VERSION}), which this one cannot continue; remove the folder "
            "to train again"
        )
    changes = differences(Recipe(**json.loads(state["recipe"])), recipe)
    if changes:
        raise K2DError(
            f"{where}: holds a training that was started differently ({'; '.join(changes)}); undo the change to "
            "continue it, or remove the folder to train again"
        )


def _size_bytes(value: object) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(map(_size_bytes, value.values()))
    return sum(map(_size_bytes, value)) if isinstance(value, (list, tuple)) else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
