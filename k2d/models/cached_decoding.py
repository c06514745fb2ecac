"""Decoding with a Transformer decoder where nothing is computed twice, for every family.

Shapes: B windows, K beams, R = B × K rows, L tokens, T frames, D features, H heads, C = D / H.
"""

from __future__ import annotations

import torch
from torch import Tensor

from k2d.models.decoder_weights import Layer, Weights

_FIRST_ROOM = 64  # tokens that the self-attention cache has room for at first; it doubles when full


class CachedDecoding:
    """Keeps the keys and values of the encoder's output once per window, and those of the tokens once per row.

    Products of matrices are plain ones: with one query per head they are as fast as the fused attention on long
    windows and faster on short ones, most of all with beams.
    """

    def __init__(self, weights: Weights, states_BTD: Tensor) -> None:
        self._weights = weights
        self._n_windows, self._n_beams, self._n_tokens = len(states_BTD), 1, 0
        self._cross = [_keys_and_values(layer, states_BTD, weights.n_heads) for layer in weights.layers]
        n_features = states_BTD.shape[2] // weights.n_heads
        shape = (len(weights.layers), 2, self._n_windows, weights.n_heads, _FIRST_ROOM, n_features)
        # One tensor for all layers, keys and values: a change of rows (`_take`) is one copy instead of two per layer.
        self._own = states_BTD.new_empty(shape)
        self._n_padding_R: Tensor | None = None

    def prompt(self, prompts: list[list[int]]) -> Tensor:
        """Read the prompts of all windows; return hidden_BLD, with the last token of every prompt in the last place.

        Shorter prompts are padded in front, and no token attends to padding.
        """
        # Padding in front, not behind: then the next token of every row has the same place in the cache, and a step
        # writes one slice of it. Positions are counted from each row's first real token (`_positions`).
        longest = max(map(len, prompts))
        device = self._own.device
        padded = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)
        n_padding = [longest - len(prompt) for prompt in prompts]
        self._n_padding_R = torch.tensor(n_padding, device=device) if any(n_padding) else None
        return self._append(padded)

    def forget(self) -> None:
        """Go back to the state before any prompt. What was computed from the encoder's output is kept."""
        self._n_tokens, self._n_padding_R = 0, None

    def step(self, tokens_R: Tensor) -> Tensor:
        """Append one token to every row; return the logits_RV of the next."""
        return self.logits(self._append(tokens_R.unsqueeze(1)).squeeze(1))

    def logits(self, hidden_ND: Tensor) -> Tensor:
        return self._weights.output.linear(hidden_ND)

    def keep(self, windows: Tensor) -> None:
        """Continue with these windows only."""
        first_B1 = windows.unsqueeze(1) * self._n_beams
        # The rows of a window lie side by side: those of window w are w × n_beams to (w + 1) × n_beams − 1.
        self._take((first_B1 + torch.arange(self._n_beams, device=windows.device)).flatten())
        for n, (keys, values) in enumerate(self._cross):  # layer by layer: a copy of all at once doubles the memory
            self._cross[n] = (self._of_windows(keys, windows), self._of_windows(values, windows))
        self._n_windows = len(windows)

    def fan_out(self, n_beams: int) -> None:
        """Repeat every row n_beams times."""
        n_rows = self._n_windows * self._n_beams
        self._take(torch.arange(n_rows, device=self._own.device).repeat_interleave(n_beams))
        self._n_beams *= n_beams

    def reorder(self, rows_R: Tensor) -> None:
        """Row i continues row rows_R[i]."""
        self._take(rows_R)

    def _take(self, rows_R: Tensor) -> None:
        self._own = self._own.index_select(2, rows_R)
        if self._n_padding_R is not None:
            self._n_padding_R = self._n_padding_R.index_select(0, rows_R)

    def _of_windows(self, kept: Tensor, windows: Tensor) -> Tensor:
        """The part of some windows in a tensor with a row per window and head."""
        return kept.view(self._n_windows, -1, *kept.shape[1:]).index_select(0, windows).flatten(0, 1)

    def _append(self, tokens_RL: Tensor) -> Tensor:
        """Run the new tokens through all layers; return their normalised hidden_RLD."""
        weights, begin = self._weights, self._n_tokens
        # The tokens count before any layer runs: each layer writes its keys and values into the places up to there.
        self._n_tokens += tokens_RL.shape[1]
        self._make_room()
        x_RLD = weights.embed(tokens_RL) + self._positions(begin)
        mask = self._mask(begin)
        is_pre_norm = weights.last_norm is not None
        for n, layer in enumerate(weights.layers):
            if is_pre_norm:
                x_RLD = x_RLD + self._self_attention(n, layer.before_self.norm(x_RLD), mask)
                x_RLD = x_RLD + self._cross_attention(n, layer.before_cross.norm(x_RLD))
                x_RLD = x_RLD + self._feed_forward(layer, layer.before_feed.norm(x_RLD))
            else:
                x_RLD = layer.before_self.norm(x_RLD + self._self_attention(n, x_RLD, mask))
                x_RLD = layer.before_cross.norm(x_RLD + self._cross_attention(n, x_RLD))
                x_RLD = layer.before_feed.norm(x_RLD + self._feed_forward(layer, x_RLD))
        return x_RLD if weights.last_norm is None else weights.last_norm.norm(x_RLD)

    def _make_room(self) -> None:
        room = self._own.shape[4]
        if self._n_tokens > room:
            # The room doubles, so that n steps copy the cache about log n times, not n times.
            shape = list(self._own.shape)
            shape[4] = max(room, self._n_tokens - room)
            self._own = torch.cat((self._own, self._own.new_empty(shape)), dim=4)

    def _positions(self, begin: int) -> Tensor:
        """The positions of the new tokens, counted from each row's first real one."""
        if self._n_padding_R is None:
            return self._weights.positions_LD[begin : self._n_tokens]
        column_L = torch.arange(begin, self._n_tokens, device=self._own.device)
        return self._weights.positions_LD[(column_L - self._n_padding_R.unsqueeze(1)).clamp(min=0)]

    def _mask(self, begin: int) -> Tensor | None:
        """What is added to scores_RHLL: 0 where attention is allowed, else -inf. None: it is allowed everywhere."""
        if self._n_padding_R is None and self._n_tokens - begin == 1:
            return None
        # A single new token comes last, so causality hides nothing from it; only padding would be left to hide.
        query_L1 = torch.arange(begin, self._n_tokens, device=self._own.device).unsqueeze(1)
        key_L = torch.arange(self._n_tokens, device=self._own.device)
        is_hidden = (key_L > query_L1).unsqueeze(0)
        if self._n_padding_R is not None:
            is_padding_R1L = key_L < self._n_padding_R.view(-1, 1, 1)
            # Padding attends to itself, as a softmax over nothing is NaN.
            is_hidden = is_hidden | (is_padding_R1L & (key_L != query_L1))
        scores = torch.zeros(is_hidden.shape, dtype=self._own.dtype, device=self._own.device)
        return scores.masked_fill(is_hidden, float("-inf")).unsqueeze(1)

    def _self_attention(self, n: int, x_RLD: Tensor, mask: Tensor | None) -> Tensor:
        layer, (n_rows, n_new, _) = self._weights.layers[n], x_RLD.shape
        qkv = layer.qkv.linear(x_RLD).view(n_rows, n_new, 3, self._weights.n_heads, -1)
        query_RLHC = qkv[:, :, 0]
        begin, end = self._n_tokens - n_new, self._n_tokens
        self._own[n, :, :, :, begin:end] = qkv[:, :, 1:].permute(2, 0, 3, 1, 4)
        # Keys are normalised once, as they enter the cache; queries at each step.
        if layer.self_heads is not None:
            query_RLHC = layer.self_heads.query.norm(query_RLHC)
            self._own[n, 0, :, :, begin:end] = layer.self_heads.key.norm(qkv[:, :, 1]).transpose(1, 2)
        keys, values = self._own[n, :, :, :, :end].flatten(1, 2).unbind()
        return layer.self_out.linear(_attended(query_RLHC, keys.transpose(1, 2), values, mask))

    def _cross_attention(self, n: int, x_RLD: Tensor) -> Tensor:
        """Attend to the encoder's output. The beams of a window are queries to the same keys, which are kept once."""
        layer, (keys, values), n_heads = self._weights.layers[n], self._cross[n], self._weights.n_heads
        query = layer.cross_q.linear(x_RLD).view(self._n_windows, -1, n_heads, values.shape[2])
        if layer.cross_heads is not None:
            query = layer.cross_heads.query.norm(query)
        return layer.cross_out.linear(_attended(query, keys, values).view(x_RLD.shape))

    def _feed_forward(self, layer: Layer, x_RLD: Tensor) -> Tensor:
        return layer.feed_out.linear(self._weights.activation(layer.feed_in.linear(x_RLD)))


