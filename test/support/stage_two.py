"""`python -m k2d` with trainings in two processes on the CPU: stage_two.py VERB WORD…

Each process that runs it adds a line with its rank to the file `ranks`.
"""

import os
import sys
from pathlib import Path
from unittest.mock import patch

from k2d.__main__ import main
from k2d.train import trainer as k2d_trainer


def run() -> int:
    with Path("ranks").open("a", encoding="utf-8") as file:
        file.write(os.environ.get("LOCAL_RANK", "0") + "\n")
    trainer = k2d_trainer.Trainer

    def on_cpu(**options):
        return trainer(**{**options, "devices": 2, "strategy": "ddp"})

    with patch.object(k2d_trainer, "Trainer", on_cpu):
        return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
