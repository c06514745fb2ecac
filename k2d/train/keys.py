"""Random numbers by place: a generator for each sample, and the global generators seeded for each step."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class StepKey:
    """A step of a training. All random numbers in the step depend only on it."""

    seed: int
    phase: int
    step: int

    def generator(self, position: int) -> np.random.Generator:
        """The generator of the sample at a position of the step's batch.

        >>> first, again = (StepKey(1, 0, 7).generator(3).integers(1000, size=3) for _ in range(2))
        >>> first.tolist() == again.tolist()
        True
        """
        return np.random.default_rng((self.seed, self.phase, self.step, position))

    def set_global(self, rank: int) -> None:
        """Seed the generators of dropout and SpecAugment, so that a checkpoint needs no random state."""
        words = np.random.SeedSequence((self.seed, self.phase, self.step), spawn_key=(rank,)).generate_state(2)
        random.seed(int(words[0]))
        np.random.seed(int(words[0]))
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))
