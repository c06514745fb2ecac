"""A layer over the vocabulary of which some tokens' rows take part in training, and all others stay as they are.

The layer is exchanged for one of these before a training and put back after it. In between, gradients, optimiser and
checkpoints hold the kept rows alone. Weight decay cannot move the others, as the optimiser does not know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from k2d.core.errors import K2DError

VocabularyLayer = nn.Embedding | nn.Linear


class KeptRows(nn.Module):
    """The kept rows of an embedding or of an output layer."""

    ids_K: Tensor
    place_V: Tensor
    bias_K: nn.Parameter | None

    def __init__(self, layer: VocabularyLayer, ids_K: Tensor) -> None:
        super().__init__()
        # In a tuple, the layer is no part of the network: it is not trained, saved, or sent to other processes.
        self._whole = (layer,)
        weight, bias = layer.weight, layer.bias if isinstance(layer, nn.Linear) else None
        ids_K = ids_K.to(weight.device)
        self.rows_KD = nn.Parameter(weight.detach()[ids_K], requires_grad=weight.requires_grad)
        self.bias_K = None if bias is None else nn.Parameter(bias.detach()[ids_K], requires_grad=bias.requires_grad)
        place_V = torch.full((len(weight),), -1, device=weight.device)
        place_V[ids_K] = torch.arange(len(ids_K), device=weight.device)
        self.register_buffer("ids_K", ids_K)  # in the checkpoints, as the rows mean nothing without it
        self.register_buffer("place_V", place_V, persistent=False)

    def classes(self, tokens: Tensor) -> Tensor:
        """The tokens' places among the kept rows; negative tokens, which carry no loss, stay as they are."""
        return torch.where(tokens < 0, tokens, self.place_V[tokens.clamp(min=0)])

    @property
    def weight(self) -> Tensor:
        """The whole matrix as it is now, without gradients: for decoding, in which any token may come."""
        return self.restored().weight.detach()

    @property
    def bias(self) -> Tensor | None:
        """The whole bias, as `weight`."""
        bias: Tensor | None = getattr(self.restored(), "bias", None)
        return None if bias is None else bias.detach()

    @torch.no_grad()
    def restored(self) -> VocabularyLayer:
        """The layer that this one stands for, with the kept rows as they are now."""
        layer = self._layer()
        layer.weight.index_copy_(0, self.ids_K, self.rows_KD)
        if self.bias_K is not None and isinstance(layer, nn.Linear):
            layer.bias.index_copy_(0, self.ids_K, self.bias_K)
        return layer

    def _layer(self) -> VocabularyLayer:
        """The layer that this one stands for, where the kept rows are and in their number format."""
        (layer,) = self._whole
        return layer.to(self.rows_KD)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        found = state_dict.get(f"{prefix}ids_K")
        if found is not None and not found.equal(self.ids_K.to(found.device)):
            raise K2DError(
                f"{prefix.rstrip('.')}: the checkpoint is of a training on {len(found):,} other tokens than the "
                f"{len(self.ids_K):,} that are in use now (distill.vocabulary); the labels or their tokenizer have "
                "changed: remove the folder of the training to train anew"
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)


class KeptEmbedding(KeptRows):
    """An embedding."""

    def forward(self, tokens: Tensor) -> Tensor:
        """The tokens' vectors. Those of tokens whose rows are not kept get no gradient."""
        place = self.place_V[tokens]
        kept = F.embedding(place.clamp(min=0), self.rows_KD)
        others = F.embedding(tokens, self._layer().weight.detach())
        return torch.where((place < 0).unsqueeze(-1), others, kept)


class KeptOutput(KeptRows):
    """An output layer."""

    def forward(self, hidden: Tensor) -> Tensor:
        """The logits of the kept rows."""
        return F.linear(hidden, self.rows_KD, self.bias_K)


def learnt_rows(layer: Any) -> Tensor:
    """The rows of a layer that take part: all of them, unless some are kept."""
    rows: Tensor = layer.rows_KD if isinstance(layer, KeptRows) else layer.weight
    return rows
