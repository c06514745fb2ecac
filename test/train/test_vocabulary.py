"""The tokens of a training on the vocabulary in use."""

import subprocess
import sys

import numpy as np
import pytest
from made_chunks import Made, write_chunks
from models_made import made_codec

from k2d.core.errors import K2DError
from k2d.core.layout import PROJECT_ROOT

LABELS = ("<0.00>我們 today<1.00>", "<0.00>hello<1.20>")


def table_of(tmp_path, codec, *, follow=True):
    """Two adjacent chunks of a recording."""
    from k2d.train.chunk_writing import TableRequest, open_chunks

    segments = (((0.0, 1.0, "我們 today"),), ((0.0, 1.2, "hello"),))
    starts = (0.0, 1.0 if follow else 60.0)
    chunks = [Made(f"r-{n}", "r", "r.wav", at, at + 2, segments[n]) for n, at in enumerate(starts)]
    folder = write_chunks(tmp_path / "kept", chunks)
    return open_chunks(TableRequest({folder: ()}, codec, 60), tmp_path / "table")


def chosen(table, codec, held_out=(), *, previous=False, n_sampled=0, seed=1):
    from k2d.train.vocabulary import vocabulary_in_use

    return vocabulary_in_use(table, codec, held_out, has_previous_text=previous, n_sampled=n_sampled, seed=seed)


def whisper_codec():
    from whisper_made import TINY

    from k2d.models.whisper.codec import WhisperCodec

    return WhisperCodec(TINY, ("zh", "en"))


@pytest.mark.parametrize("codec_of", [made_codec, whisper_codec])
def test_the_tokens_of_all_labels_and_all_special_tokens_are_used(tmp_path, codec_of):
    codec = codec_of()
    table = table_of(tmp_path, codec)
    found = chosen(table, codec, ["smart park"])
    texts = [*LABELS, "我們 today", "hello", "smart park"]
    words = {token for text in texts for token in codec.ids(text)} - set(codec.special_ids)
    assert set(found.ids_K.tolist()) == words | set(codec.special_ids)
    assert (np.diff(found.ids_K) > 0).all()
    assert (found.n_of_labels, found.n_special, found.n_sampled) == (len(words), len(codec.special_ids), 0)
    assert found.record()["in_use"] == len(found.ids_K)


def test_the_special_tokens():
    """Whisper has 1,608: the end, the start, 99 languages, six tasks and 1,501 times. In ESPnet, they have brackets."""
    whisper, espnet = whisper_codec(), made_codec()
    assert len(whisper.special_ids) == 1608
    assert {whisper.eos_id, whisper.language_id("zh"), whisper.first_time_id, 51_864} <= set(whisper.special_ids)
    assert {espnet.eos_id, espnet.language_id("zho"), espnet.first_time_id} <= set(espnet.special_ids)
    assert not {token for text in LABELS for token in espnet.ids(text[6:-6])} & set(espnet.special_ids)
    for codec in (whisper, espnet):
        ids, _ = codec.label(LABELS[0], _request())
        assert codec.text([token for token in ids if token in set(codec.special_ids)]) == ""


def _request():
    from k2d.models.codec import Request

    return Request()


def test_a_sample_of_the_others_is_drawn_once_by_the_seed(tmp_path):
    codec = made_codec()
    table = table_of(tmp_path, codec)
    none, some, more, all_of_them = (set(chosen(table, codec, n_sampled=n).ids_K) for n in (0, 10, 20, 10**6))
    assert len(some) == len(none) + 10
    assert none < some < more < all_of_them
    assert all_of_them == set(range(codec.n_tokens))
    assert set(chosen(table, codec, n_sampled=10, seed=2).ids_K) != some


