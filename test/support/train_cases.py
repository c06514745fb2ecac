"""All cases of parts of a recogniser in a loss, for both families. Imports nothing heavy, so tests can list them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k2d.config.training import Augment, Phase


@dataclass(frozen=True)
class Case:
    """A phase: of a training on labels, or of a student."""

    family: str
    phase: Phase | None = None
    terms: tuple[str, ...] = ()
    freeze_encoder: bool = True
    freeze_positions: bool = False
    keep_encoded: bool = False
    in_use_alone: bool = False
    """Whether only the tokens of the labels, control and time tokens, and a sample of the others are used."""


def _on_labels() -> dict[str, Case]:
    still = Augment(gain_db=0.0, noise=0.0, echo=0.0)
    common = {
        "steps": 2,
        "batch_size": 4,
        "accumulate": 2,
        "lr": 1e-3,
        "warmup_steps": 0,
        "window_s": 3.0,
        "augment": still,
    }
    wants: dict[str, dict[str, Any]] = {
        "encoder": {"train": "encoder"},
        "flat": {"train": "encoder", "flat_start": 0.5},
    }
    for layers in (None, 2):
        name_of_layers = f"{layers or 'all'}_layers"
        for kept in (0, 1):
            wants[f"decoder-{name_of_layers}-kept{kept}"] = {
                "train": "decoder",
                "decoder_layers": layers,
                "keep_batches": kept,
            }
        for weight in (0.0, 0.3, 1.0):
            wants[f"all-{name_of_layers}-ctc{weight}"] = {
                "train": "all",
                "decoder_layers": layers,
                "ctc_weight": weight,
            }
    return {
        f"{family}-labels-{name}": Case(family, Phase(spec_augment=False, **{**common, **want}))
        for family in ("s2t", "whisper")
        for name, want in wants.items()
    }


def _students() -> dict[str, Case]:
    found = {}
    for family in ("s2t", "whisper"):
        for terms in (("ce",), ("ce", "kl"), ("hidden_mse",)):
            name = f"{family}-student-{'+'.join(terms)}"
            for keep in (False, True):
                found[f"{name}-frozen{'-encoded' * keep}"] = Case(family, terms=terms, keep_encoded=keep)
            found[f"{name}-free"] = Case(family, terms=terms, freeze_encoder=False)
    for terms in (("ctc",), ("ce", "kl", "ctc"), ("hidden_mse", "ctc")):
        found[f"s2t-student-{'+'.join(terms)}-free"] = Case("s2t", terms=terms, freeze_encoder=False)
    for family in ("s2t", "whisper"):
        found[f"{family}-student-ce+kl-in-use"] = Case(family, terms=("ce", "kl"), in_use_alone=True)
    found["s2t-student-ce+ctc-in-use-free"] = Case("s2t", terms=("ce", "ctc"), freeze_encoder=False, in_use_alone=True)
    found["whisper-student-ce+kl-frozen-positions"] = Case("whisper", terms=("ce", "kl"), freeze_positions=True)
    return found


CASES: dict[str, Case] = {**_on_labels(), **_students()}
