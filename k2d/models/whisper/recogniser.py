"""Whisper networks in torch, with the interface of all recognisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from k2d.core.errors import UsageError
from k2d.models.cached_decoding import CachedDecoding
from k2d.models.codec import Request
from k2d.models.decoder_weights import awake
from k2d.models.interface import Memory, Part, Started
from k2d.models.kept_rows import KeptEmbedding, KeptRows, learnt_rows
from k2d.models.whisper.checkpoint import Generation, WhisperWeights
from k2d.models.whisper.checkpoint_files import read_whisper
from k2d.models.whisper.codec import WhisperCodec, codec_of
from k2d.models.whisper.dims import PUBLISHED, WhisperDims, n_parameters
from k2d.models.whisper.folder import write_folder
from k2d.models.whisper.frontend import HOP, WhisperFrontend
from k2d.models.whisper.library import build_network
from k2d.models.whisper.published import cache_folder, obtain
from k2d.models.whisper.timestamp_rules import WhisperRules
from k2d.models.whisper.weights import weights_of


class WhisperRecogniser(WhisperFrontend):
    """A Whisper network, its sizes and its codec."""

    family = "whisper"
    network: Any  # openai-whisper's modules have no types
    ctc_blank_id = None

    def __init__(self, network: Any, dims: WhisperDims, codec: WhisperCodec, generation: Generation) -> None:
        self.network, self.dims, self.codec, self.generation = network.eval(), dims, codec, generation
        self.spec_augment = self.skips_layers = False  # Whisper has neither
        self.n_awake_layers: int | None = None  # in training; None: all
        self.freeze_positions = False  # in training
        self.max_tokens = dims.n_text_ctx
        self._rules = WhisperRules.of(codec, generation)

    @classmethod
    def of(cls, weights: WhisperWeights, languages: Sequence[str] = ()) -> WhisperRecogniser:
        """Make a recogniser from a checkpoint. Its weights become float32, in which published ones were trained."""
        network = build_network(weights.dims)
        network.load_state_dict(dict(weights.state))
        codec = codec_of(weights.dims, weights.generation, languages)
        return cls(network, weights.dims, codec, weights.generation)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.network.decoder.positional_embedding.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.network.decoder.positional_embedding.dtype
        return dtype

    @property
    def width(self) -> int:
        """The number of features of the encoder's output, and of the decoder."""
        return self.dims.n_audio_state

    def to(self, device: str | torch.device, dtype: torch.dtype) -> WhisperRecogniser:
        """Move the network. Its norms always compute in float32."""
        self.network.to(device=device, dtype=dtype)
        for module in self.network.modules():
            if isinstance(module, nn.LayerNorm):
                module.float()
        return self

    # --- encoder ---

    def encode_unpadded(self, speech_BN: Tensor, n_samples_B: Tensor) -> tuple[Memory, Tensor]:
        """Encode whole windows, as Whisper always does. Frames after an utterance are computed but not counted."""
        return self.encode(speech_BN), (n_samples_B + 2 * HOP - 1) // (2 * HOP)

    def encoded(self, features_MF: Sequence[Tensor]) -> Memory:
        """Run the encoder. On a CPU, one window at a time is as fast as a batch and needs gigabytes less."""
        encoder = self.network.encoder
        size = len(features_MF) if self.device.type != "cpu" or torch.is_grad_enabled() else 1
        parts = [torch.stack(list(features_MF[n : n + size])) for n in range(0, len(features_MF), size)]
        return Memory(torch.cat([encoder(part_BMF.to(self.dtype)) for part_BMF in parts]))

    # --- teacher-forced ---

    def restrict_vocabulary(self, ids_K: Tensor) -> None:
        """Train on these tokens only."""
        decoder = self.network.decoder
        decoder.token_embedding = KeptEmbedding(decoder.token_embedding, ids_K)

    def restore_vocabulary(self) -> None:
        """Put the whole embedding back."""
        decoder = self.network.decoder
        decoder.token_embedding = decoder.token_embedding.restored()

    @property
    def n_classes(self) -> int:
        """The number of tokens for which `output` gives a logit."""
        return len(learnt_rows(self.network.decoder.token_embedding))

    def classes(self, tokens: Tensor) -> Tensor:
        """Each token is a class of its own. After `restrict_vocabulary`, the tokens in use have new numbers."""
        embedding = self.network.decoder.token_embedding
        return embedding.classes(tokens) if isinstance(embedding, KeptRows) else tokens

    def embed(self, tokens: Tensor) -> Tensor:
        """The vectors of tokens. That of `mixture_id` is the mean of its languages' vectors."""
        embedding, mixture = self.network.decoder.token_embedding, self.codec.mixture
        if not mixture:
            vectors: Tensor = embedding(tokens)
            return vectors
        is_mixed = (tokens == self.codec.mixture_id).unsqueeze(-1)
        plain = embedding(tokens.clamp(max=self.codec.n_tokens - 1))
        return torch.where(is_mixed, embedding(torch.tensor(mixture, device=tokens.device)).mean(0), plain)

    def hidden(self, memory: Memory, tokens_BL: Tensor) -> Tensor:
        """Run Whisper's decoder without its output layer: the logits of a whole batch can be too large."""
        decoder = self.network.decoder
        x_BLD = self.embed(tokens_BL) + decoder.positional_embedding[: tokens_BL.shape[1]]
        x_BLD = x_BLD.to(memory.states_BTD.dtype)
        for block in awake(list(decoder.blocks), self.n_awake_layers):
            x_BLD = block(x_BLD, memory.states_BTD, mask=decoder.mask)
        hidden_BLD: Tensor = decoder.ln(x_BLD)
        return hidden_BLD

    def output(self, hidden_ND: Tensor) -> Tensor:
        return nn.functional.linear(hidden_ND, learnt_rows(self.network.decoder.token_embedding).to(hidden_ND.dtype))

    def logits(self, memory: Memory, tokens_BL: Tensor) -> Tensor:
        return self.output(self.hidden(memory, tokens_BL))

    def ctc_log_probs(self, memory: Memory) -> Tensor | None:
        return None

    # --- decoding ---

    @torch.no_grad()
    def start(self, memory: Memory, request: Request, previous_ids: Sequence[Sequence[int]] | None = None) -> Started:
        """Read the prompts into a new cache. If no language is given, guess each window's language first."""
        codec, n_windows = self.codec, len(memory)
        decoding = CachedDecoding(weights_of(self.network.decoder, self.embed), memory.states_BTD)
        given = codec.prompt_languages(request)
        guessed: Sequence[int | None] = [None] * n_windows
        if codec.language_ids and not given:
            guessed = self._guess_languages(decoding, n_windows)
        before = previous_ids or [()] * n_windows
        prompts = [codec.prompt(request, ids, language) for ids, language in zip(before, guessed, strict=True)]
        hidden_BLD = decoding.prompt(prompts)
        n_prompt = len(codec.prompt(request, language=guessed[0]))
        return Started(
            decoding,
            decoding.logits(hidden_BLD[:, -1]),
            decoding.logits(hidden_BLD[:, -n_prompt]).float().softmax(-1)[:, codec.tokenizer.no_speech],
            self._language_names(given, guessed),
        )

    def _guess_languages(self, decoding: CachedDecoding, n_windows: int) -> list[int]:
        """The token of the likeliest language for each window."""
        ids = list(self.codec.language_ids.values())
        logits_BV = decoding.logits(decoding.prompt([[self.codec.tokenizer.sot]] * n_windows)[:, -1])
        decoding.forget()
        return [ids[place] for place in logits_BV[:, ids].argmax(-1).tolist()]

    def _language_names(self, given: Sequence[str], guessed: Sequence[int | None]) -> tuple[str, ...]:
        if not self.codec.language_ids:
            return ("en",) * len(guessed)
        names = {token: name for name, token in self.codec.language_ids.items()}
        return tuple("+".join(given) if token is None else names[token] for token in guessed)

    @torch.no_grad()
    def constrain(self, logits_RV: Tensor, generated_RL: Tensor, request: Request) -> Tensor:
        """Apply Whisper's timestamp rules, and suppress the tokens that are never written."""
        return self._rules.constrain(logits_RV, generated_RL, request.timestamps)

    # --- as a whole ---

    def decoder_layers(self) -> Sequence[nn.Module]:
        return list(self.network.decoder.blocks)

    def parts(self) -> Mapping[Part, Sequence[nn.Module]]:
        """The modules of each part. The embedding belongs to the decoder; it is the output layer as well."""
        return {
            "encoder": [self.network.encoder],
            "ctc_head": [],
            "decoder": [self.network.decoder],
            "output_layer": [],
        }

    def positions(self) -> Sequence[nn.Parameter]:
        """The decoder's learnt positions."""
        return [self.network.decoder.positional_embedding]

    def lean_on_ctc(self) -> None:
        raise UsageError("phases: lean_on_ctc is for models with a CTC head; a Whisper has none")

    def n_parameters(self) -> Mapping[str, int]:
        return n_parameters(self.dims)

    @property
    def n_decoder_layers(self) -> int:
        return self.dims.n_text_layer

    def with_decoder_layers(self, layers: Sequence[int]) -> WhisperRecogniser:
        """A copy with only these layers of the decoder."""
        dims = self.dims.with_text_layers(len(layers))
        places = {f"decoder.blocks.{old}.": f"decoder.blocks.{new}." for new, old in enumerate(layers)}
        network = build_network(dims)
        network.load_state_dict(_of_layers(self.network.state_dict(), places))
        made = WhisperRecogniser(network, dims, self.codec, self.generation)
        return made.to(self.device, self.dtype)

    def save(self, folder: Path) -> None:
        """Write a folder that `load_whisper` loads. The checkpoint in it also loads in openai-whisper."""
        write_folder(folder, WhisperWeights(self.dims, self.network.state_dict(), self.generation))