def test_a_sampled_token_has_the_weight_of_those_that_it_represents(tmp_path):
    """If half of the other tokens are sampled, each represents two. If all or none are, each represents itself."""
    codec = made_codec()
    table = table_of(tmp_path, codec)
    n_others = codec.n_tokens - len(chosen(table, codec).ids_K)
    half = chosen(table, codec, n_sampled=n_others // 2)
    n_each = n_others / (n_others // 2)
    counts_K = np.exp(half.log_counts_K)
    assert counts_K[half.is_sampled_K].tolist() == pytest.approx([n_each] * (n_others // 2))
    assert (counts_K[~half.is_sampled_K] == 1).all()
    assert counts_K.sum() == pytest.approx(codec.n_tokens)
    in_labels = {token for text in LABELS for token in codec.ids(text)}
    assert not in_labels & {*half.ids_K[half.is_sampled_K].tolist()}
    for n_sampled in (0, n_others):
        assert not chosen(table, codec, n_sampled=n_sampled).log_counts_K.any()


@pytest.mark.slow
def test_another_process_chooses_the_same(tmp_path):
    """For example a second rank, or a continued training."""
    codec = made_codec()
    here = chosen(table_of(tmp_path, codec), codec, ["park"], n_sampled=10).record()
    words = (
        "from models_made import made_codec; from k2d.train.chunk_table import ChunkTable; "
        "from k2d.train.vocabulary import vocabulary_in_use; import sys; "
        "found = vocabulary_in_use(ChunkTable(__import__('pathlib').Path(sys.argv[1])), made_codec(), ['park'], "
        "has_previous_text=False, n_sampled=10, seed=1); print(found.record()['sha256'])"
    )
    path = f"{PROJECT_ROOT}:{PROJECT_ROOT / 'test' / 'support'}"
    command = [sys.executable, "-c", words, str(tmp_path / "table")]
    there = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=True, timeout=300)
    assert there.stdout.strip() == here["sha256"]


def test_tokens_of_previous_text_are_counted(tmp_path, monkeypatch):
    """It can end within a label, and then its last word can have tokens that no whole label has."""
    from k2d.train.chunk_table import ChunkTable

    codec = made_codec()
    table = table_of(tmp_path, codec)
    before = chosen(table, codec)
    (odd,) = set(codec.ids("park")) - set(before.ids_K) or {None}
    assert odd is not None
    monkeypatch.setattr(ChunkTable, "ids_before", lambda *_: codec.ids("park"))
    assert odd not in chosen(table, codec).ids_K
    assert odd in chosen(table, codec, previous=True).ids_K


def test_a_chunk_with_another_token_is_refused_by_name(tmp_path):
    from k2d.train.batches import TrainingProcess
    from k2d.train.chunk_batches import ChunkBatches, ChunkMaterial
    from k2d.train.vocabulary import VocabularyInUse

    codec = made_codec()
    table = table_of(tmp_path, codec)
    whole = chosen(table, codec)
    (odd, *_) = codec.ids("hello")
    left = whole.ids_K != odd
    fewer = VocabularyInUse(whole.ids_K[left], codec.n_tokens, 0, 0, whole.is_sampled_K[left])
    material = ChunkMaterial(table, codec, codec.layout.window, encoded=Nothing(), vocabulary=whole)
    ChunkBatches(material, 2, 1, (1, 0), TrainingProcess())[0]
    material = ChunkMaterial(table, codec, codec.layout.window, encoded=Nothing(), vocabulary=fewer)
    with pytest.raises(
        K2DError, match=rf"chunk 'r-1': token {odd} is not among the {len(fewer.ids_K):,} tokens of the"
    ):
        ChunkBatches(material, 2, 1, (1, 0), TrainingProcess())[0]


class Nothing:
    """Outputs of a teacher, which are not used."""

    def states(self, chunk):
        return np.zeros((1, 1), np.float32)

    hidden = states


def test_the_id_of_a_mixed_prompt_represents_tokens_in_use(tmp_path):
    codec = whisper_codec()
    found = chosen(table_of(tmp_path, codec), codec)
    assert codec.mixture_id not in found.ids_K
    found.check(np.array([codec.tokenizer.sot, codec.mixture_id, codec.eos_id]), "r-0")
