"""Trains the tiny recogniser in as many processes as asked for, on the CPU: train_two.py FOLDER N_PROCESSES"""

import sys
from pathlib import Path
from unittest.mock import patch

import lightning as L
import torch
from train_fake import FakeRecogniser, material

from k2d.config.training import Augment, Phase, Training
from k2d.train import engine
from k2d.train.engine import Setting
from k2d.train.supervised import train_recogniser

STILL = Augment(gain_db=0.0, noise=0.0, echo=0.0)
PHASES = {
    "encoder": Phase(data="utterances", train="encoder", steps=4, batch_size=4, lr=1e-2, augment=STILL),
    "all": Phase(steps=6, batch_size=4, lr=1e-2, accumulate=2, augment=STILL),
}


def main(folder, n_processes):
    torch.set_num_threads(1)
    trainer = L.Trainer

    def on_cpu(**options):
        return trainer(**{**options, "devices": int(n_processes), "strategy": "ddp" if n_processes == "2" else "auto"})

    recogniser = FakeRecogniser(seed=5, dropout=0.0)
    training = Training(phases=PHASES, checkpoint_every_steps=4)
    with patch.object(engine.L, "Trainer", on_cpu):
        train_recogniser(recogniser, training, material(), Setting(Path(folder), seed=5, n_workers=0))
    torch.save(recogniser.network.state_dict(), Path(folder) / f"final-{engine.rank_zero_only.rank}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
