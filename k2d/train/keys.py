"""Random numbers by place: a generator for each sample, and the global generators set anew for each step."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class StepKey:
    """A step of a training; what is random in it depends on this alone."""

    seed: int
    phase: int
    step: int

    def generator(self, position: int) -> np.random.Generator:
        """For the sample at a position of the step's batch.

        >>> first, again = (StepKey(1, 0, 7).generator(3).integers(1000, size=3) for _ in range(2))
        >>> first.tolist() == again.tolist()
        True
        """
        return np.random.default_rng((self.seed, self.phase, self.step, position))

    def set_global(self, rank: int) -> None:
        """Seed what networks draw from (dropout, SpecAugment): no generator's state has to be kept."""
        words = np.random.SeedSequence((self.seed, self.phase, self.step), spawn_key=(rank,)).generate_state(2)
        random.seed(int(words[0]))
        np.random.seed(int(words[0]))
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))
