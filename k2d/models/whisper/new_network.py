"""The network of a Whisper that is trained from random weights, with a CTC head that is not saved.

The texts of a small pool contain few of the 50,000 tokens. All tokens that are in no text, and are not symbols or
timestamps, form one class with one vector. The loss equals that over the whole vocabulary, at the cost of the tokens in
use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from k2d.models.interface import Memory, Part
from k2d.models.whisper.checkpoint import Generation, WhisperWeights
from k2d.models.whisper.codec import WhisperCodec
from k2d.models.whisper.dims import WhisperDims
from k2d.models.whisper.folder import write_folder
from k2d.models.whisper.frontend import HOP
from k2d.models.whisper.init import lean_on_ctc, prepare
from k2d.models.whisper.library import build_network, features, powers
from k2d.models.whisper.recogniser import WhisperRecogniser

EMBEDDING = "decoder.token_embedding"
_HEAD = "ctc"
_END_FRAMES = 40  # of 10 ms: frames that are kept after the last sound


class SharedEmbedding(nn.Module):
    """An embedding with a vector for each word in use, symbol and timestamp. All other tokens share the first one."""

    class_V: Tensor

    def __init__(self, n_tokens: int, words: Sequence[int], first_special: int, width: int) -> None:
        super().__init__()
        used = [*words, *range(first_special, n_tokens)]
        class_V = torch.zeros(n_tokens, dtype=torch.int64)
        class_V[used] = torch.arange(1, len(used) + 1)
        self.register_buffer("class_V", class_V, persistent=False)
        self.n_words, self.n_others = len(words), n_tokens - len(used)
        self.vectors_CD = nn.Parameter(torch.empty(len(used) + 1, width))

    @property
    def weight(self) -> Tensor:
        """The whole embedding, as it is saved."""
        return self.vectors_CD[self.class_V]

    def forward(self, tokens: Tensor) -> Tensor:
        return nn.functional.embedding(self.class_V[tokens], self.vectors_CD)

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Logits of the classes. The first class is as likely as all of its tokens together."""
        # Its n tokens have the same vector v, so their probabilities add up to n exp(h·v) = exp(h·v + log n).
        logits_NC = nn.functional.linear(hidden_ND, self.vectors_CD)
        bias_C = logits_NC.new_zeros(logits_NC.shape[-1])
        bias_C[0] = math.log(self.n_others) if self.n_others else -math.inf
        return logits_NC + bias_C


class NewWhisper(WhisperRecogniser):
    """A Whisper with random weights, for training. It is saved as an ordinary Whisper.

    `logits` and `ctc_log_probs` are over classes (see `classes`).
    """

    @classmethod
    def new(cls, dims: WhisperDims, texts: Iterable[str], languages: Sequence[str] = (), *, seed: int) -> NewWhisper:
        """Make a network with random weights for a pool with these texts."""
        codec = WhisperCodec(dims, languages)
        words = sorted({token for text in texts for token in codec.ids(text)})
        with torch.random.fork_rng(devices=[]):  # the weights depend on the seed alone
            torch.manual_seed(seed)
            network: Any = build_network(dims)
            embedding = SharedEmbedding(dims.n_vocab, words, codec.eos_id, dims.n_text_state)
            network.decoder.token_embedding = embedding
            network.add_module(_HEAD, nn.Linear(dims.n_audio_state, len(words) + 1))
            prepare(network)
        return cls(network, dims, codec, Generation())

    # --- numbering ---

    @property
    def n_classes(self) -> int:
        """The words in use, symbols, timestamps, and the class of all other tokens."""
        return len(self.network.decoder.token_embedding.vectors_CD)

    def classes(self, ids: Tensor) -> Tensor:
        """Convert tokens to classes. Negative ids, which have no loss, stay as they are."""
        classes: Tensor = self.network.decoder.token_embedding.class_V[ids.clamp(min=0)]
        return torch.where(ids < 0, ids, classes)

    @property
    def ctc_blank_id(self) -> int | None:  # type: ignore[override]
        """The class of the tokens that are in no text of the pool."""
        return 0

    # --- encoder ---

    def encode_unpadded(self, speech_BN: Tensor, n_samples_B: Tensor) -> tuple[Memory, Tensor]:
        """Encode only as many frames as the longest utterance has. A saved Whisper always encodes 30 s.

        Positions are a fixed table of sines, so the first frames have the same positions in both.
        """
        encoder = self.network.encoder
        n_padding = -speech_BN.shape[1] % (2 * HOP)
        speech_BN = nn.functional.pad(speech_BN.to(self.device).float(), (0, n_padding))
        x_BFT = torch.stack([self._features(speech_N) for speech_N in speech_BN]).to(self.dtype)
        x_BFT = nn.functional.gelu(encoder.conv1(x_BFT))
        x_BTD = nn.functional.gelu(encoder.conv2(x_BFT)).transpose(1, 2)
        x_BTD = x_BTD + encoder.positional_embedding[: x_BTD.shape[1]]
        for block in encoder.blocks:
            x_BTD = block(x_BTD)
        return Memory(encoder.ln_post(x_BTD)), (n_samples_B + 2 * HOP - 1) // (2 * HOP)

    def _features(self, speech_N: Tensor) -> Tensor:
        """Features as decoding computes them.

        In decoding, features after the end of a recording are zeros, which differ from those of silence. Training must
        contain such frames as well. Utterances end in zero samples, so all frames later than `_END_FRAMES` after the
        last other sample are set to zero.
        """
        found_MF = features(powers(speech_N, self.dims.n_mels))
        is_sound = speech_N != 0
        n_zeros = int(is_sound.flip(0).to(torch.int8).argmax()) if is_sound.any() else len(speech_N)
        n_frames = (len(speech_N) - n_zeros) // HOP + _END_FRAMES
        found_MF[:, n_frames:] = 0.0
        return found_MF

    # --- teacher-forced ---

    def output(self, hidden_ND: Tensor) -> Tensor:
        logits_NC: Tensor = self.network.decoder.token_embedding.logits(hidden_ND)
        return logits_NC

    def ctc_log_probs(self, memory: Memory) -> Tensor | None:
        log_probs_BTC: Tensor = self.network.ctc(memory.states_BTD).log_softmax(-1)
        return log_probs_BTC

    # --- as a whole ---

    def parts(self) -> Mapping[Part, Sequence[nn.Module]]:
        return {**super().parts(), "ctc_head": [self.network.ctc]}

    def lean_on_ctc(self) -> None:
        """Let a new decoder use what the encoder has learnt by CTC."""
        lean_on_ctc(self.network)

    def save(self, folder: Path) -> None:
        """Write an ordinary Whisper folder: the whole embedding, without the CTC head."""
        own = (f"{EMBEDDING}.", f"{_HEAD}.")
        state = {name: tensor for name, tensor in self.network.state_dict().items() if not name.startswith(own)}
        state[f"{EMBEDDING}.weight"] = self.network.decoder.token_embedding.weight
        write_folder(folder, WhisperWeights(self.dims, state, self.generation))
