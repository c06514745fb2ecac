"""The family of ESPnet's S2T models. Importing this file is fast."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from k2d.core.atomic import write_text
from k2d.core.errors import UsageError
from k2d.core.layout import shown
from k2d.models.espnet_s2t.training_config import CONFIG, read_config
from k2d.models.espnet_s2t.vocabulary import PIECES, TOKENS, layout_of, special_symbols, token_list
from k2d.models.family import Family, NewModel, Speech

if TYPE_CHECKING:
    import torch

    from k2d.models.codec import Window
    from k2d.models.interface import Recogniser, Trainable
    from k2d.models.shape import Shape

N_FOR_STATISTICS = 500
"""The number of utterances from which the statistics of the features are computed."""


class EspnetS2T(Family):
    """OWSM, and models that are trained here from a config in ESPnet's format."""

    name = "espnet_s2t"
    checkpoints = "a model config or an ESPnet model folder"
    uses_vocabulary = True
    has_ctc_head = True
    export_formats = default_formats = ("espnet",)

    def recognises(self, path: Path) -> bool:
        return (path / CONFIG).is_file() if path.is_dir() else path.suffix == ".pth"

    def load(
        self, path: Path, device: str, dtype: torch.dtype, languages: Sequence[str] = (), cache: str | None = None
    ) -> Recogniser:
        if not path.exists():
            raise UsageError(f"{shown(path)}: there is no such model; expected a model folder or a file of one")
        if len(languages) > 1:
            raise UsageError(f"an ESPnet S2T prompt takes one language, not {', '.join(languages)}")
        from k2d.models.espnet_s2t.loading import load_s2t

        return load_s2t(path, *languages).to(device, dtype)

    def window(self, config: Path) -> Window:
        return layout_of(read_config(config)).window

    def new(self, made_from: NewModel, speech: Speech) -> Trainable:
        from k2d.models.espnet_s2t.folder import STATISTICS
        from k2d.models.espnet_s2t.library import feature_statistics
        from k2d.models.espnet_s2t.loading import new_s2t

        config, work = read_config(made_from.config), made_from.work
        tokens = (made_from.vocabulary / TOKENS).read_text(encoding="utf-8").splitlines()
        work.mkdir(parents=True, exist_ok=True)
        shutil.copy(made_from.vocabulary / PIECES, work / PIECES)
        # ESPnet builds the network with the means, so their file must exist before the network is built.
        if config.get("normalize") == "global_mvn":
            (work / STATISTICS).write_bytes(feature_statistics(config, _some_speech(speech)))
        return new_s2t(config, tokens, work / PIECES, seed=made_from.seed)

    def shape(self, path: Path, vocabulary_size: int) -> Shape:
        from k2d.models.espnet_s2t.shape import s2t_shape

        return s2t_shape(path, vocabulary_size)

    def write_vocabulary(
        self,
        folder: Path,
        texts: Sequence[str],
        window: Window,
        languages: Sequence[str],
        *,
        vocab_size: int,
        model_type: str,
        split_han: bool,
    ) -> None:
        from k2d.models.espnet_s2t.pieces import pieces_of, train_pieces

        symbols = special_symbols(window, languages)
        model = train_pieces(texts, symbols, vocab_size=vocab_size, model_type=model_type, split_han=split_han)
        (folder / PIECES).write_bytes(model)
        write_text(folder / TOKENS, "".join(f"{token}\n" for token in token_list(pieces_of(model), window, languages)))


def _some_speech(speech: Speech) -> Iterator[torch.Tensor]:
    """Utterances from all parts of the pool. Data directories are sorted, so the first ones have few speakers."""
    import numpy as np
    import torch

    chosen = np.linspace(0, len(speech) - 1, min(N_FOR_STATISTICS, len(speech))).astype(int)
    return (torch.from_numpy(speech.samples(int(n))) for n in chosen)


FAMILY = EspnetS2T()
