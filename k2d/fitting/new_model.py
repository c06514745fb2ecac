"""How a recogniser that is trained here begins, by its family: what decides it, its window, its random weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from k2d.config.schema import Recogniser
from k2d.core.layout import PROJECT_ROOT
from k2d.models.espnet_s2t.vocabulary import PIECES, TOKENS
from k2d.pipeline.job import Job

if TYPE_CHECKING:
    import torch

    from k2d.models.codec import Window
    from k2d.models.espnet_s2t.recogniser import S2TRecogniser
    from k2d.models.whisper.new_network import NewWhisper
    from k2d.train.engine import Setting
    from k2d.train.pool import Pool

N_FOR_STATISTICS = 500
"""Utterances that the statistics of the features are taken from."""


def setting_of(work: Path, seed: int, job: Job) -> Setting:
    """Where a training is carried out, and with how many processes."""
    from k2d.train.engine import Setting

    return Setting(work, seed, job.ngpu, n_workers=job.config.loader_processes)


def inputs_of(recogniser: Recogniser, job: Job) -> tuple[Path, ...]:
    """The files that decide it: a Whisper has its vocabulary from the package."""
    config = _config(recogniser)
    return (config,) if recogniser.family == "whisper" else (config, job.layout.tokens)


def window_of(recogniser: Recogniser) -> Window:
    if recogniser.family == "whisper":
        from k2d.models.whisper.codec import WINDOW

        return WINDOW
    from k2d.models.espnet_s2t.training_config import read_config
    from k2d.models.espnet_s2t.vocabulary import layout_of

    return layout_of(read_config(_config(recogniser))).window


def new_recogniser(
    recogniser: Recogniser, pool: Pool, work: Path, job: Job, *, seed: int
) -> S2TRecogniser | NewWhisper:
    """A network with random weights for this pool; `work` takes files that it is made from."""
    if recogniser.family == "whisper":
        from k2d.models.whisper.checkpoint_files import read_dims
        from k2d.models.whisper.new_network import NewWhisper

        return NewWhisper.new(read_dims(_config(recogniser)), pool.texts, recogniser.language, seed=seed)
    return _new_s2t(recogniser, pool, work, job, seed)


def _new_s2t(recogniser: Recogniser, pool: Pool, work: Path, job: Job, seed: int) -> S2TRecogniser:
    """The statistics of its features are taken from the pool."""
    from k2d.models.espnet_s2t.folder import STATISTICS
    from k2d.models.espnet_s2t.library import feature_statistics
    from k2d.models.espnet_s2t.loading import new_s2t
    from k2d.models.espnet_s2t.training_config import read_config

    config = read_config(_config(recogniser))
    tokens = (job.layout.tokens / TOKENS).read_text(encoding="utf-8").splitlines()
    work.mkdir(parents=True, exist_ok=True)
    shutil.copy(job.layout.tokens / PIECES, work / PIECES)
    if config.get("normalize") == "global_mvn":
        (work / STATISTICS).write_bytes(feature_statistics(config, _some_speech(pool)))
    return new_s2t(config, tokens, work / PIECES, seed=seed)


def _some_speech(pool: Pool) -> Iterator[torch.Tensor]:
    import numpy as np
    import torch

    chosen = np.linspace(0, len(pool) - 1, min(N_FOR_STATISTICS, len(pool))).astype(int)
    return (torch.from_numpy(pool.samples(int(n))) for n in chosen)


def _config(recogniser: Recogniser) -> Path:
    return PROJECT_ROOT / str(recogniser.model)
