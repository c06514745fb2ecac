"""The table of chunks: written once, reused only with the same settings, mapped by each process."""

import pickle
from itertools import count

import pytest
from made_audio import speechlike, write_audio
from made_chunks import draw_chunks, write_chunks
from models_made import made_codec

from k2d.core.errors import K2DError

MAX_TOKENS = 60


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("audio")
    for n in range(2):
        write_audio(root / f"r{n}.wav", speechlike(90.0, seed=n))
    return {f"r{n}": str(root / f"r{n}.wav") for n in range(2)}


@pytest.fixture
def kept(recordings, tmp_path):
    return write_chunks(tmp_path / "kept", draw_chunks(recordings, 11, seed=1))


def opened(cache, folder, held_out=(), codec=None, max_tokens=MAX_TOKENS):
    from k2d.train.chunk_writing import TableRequest, open_chunks

    return open_chunks(TableRequest({folder: held_out}, codec or made_codec(), max_tokens), cache)


def labels_of(table):
    return [table[number].label for number in range(len(table))]


def ids_of(table):
    return [table[number].id for number in range(len(table))]


class Uncalled:
    """A codec that must not be called."""

    spelling_hash = made_codec().spelling_hash


@pytest.mark.slow
def test_an_existing_table_is_used_and_an_outdated_one_is_made_again(kept, recordings, tmp_path):
    cache = tmp_path / "cache"
    made = opened(cache, kept)
    assert ids_of(opened(cache, kept, codec=Uncalled())) == ids_of(made)
    assert {key[:2] for key in ids_of(opened(cache, kept, {"r0"}))} == {"r1"}
    with pytest.raises(AttributeError, match="ids"):
        opened(cache, kept, codec=Uncalled())  # the table of the earlier settings was removed
    assert len(opened(cache, kept, max_tokens=400)) == 22
    assert ids_of(opened(cache, kept)) == ids_of(made)
    (kept / "text").write_text((kept / "text").read_text().replace("today", "hello"))
    assert "today" not in "".join(labels_of(opened(cache, kept)))
    assert "today" in "".join(labels_of(made)), "who has the old table open goes on with it"


@pytest.mark.slow
def test_a_truncated_table_is_made_again(kept, tmp_path):
    cache = tmp_path / "cache"
    wanted = ids_of(opened(cache, kept))
    with (cache / "texts.utf8").open("r+b") as file:
        file.truncate(100)
    assert ids_of(opened(cache, kept)) == wanted


def test_a_pass_that_fails_leaves_no_table_and_names_the_chunk(kept, tmp_path):
    lines = (kept / "text").read_text().splitlines()
    lines[9] = lines[9].split()[0] + " <2.00>hello<1.00>"
    (kept / "text").write_text("\n".join(lines) + "\n")
    with pytest.raises(K2DError, match=r"kept: chunk 'r0-009': timestamps go backwards: <1\.00> follows <2\.00>"):
        opened(tmp_path / "cache", kept)
    assert not (tmp_path / "cache").exists()
    lines[9] = lines[9].split()[0] + " <1.00>hello<2.00>"
    (kept / "text").write_text("\n".join(lines) + "\n")
    assert "r0-009" in ids_of(opened(tmp_path / "cache", kept))


def test_chunks_are_read_one_at_a_time(tmp_path, monkeypatch):
    """When a row is read, all earlier rows except the last are written, because there can be millions."""
    from k2d.data.chunk_sources import Source
    from k2d.data.rows import Utterance
    from k2d.train import chunk_writing

    codec, n_behind = CountingCodec(), []

    def rows(_folder):
        for number in range(300):
            n_behind.append(number - codec.n_calls // 2)
            yield Utterance(f"r-{number:03d}", "r", "r.wav", "r", "<0.00>hello<1.00>", float(number), number + 1.0)

    sources = [(f"r-{number:03d}", Source("r", ((float(number), number + 1.0),))) for number in range(300)]
    monkeypatch.setattr(chunk_writing, "read_utterances", rows)
    monkeypatch.setattr(chunk_writing, "read_sources", lambda _: iter(sources))
    (tmp_path / "kept").mkdir()
    assert len(opened(tmp_path / "cache", tmp_path / "kept", codec=codec)) == 300
    assert max(n_behind) <= 1


class CountingCodec(Uncalled):
    """Counts the texts that it converts, and gives all the same ids."""

    n_calls = 0

    def ids(self, text):
        self.n_calls += 1
        return [1, 2, 3]


def test_whole_files_and_silence_can_be_chunks(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "wav.scp").write_text("a a.wav\nb b.wav\n")
    (folder / "utt2spk").write_text("a a\nb b\n")
    (folder / "utt2source").write_text("a r1 0.0 1.5\nb r2 0.0 1.2\n")
    (folder / "text").write_text("a\nb <0.00>你好<1.20>\n", encoding="utf-8")
    table, codec = opened(tmp_path / "cache", folder), made_codec()
    first, second = table[0], table[1]
    assert (first.id, first.audio, first.start_s, first.end_s) == ("a", "a.wav", None, None)
    assert (first.label, first.ids, first.plain_ids) == ("", [], [])
    assert (second.id, second.label, second.language) == ("b", "<0.00>你好<1.20>", None)
    assert (second.ids, second.plain_ids) == (codec.ids("<0.00>你好<1.20>"), codec.ids("你好"))
    assert table.ids_before(1, codec) == []
    assert table.words.tolist() == sorted(codec.ids("你好"))


def test_another_process_maps_the_files_of_the_batches(kept, tmp_path):
    from k2d.train.batches import TrainingProcess
    from k2d.train.chunk_batches import ChunkBatches, ChunkMaterial

    table, codec = opened(tmp_path / "cache", kept), made_codec()
    assert len(pickle.dumps(table)) < 500
    batches = ChunkBatches(ChunkMaterial(table, codec, codec.layout.window), 4, 2, (1, 0), TrainingProcess())
    sent = pickle.loads(pickle.dumps(batches))  # noqa: S301
    assert_equal(batches[5], sent[5])


@pytest.mark.parametrize("n_loaders", [1, 2])
@pytest.mark.slow
def test_any_number_of_loader_processes_gives_the_same_batches(kept, tmp_path, n_loaders):
    from k2d.train.batches import StepLoader, TrainingProcess
    from k2d.train.chunk_batches import ChunkBatches, ChunkMaterial, Labelling

    table, codec = opened(tmp_path / "cache", kept), made_codec()
    labelling = Labelling(timestamps_probability=0.5, previous_text_probability=0.5, token_noise=0.2)
    material = ChunkMaterial(table, codec, codec.layout.window, labelling)
    batches = ChunkBatches(material, 4, 2, (1, 0), TrainingProcess())
    n_steps = count()
    for step, loaded in zip(n_steps, StepLoader(batches, 0, 12, n_loaders), strict=False):
        assert_equal(loaded, batches[step])
    assert next(n_steps) == 13


def assert_equal(parts, expected):
    import torch

    assert len(parts) == len(expected) == 2
    for part, wanted in zip(parts, expected, strict=True):
        assert part.ids == wanted.ids
        for one, other in zip(part, wanted, strict=True):
            assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
