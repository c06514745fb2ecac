"""ESPnet's S2T models with the interface of all recognisers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from k2d.models.cached_decoding import CachedDecoding
from k2d.models.codec import Request
from k2d.models.decoder_weights import awake
from k2d.models.espnet_s2t.codec import S2TCodec
from k2d.models.espnet_s2t.folder import ModelFiles, write_folder
from k2d.models.espnet_s2t.init import lean_on_ctc
from k2d.models.espnet_s2t.timestamp_rules import TimeRules
from k2d.models.espnet_s2t.weights import weights_of
from k2d.models.interface import Memory, Part, Started
from k2d.models.kept_rows import KeptEmbedding, KeptOutput, KeptRows, learnt_rows

# About as much audio as fits a CPU's cache: eight windows of 30 s at once take 1.5 times as long as one by one.
_TOGETHER_S = 40.0


class S2TRecogniser:
    """An ESPnet S2T network, the files that it was built from, and its codec."""

    family = "espnet_s2t"
    network: Any  # ESPnet's modules have no types

    def __init__(self, network: Any, codec: S2TCodec, files: ModelFiles) -> None:
        self.network = network
        self.codec = codec
        self.files = files
        self.window = codec.layout.window
        self.spec_augment = True  # in training
        self.n_awake_layers: int | None = None  # in training; None: all
        self.freeze_positions = False  # in training; they are sines, which are not trained
        self.max_tokens: int = self.network.decoder.embed[1].pe.shape[1]
        self._rules = TimeRules(
            first_time=codec.first_time_id,
            last_time=codec.last_time_id,
            no_times=codec.id_of(codec.layout.no_times),
            start=codec.id_of(codec.layout.start),
            end=codec.eos_id,
        )

    @property
    def device(self) -> torch.device:
        return learnt_rows(self.network.decoder.embed[0]).device

    @property
    def dtype(self) -> torch.dtype:
        return learnt_rows(self.network.decoder.embed[0]).dtype

    @property
    def width(self) -> int:
        """The number of features of the encoder's output and of the decoder."""
        width: int = self.network.encoder.output_size()
        return width

    def to(self, device: str | torch.device, dtype: torch.dtype) -> S2TRecogniser:
        """Move the network. Features are computed at least in float32, because bfloat16 has no STFT."""
        self.network.to(device=device, dtype=dtype)
        if dtype not in (torch.float32, torch.float64):
            for module in (self.network.frontend, self.network.normalize):
                if module is not None:
                    module.float()
            self.network.encoder.register_forward_pre_hook(_in_dtype_of_module)
        return self

    def encode(self, speech_BN: Tensor) -> Memory:
        """Samples to the encoder's output for whole windows."""
        n_samples = speech_BN.shape[1]
        assert n_samples <= self.window.n_samples, f"{n_samples} samples do not fit a window"
        whole_BN = nn.functional.pad(speech_BN, (0, self.window.n_samples - n_samples))
        lengths_B = torch.full((len(speech_BN),), self.window.n_samples, device=speech_BN.device)
        if self.device.type != "cpu" or torch.is_grad_enabled():
            return self.encode_unpadded(whole_BN, lengths_B)[0]
        n_together = max(1, int(_TOGETHER_S // self.window.length_s))
        pieces = zip(torch.split(whole_BN, n_together), torch.split(lengths_B, n_together), strict=True)
        return Memory(torch.cat([self.encode_unpadded(*piece)[0].states_BTD for piece in pieces]))

    def encode_unpadded(self, speech_BN: Tensor, n_samples_B: Tensor) -> tuple[Memory, Tensor]:
        """The encoder's output of utterances with their own lengths (padded with zeros), and their numbers of
        frames.
        """
        network = self.network
        # ESPnet asks the whole network whether to apply SpecAugment.
        network.training = network.encoder.training and self.spec_augment
        speech_BN = speech_BN.to(self.device, torch.promote_types(self.dtype, torch.float32))
        states, n_frames_B = network.encode(speech_BN, n_samples_B.to(self.device))
        states_BTD = states[0] if isinstance(states, tuple) else states  # with intermediate outputs for CTC behind
        return Memory(states_BTD), n_frames_B

    def restrict_vocabulary(self, ids_K: Tensor) -> None:
        """Let only these tokens take part in training. The CTC head keeps all."""
        decoder = self.network.decoder
        decoder.embed[0] = KeptEmbedding(decoder.embed[0], ids_K)
        decoder.output_layer = KeptOutput(decoder.output_layer, ids_K)

    def restore_vocabulary(self) -> None:
        """Put the whole embedding and the whole output layer back."""
        decoder = self.network.decoder
        decoder.embed[0] = decoder.embed[0].restored()
        decoder.output_layer = decoder.output_layer.restored()

    @property
    def n_classes(self) -> int:
        """The tokens that `output` rates."""
        return len(learnt_rows(self.network.decoder.output_layer))

    def classes(self, tokens: Tensor) -> Tensor:
        """Each token is a class of its own; if some take part in training, they are numbered anew."""
        embedding = self.network.decoder.embed[0]
        return embedding.classes(tokens) if isinstance(embedding, KeptRows) else tokens

    def hidden(self, memory: Memory, tokens_BL: Tensor) -> Tensor:
        """Like ESPnet's decoder, but without the output layer, whose logits of a whole batch can be too large."""
        decoder, length = self.network.decoder, tokens_BL.shape[1]
        x_BLD = decoder.embed(tokens_BL)
        is_seen_1LL = torch.ones(1, length, length, dtype=torch.bool, device=tokens_BL.device).tril()
        for layer in awake(list(decoder.decoders), self.n_awake_layers):
            x_BLD = layer(x_BLD, is_seen_1LL, memory.states_BTD, None)[0]
        hidden_BLD: Tensor = decoder.after_norm(x_BLD) if decoder.normalize_before else x_BLD
        return hidden_BLD

    def output(self, hidden_ND: Tensor) -> Tensor:
        logits_NV: Tensor = self.network.decoder.output_layer(hidden_ND)
        return logits_NV

    def logits(self, memory: Memory, tokens_BL: Tensor) -> Tensor:
        return self.output(self.hidden(memory, tokens_BL))

    def ctc_log_probs(self, memory: Memory) -> Tensor | None:
        if self.network.ctc is None:
            return None
        logits_BTV: Tensor = self.network.ctc.ctc_lo(memory.states_BTD)
        return logits_BTV.log_softmax(-1, torch.promote_types(logits_BTV.dtype, torch.float32))

    @property
    def ctc_blank_id(self) -> int | None:
        return None if self.network.ctc is None else self.codec.id_of(self.codec.layout.blank)

    @torch.no_grad()
    def start(self, memory: Memory, request: Request, previous_ids: Sequence[Sequence[int]] | None = None) -> Started:
        """Read the prompts into a new cache."""
        codec, n_windows = self.codec, len(memory)
        decoding = CachedDecoding(weights_of(self.network.decoder), memory.states_BTD)
        prompts = [codec.prompt(request, ids) for ids in previous_ids or [()] * n_windows]
        hidden_BLD = decoding.prompt(prompts)
        return Started(
            decoding,
            decoding.logits(hidden_BLD[:, -1]),
            self._silence(decoding.logits(hidden_BLD[:, -len(codec.prompt(request))])),
            (codec.language(request),) * n_windows,
        )

    def _silence(self, logits_BV: Tensor) -> Tensor | None:
        """The probability of silence. OWSM predicts its symbol at the place of the language, first in the prompt."""
        symbol = self.codec.layout.no_speech
        if symbol not in self.codec.tokens:
            return None
        return logits_BV.float().softmax(-1)[:, self.codec.id_of(symbol)]

    @torch.no_grad()
    def constrain(self, logits_RV: Tensor, generated_RL: Tensor, request: Request) -> Tensor:
        """ESPnet's ScoreFilter."""
        return self._rules.constrain(logits_RV, generated_RL, request.timestamps)

    @property
    def skips_layers(self) -> bool:
        """By ESPnet's `layer_drop_rate` or `stochastic_depth_rate` of the encoder. No decoder layer is dropped here."""
        rates = ("layer_drop_rate", "stochastic_depth_rate")
        return any(getattr(module, rate, 0.0) for module in self.network.encoder.modules() for rate in rates)

    def decoder_layers(self) -> Sequence[nn.Module]:
        return list(self.network.decoder.decoders)

    def parts(self) -> Mapping[Part, Sequence[nn.Module]]:
        """The network's modules by part."""
        network = self.network
        before = [network.frontend, network.specaug, network.normalize, network.encoder]
        head = [] if network.ctc is None else [network.ctc]
        # An encoder that is conditioned on intermediate CTC uses the head's output in its own layers. Then the head is
        # trained and frozen with the encoder.
        if network.encoder.interctc_use_conditioning:
            before, head = [*before, *head], []
        decoder = dict(network.decoder.named_children())
        output_layer = decoder.pop("output_layer")
        return {
            "encoder": [module for module in before if module is not None],
            "ctc_head": head,
            "decoder": list(decoder.values()),
            "output_layer": [output_layer],
        }

    def positions(self) -> Sequence[nn.Parameter]:
        return []

    def lean_on_ctc(self) -> None:
        """Initialise a new decoder from what the encoder has learnt by CTC."""
        lean_on_ctc(self.network)

    def n_parameters(self) -> Mapping[str, int]:
        counts = {name: sum(p.numel() for p in module.parameters()) for name, module in self.network.named_children()}
        return {name: count for name, count in counts.items() if count}

    @property
    def n_decoder_layers(self) -> int:
        return len(self.network.decoder.decoders)

    def with_decoder_layers(self, layers: Sequence[int]) -> S2TRecogniser:
        """A copy that has only these layers of the decoder."""
        network = copy.deepcopy(self.network)
        own = network.decoder.decoders
        network.decoder.decoders = type(own)(*(own[n] for n in layers), layer_drop_rate=own.layer_drop_rate)
        return S2TRecogniser(network, self.codec, self.files.with_decoder_layers(len(layers)))

    def save(self, folder: Path) -> None:
        """Write a folder that loads here and in plain ESPnet."""
        write_folder(folder, self.network.state_dict(), self.files, self.codec.pieces_model, self.n_parameters())


def _in_dtype_of_module(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert features, which are float32, for an encoder with another dtype."""
    return (inputs[0].to(next(module.parameters()).dtype), *inputs[1:])
