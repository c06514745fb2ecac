"""Two CPU processes that slowly train the tiny recogniser together: train_ranks.py FOLDER

Each writes its number to FOLDER/rank-N.pid when it begins its second step, and then needs $STEP_S for each step.
"""

import os
import sys
import time
from pathlib import Path
from unittest.mock import patch

import torch
import train_fake

from k2d.config.training import Augment, Phase, Training
from k2d.core.ddp_children import ddp_children_for, follow_leader, output_of_leader
from k2d.core.errors import K2DError
from k2d.core.signals import ending_on_signals
from k2d.train import engine
from k2d.train import trainer as k2d_trainer
from k2d.train.engine import Setting
from k2d.train.supervised import train_recogniser

STILL = Augment(gain_db=0.0, noise=0.0, echo=0.0)
PHASES = {
    "encoder": Phase(data="utterances", train="encoder", steps=4, batch_size=4, lr=1e-2, augment=STILL),
    "all": Phase(steps=6, batch_size=4, lr=1e-2, accumulate=2, augment=STILL),
}


class SlowRecogniser(train_fake.FakeRecogniser):
    n_seen = 0

    def ctc_log_probs(self, memory):
        self.n_seen += 1
        if self.n_seen == 2:
            folder, rank = Path(sys.argv[1]), engine.rank_zero_only.rank
            (folder / f"rank-{rank}.new").write_text(str(os.getpid()))
            (folder / f"rank-{rank}.new").rename(folder / f"rank-{rank}.pid")
        time.sleep(float(os.environ.get("STEP_S", "0")))
        return super().ctc_log_probs(memory)


def train(folder):
    """Lightning starts the second process by running this command once more."""
    trainer = k2d_trainer.Trainer
    training = Training(phases=PHASES, checkpoint_every_steps=4)
    setting, recogniser = Setting(folder, seed=5, n_workers=0), SlowRecogniser(seed=5, dropout=0.0)
    two = {"devices": 2, "strategy": "ddp"}
    with patch.object(k2d_trainer, "Trainer", lambda **how: trainer(**{**how, **two})):
        train_recogniser(recogniser, training, train_fake.material(), setting, recipe=train_fake.recipe_of(training))


def main(folder):
    if output_of_leader() is not None:
        follow_leader()
    torch.set_num_threads(1)
    try:
        with ending_on_signals(), ddp_children_for(Path(folder)):
            train(Path(folder))
    except K2DError as error:
        sys.exit(f"train_ranks: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
