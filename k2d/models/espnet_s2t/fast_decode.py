"""Faster versions of slow parts of ESPnet's networks on a CPU, with the same results.

Depthwise convolutions and plain attention are faster in training, too. Attention with relative positions is faster only
for whole windows, as in decoding.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PLAIN, _RELATIVE = "MultiHeadedAttention", "RelPositionMultiHeadedAttention"  # only the adapter's core may import them


def quicken(network: Any) -> None:
    """Replace the forward methods of slow modules. Parameters keep their names, so checkpoints still load."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d) and _is_depthwise(module):
            _override(module, _depthwise)
        elif isinstance(module, nn.Conv2d):
            # The convolutions in front of the layers are faster on a CPU with the channels last.
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        elif type(module).__name__ == _RELATIVE and not module.zero_triu:
            _override(module, _relative_attention)
        elif type(module).__name__ == _PLAIN and not module.use_flash_attn:
            module.use_sdpa = True  # torch's own kernel, which keeps no matrix of scores


def _override(module: Any, forward: Any) -> None:
    module.plain_forward = module.forward
    module.forward = MethodType(forward, module)


def _is_depthwise(module: nn.Conv1d) -> bool:
    is_plain = module.stride == (1,) and module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return is_plain and module.groups == module.in_channels == module.out_channels > 1


def _depthwise(self: Any, x_BCT: Tensor) -> Tensor:
    """A depthwise convolution as a two-dimensional one with the channels last: on a CPU up to 30 times as fast."""
    if x_BCT.device.type != "cpu":
        return self.plain_forward(x_BCT)  # type: ignore[no-any-return]
    x_BC1T = x_BCT.unsqueeze(2).to(memory_format=torch.channels_last)
    weight = self.weight.unsqueeze(2).to(memory_format=torch.channels_last)
    padding, dilation = (0, self.padding[0]), (1, self.dilation[0])
    return F.conv2d(x_BC1T, weight, self.bias, padding=padding, dilation=dilation, groups=self.groups).squeeze(2)


def _relative_attention(self: Any, query: Tensor, key: Tensor, value: Tensor, pos_emb: Tensor, mask: Tensor) -> Tensor:
    """Attention with relative positions without a mask. The shift of positions is a view."""
    if self.training or query.device.type != "cpu" or len(pos_emb) != 1 or not bool(mask.all()):
        return self.plain_forward(query, key, value, pos_emb, mask)  # type: ignore[no-any-return]
    q_BTHC, keys, values = self.forward_qkv(query, key, value)
    q_BTHC = q_BTHC.transpose(1, 2)
    n_frames = query.shape[1]
    # by_place[i, p] is the score of query i with relative position p, where p = 0 is the farthest key before it. The
    # score of key j for query i is by_place[i, n - 1 - i + j]. ESPnet computes it by padding, reshaping and cutting,
    # which copies the whole matrix. A view with a row stride that is smaller by one reads the same numbers in place.
    positions_HCP = self.linear_pos(pos_emb).view(2 * n_frames - 1, self.h, self.d_k).permute(1, 2, 0)
    by_place = torch.matmul(((q_BTHC + self.pos_bias_v) * self.d_k**-0.5).transpose(1, 2), positions_HCP)
    batch, head, frame, _ = by_place.stride()
    shape = (*by_place.shape[:2], n_frames, n_frames)
    shifted = by_place.as_strided(shape, (batch, head, frame - 1, 1), n_frames - 1)
    # SDPA adds its mask to the scores of content, so the scores of positions can be passed as one; both are scaled.
    by_content = (q_BTHC + self.pos_bias_u).transpose(1, 2)
    context = F.scaled_dot_product_attention(by_content, keys, values, attn_mask=shifted)
    return self.linear_out(context.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
