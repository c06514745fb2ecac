"""Two CPU processes that slowly train the tiny recogniser together: train_ranks.py FOLDER

Each writes its number to FOLDER/rank-N.pid when it begins its second step, and then needs $STEP_S for each step.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import torch
import train_fake

from k2d.config.training import Augment, Phase, Training
from k2d.core.ddp_children import ddp_children_for, follow_leader, output_of_leader
from k2d.core.errors import K2DError
from k2d.core.signals import ending_on_signals
from k2d.train import engine, ranks
from k2d.train import trainer as k2d_trainer
from k2d.train.engine import Setting
from k2d.train.lightning_parts import subprocess_script
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
    """Train. With $FORKS, the second process is a fork of the first, which saves its imports."""
    if os.environ.pop("FORKS", ""):
        with patch.object(subprocess_script, "subprocess", SimpleNamespace(Popen=ForkedAgain)):
            return main(folder)
    if output_of_leader() is not None:
        follow_leader()
    torch.set_num_threads(1)
    try:
        with ending_on_signals(), ddp_children_for(Path(folder)):
            train(Path(folder))
    except K2DError as error:
        sys.exit(f"train_ranks: {error}")


class ForkedAgain(subprocess.Popen):
    """This program once more, in a fork of this process."""

    def _execute_child(self, command, executable, preexec_fn, close_fds, pass_fds, cwd, environment, *_):
        self.pid = os.fork()
        self._child_created = True
        if self.pid == 0:
            os._exit(once_more(command, environment))


def once_more(command, environment):
    """As if the command had been started; returns its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    engine.rank_zero_only.rank = int(environment["LOCAL_RANK"])
    try:
        main(*command[2:])
    except SystemExit as ended:
        if isinstance(ended.code, int):
            return ended.code
        print(ended, file=sys.stderr, flush=True)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def wait_for_ever_while_the_second_dies():
    """Two others are started as Lightning starts ranks, and the second of them ends with an exit code."""
    ranks.GRACE_S = 0.1
    with ranks.watching_ranks():
        command = [sys.executable, "-Sc", "import sys; sys.stdin.read(1); sys.exit(3)"]
        processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(2)]
        subprocess_script._launch_process_observer(processes)
        processes[1].communicate(b"x")
        time.sleep(3000)


if __name__ == "__main__":
    main(*sys.argv[1:])
