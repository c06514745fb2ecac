"""Two CPU processes that train the tiny recogniser together, slowly: train_ranks.py FOLDER

Each writes its number to FOLDER/rank-N.pid when it begins its second step, and then works at $STEP_S a step.
"""

import os
import sys
import time
from pathlib import Path

import torch
import train_fake
import train_two

from k2d.companions import companions_for, follow_leader, output_of_companion
from k2d.faults import K2DError
from k2d.signals import ending_on_signals
from k2d.train import engine


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


def main(folder):
    if output_of_companion() is not None:
        follow_leader()
    torch.set_num_threads(1)
    train_two.FakeRecogniser = SlowRecogniser
    try:
        with ending_on_signals(), companions_for(Path(folder)):
            train_two.main(folder, "2")
    except K2DError as error:
        sys.exit(f"train_ranks: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