def load_whisper(path: Path | str, languages: Sequence[str] = (), cache: str | None = None) -> WhisperRecogniser:
    """Load a checkpoint in any of the formats, or fetch and load one by its published name."""
    found = checkpoint_of(path, cache)
    weights = read_whisper(found)
    if found != Path(path):  # published models decode as in openai-whisper, whatever settings their source has
        weights = replace(weights, generation=Generation())
    return WhisperRecogniser.of(weights, languages)


def checkpoint_of(path: Path | str, cache: str | None = None) -> Path:
    """The path itself, or, for a published name, the path of that checkpoint, which is fetched."""
    path, name = Path(path), str(path)
    if not path.exists() and (name in PUBLISHED or not {"/", "\\", "."} & set(name)):
        return obtain(name, cache_folder(cache))
    return path


def _of_layers(state: Mapping[str, Tensor], places: Mapping[str, str]) -> dict[str, Tensor]:
    """Give the decoder's blocks their new numbers. Blocks without one are left out."""
    kept = {}
    for name, tensor in state.items():
        block, dot, rest = name.partition(".blocks.")
        if block != "decoder" or not dot:
            kept[name] = tensor
            continue
        number, _, inside = rest.partition(".")
        if (place := places.get(f"decoder.blocks.{number}.")) is not None:
            kept[f"{place}{inside}"] = tensor
    return kept