def _keys_and_values(layer: Layer, states_BTD: Tensor, n_heads: int) -> tuple[Tensor, Tensor]:
    """Of the encoder's output: keys as B·H × C × T, values as B·H × T × C.

    Both are contiguous in the order in which `bmm` reads them at every step, so the transposition is paid for once.
    """
    n_windows, n_frames, _ = states_BTD.shape
    projected = layer.cross_kv.linear(states_BTD).view(n_windows, n_frames, 2, n_heads, -1)
    keys_BTHC, values_BTHC = projected.unbind(2)
    if layer.cross_heads is not None:
        keys_BTHC = layer.cross_heads.key.norm(keys_BTHC)
    keys, values = keys_BTHC.permute(0, 2, 3, 1).contiguous(), values_BTHC.transpose(1, 2).contiguous()
    return keys.flatten(0, 1), values.flatten(0, 1)


def _attended(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Values weighted by attention: queries as N × L × H × C, keys and values of N·H; the result as N × L × D."""
    n, n_queries, n_heads, _ = query.shape
    scores = torch.bmm(query.transpose(1, 2).flatten(0, 1), keys)
    if mask is not None:
        scores = (scores.view(n, n_heads, n_queries, -1) + mask).flatten(0, 1)
    context = torch.bmm(scores.softmax(dim=-1), values)
    return context.view(n, n_heads, n_queries, -1).transpose(1, 2).flatten(2)
