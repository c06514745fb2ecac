"""python -m k2d study: compare judges of labels with the truth, at equal hours kept.

Reads what stages 5 to 8 have stored for splits whose true text is known; nothing is decoded. Exit codes: 0 success, 1
stored files do not fit together, 2 wrong call, 3 the output of a stage or the truth is missing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from k2d.config import Config, load_config
from k2d.config.load import resolve_conf
from k2d.core.atomic import write_text, writing
from k2d.core.errors import K2DError, MissingInput, UsageError
from k2d.core.layout import Layout, experiment_layout, shown
from k2d.report.document import Paragraph, Section
from k2d.report.markdown import markdown
from k2d.report.page import page
from k2d.report.wording import number, plural, share
from k2d.score.columns import text_table
from k2d.score.confidence import Draws
from k2d.study.facts import StudiedChunk
from k2d.study.gathering import Gathered, gather, missing
from k2d.study.judge_tables import known, sections
from k2d.study.judging import Study, Terms, studied
from k2d.study.serialised import as_json, chunk_lines

TABLES, PAGE, CHUNKS, FIGURES = "STUDY.md", "study.html", "chunks.tsv", "study.json"


def main(argv: Sequence[str]) -> int:
    """Make the study of an experiment, write it and print its table."""
    options = parser().parse_intermixed_args(argv)
    config = load_config(resolve_conf(options.conf), options.overrides)
    layout = experiment_layout(config.data, config.exp, config.name)
    truths = _truths(options, config, layout)
    if lacking := list(missing(list(truths), truths, config, layout)):
        raise MissingInput("\n  ".join([f"{shown(layout.exp)} cannot be studied yet:", *lacking]))
    found = gather(truths, config, layout)
    study = studied(*_judged_and_labelled(found, options.fit), _terms(config))
    notes = [
        *_left_out(config, truths),
        *([f"left out: {plural(found.n_empty, 'chunk')} without a word in its label"] if found.n_empty else []),
    ]
    _write(study, notes, f"Judges of the labels of {config.name}", layout.study)
    print(
        "\n".join([*_printed(study), *notes, f"written: {shown(layout.study / TABLES)}, {PAGE}, {CHUNKS}, {FIGURES}"])
    )
    return 0


def parser() -> argparse.ArgumentParser:
    what = (
        "Compare judges of labels with the truth, at equal hours kept: the distances, the teacher's own doubt, and "
        "models that combine them. Reads what stages 5 to 8 have stored."
    )
    made = argparse.ArgumentParser(prog="python -m k2d study", description=what, allow_abbrev=False)
    add = made.add_argument
    add("--conf", default="conf/mini.yaml", metavar="FILE", help="experiment (default: conf/mini.yaml)")
    add(
        "--truth",
        action="append",
        default=[],
        metavar="SPLIT=DIR",
        help="data directory with the true text of an unlabelled split, with segments (repeatable; default: the "
        "split's twin SPLIT_truth)",
    )
    add(
        "--fit",
        metavar="SPLIT",
        help="unlabelled split on whose truth the combined judge is fitted; the others are judged (default: it is "
        "fitted on the truth of the judged recordings, each time on other recordings)",
    )
    add("overrides", nargs="*", metavar="key=value", help="settings to change, such as score.bad_label_mer=0.2")
    return made


def _truths(options: argparse.Namespace, config: Config, layout: Layout) -> dict[str, Path]:
    """The folder with the truth of each split that has one. UsageError or MissingInput with all faults."""
    splits = config.corpora.unlabelled
    faults = []
    if not splits:
        faults.append(f"{options.conf}: corpora.unlabelled is empty, so there are no labels to judge")
    if not config.auxiliaries:
        faults.append(f"{options.conf}: auxiliaries is empty, so there are no distances to compare with")
    found = {split: layout.truth(split) for split in splits if layout.truth(split).is_dir()}
    for word in options.truth:
        split, _, folder = word.partition("=")
        if split not in splits or not folder:
            faults.append(f"--truth {word}: expected SPLIT=DIR, with SPLIT one of {', '.join(splits) or 'none'}")
        elif not Path(folder).is_dir():
            faults.append(f"--truth {word}: expected a data directory, found no folder {folder}")
        else:
            found[split] = Path(folder)
    faults += _fit_faults(options.fit, found)
    if faults:
        raise UsageError("\n".join(faults))
    if not found:
        expected = ", ".join(shown(layout.truth(split)) for split in splits)
        raise MissingInput(f"no true text is known; expected {expected}, or name a folder with --truth {splits[0]}=DIR")
    return {split: found[split] for split in splits if split in found}


def _fit_faults(split: str | None, truths: dict[str, Path]) -> Iterator[str]:
    if split is None:
        return
    if split not in truths:
        yield f"--fit {split}: expected an unlabelled split with truth, one of {', '.join(truths) or 'none'}"
    elif len(truths) < 2:
        yield f"--fit {split}: no other split with truth is left to judge"


def _judged_and_labelled(found: Gathered, fit: str | None) -> tuple[list[StudiedChunk], list[StudiedChunk]]:
    """The chunks to judge, and those that the combined judge is fitted on."""
    judged = [chunk for chunk in found.chunks if chunk.split != fit]
    labelled = [chunk for chunk in found.chunks if chunk.split == fit]
    if not judged or (fit is not None and not labelled):
        empty = "another split" if not judged else fit
        raise K2DError(f"--fit {fit}: no chunk of {empty} has a word in its label; fit on another split")
    return judged, labelled


def _terms(config: Config) -> Terms:
    """The reference is the first method with the rule composite, or what one would have by default."""
    composite = next((method for method in config.select.methods.values() if method.rule == "composite"), None)
    auxiliary = (composite and composite.auxiliary) or next(iter(config.auxiliaries))
    alpha = config.select.alpha if composite is None or composite.alpha is None else composite.alpha
    score = config.score
    draws = Draws(score.bootstrap_resamples, score.confidence, config.seed)
    return Terms(score.bad_label_mer, auxiliary, alpha, draws)


def _left_out(config: Config, truths: dict[str, Path]) -> Iterator[str]:
    if without := [split for split in config.corpora.unlabelled if split not in truths]:
        yield f"left out, because their truth is not known: {', '.join(without)}"


def _write(study: Study, notes: Sequence[str], title: str, folder: Path) -> None:
    found = list(sections(study, notes))
    hint = Section(
        "Files",
        (Paragraph(f"Plots are in {PAGE} beside this file, all figures in {FIGURES}, all chunks in {CHUNKS}."),),
    )
    with writing(folder / CHUNKS) as file:
        file.writelines(f"{line}\n" for line in chunk_lines(study))
    record = {**as_json(study), "left_out": list(notes)}
    write_text(folder / FIGURES, json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    write_text(folder / PAGE, page(title, found))
    write_text(folder / TABLES, markdown(title, [*found, hint]))


def _printed(study: Study) -> Iterator[str]:
    """The judges as a table for the terminal."""
    amount = f"{plural(len(study.chunks), 'chunk')} of {plural(study.n_recordings, 'recording')}"
    yield f"{amount}; {study.reference} with α = {study.terms.alpha:g} keeps {number(study.kept_hours)} hours"
    head = ("judge", "label error", "recall of bad", "precision", "area")
    rows = [
        (row.judge.name, *(share(known(row.figures[at])) for at in range(3)), number(known(row.figures.area), 3))
        for row in study.rows
    ]
    yield from text_table([head, *rows])
