"""The study as a table with a line for each chunk, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from k2d.study.comparing import SHARES, Row
from k2d.study.judging import FittedModel, Study
from k2d.study.kind_tables import error_kinds
from k2d.study.ranking import BAD, ERRORS, SECONDS, WORDS, Figures


def chunk_lines(study: Study) -> Iterator[str]:
    """A header, then each chunk with its true errors, all facts, and the estimates of its error."""
    columns = {**study.facts, **{f"estimate:{name}": values for name, values in study.estimates.items()}}
    yield "\t".join(("id", "recording", "duration_s", "true_words", "true_errors", "is_bad", *columns))
    for at, chunk in enumerate(study.chunks):
        head = (chunk.id, chunk.recording, f"{chunk.duration_s:.3f}", chunk.errors.n, chunk.errors.errors)
        values = (f"{column[at]:.6g}" for column in columns.values())
        yield "\t".join(map(str, (*head, int(study.amounts[at, BAD]), *values)))


def as_json(study: Study) -> dict[str, Any]:
    """Everything but the chunks. A figure that is not defined is null."""
    total = study.amounts.sum(axis=0)
    terms = study.terms
    found = {
        "reference": study.reference,
        "alpha": terms.alpha,
        "bad_label_mer": terms.bad_label_mer,
        "resamples": terms.draws.resamples,
        "confidence": terms.draws.level,
        "seed": terms.draws.seed,
        "n_chunks": len(study.chunks),
        "n_recordings": study.n_recordings,
        "n_bad": int(total[BAD]),
        "hours": float(total[SECONDS]) / 3600,
        "kept_hours": study.kept_hours,
        "true_words": int(total[WORDS]),
        "true_errors": int(total[ERRORS]),
        "error_kinds": dict(error_kinds(study)),
        "shares": list(SHARES),
        "judges": {row.judge.name: _judge(row) for row in study.rows},
        "reliability": {name: asdict(value) for name, value in study.reliability.items()},
        "model": None if study.fitted is None else _model(study.fitted),
        "notes": list(study.notes),
    }
    return {key: _without_nan(value) for key, value in found.items()}


def _judge(row: Row) -> dict[str, Any]:
    parts: dict[str, Figures | None] = {
        "figures": row.figures,
        "low": row.low,
        "high": row.high,
        "minus_reference": row.ahead,
        "minus_reference_low": row.ahead_low,
        "minus_reference_high": row.ahead_high,
    }
    figures = {name: None if part is None else part._asdict() for name, part in parts.items()}
    return {"uses": row.judge.uses, **figures, "label_error_at_shares": list(row.curve)}


def _model(fitted: FittedModel) -> dict[str, Any]:
    model = fitted.model
    columns = zip(fitted.inputs, model.mean, model.scale, model.coefficients, strict=True)
    inputs = {
        name: {"mean": float(mean), "scale": float(scale), "coefficient": float(coefficient)}
        for name, mean, scale, coefficient in columns
    }
    return {"intercept": model.intercept, "inputs": inputs}


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    return [_without_nan(each) for each in value] if isinstance(value, (list, tuple)) else value
