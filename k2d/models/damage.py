"""Check the files of a model against its stamp."""

from __future__ import annotations

from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.core.stamp import STAMP, UnreadableStamp, damaged_files, read_stamp


def refuse_damaged(model: Path) -> None:
    """Refuse a model folder (or a file in it) with files that were edited or lost since its stamp was written.

    A folder without a stamp is not checked, and neither are files that were added to a folder.
    """
    if not model.exists():
        return  # a published name
    folder = model if model.is_dir() else model.parent
    try:
        stamp = read_stamp(folder)
    except UnreadableStamp as fault:
        raise K2DError(
            f"{shown(folder / STAMP)}: cannot be read ({fault.why}), so the model's files cannot be checked; make the "
            f"model again (its stage with --force), or remove this {STAMP} to use the model unchecked"
        ) from fault
    if stamp is None or (model != folder and model.name not in stamp.files):
        return
    broken = [line for line in damaged_files(folder, stamp) if not line.endswith("was added")]
    if broken:
        raise K2DError(
            f"{shown(folder)}: {', '.join(broken)}; the model differs from its {STAMP}: make it again "
            f"(stage {stamp.recipe.stage}, with --force), or copy it from where it is whole"
        )
