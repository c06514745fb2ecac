"""Save a trained model: its folder with record and curves. Only one process writes it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from k2d.core.ddp_children import output_of_leader

if TYPE_CHECKING:
    from k2d.models.interface import Trainable
    from k2d.train.records import TrainingRecord


def save_trained(model: Trainable, record: TrainingRecord, work: Path, folder: Path) -> None:
    """Write the folder, and delete the files of the training. A DDP child has finished its work and ends here."""
    from k2d.train.records import CURVES

    if output_of_leader() is not None:
        sys.exit(0)
    model.save(folder)
    record.write(folder)
    shutil.copy(work / CURVES, folder / CURVES)
    shutil.rmtree(work)
