"""Describes the finished work that an interrupted run has kept on disk."""

from __future__ import annotations

import re
from pathlib import Path

from k2d.core.layout import Layout
from k2d.pipeline.answer_parts import set_of_finished


def describe_kept(output: Path, layout: Layout) -> str:
    """Describe the work on a folder that was kept when its run was interrupted, and how to continue."""
    parts = ["finished units"]
    n_answers = _n_answers(layout.answers(output)) if output.is_relative_to(layout.exp) else 0
    if n_answers:
        of_chunks = any(output.is_relative_to(each) for each in (layout.all_opinions, layout.all_alignments))
        what = "chunks" if of_chunks else "recordings"
        parts.append(f"{n_answers:,} finished {what} of {output.name}")
    step = _last_step(layout.training_work(output.name) / "checkpoints")
    if step is not None:
        parts.append(f"the training of {output.name} up to step {step:,}")
    return f"{' and '.join(parts)} are kept; run the same command again to continue"


def _n_answers(caches: Path) -> int:
    """The number of answers for the settings of the last decoding."""
    used = list(caches.glob("*/part-*.lines"))
    if not used:
        return 0
    return len(set_of_finished(max(used, key=lambda part: part.stat().st_mtime).parent))


def _last_step(checkpoints: Path) -> int | None:
    found = (re.fullmatch(r"step-(\d+)\.json", path.name) for path in checkpoints.glob("step-*.json"))
    return max((int(match[1]) for match in found if match), default=None)
