"""The data and losses of students: kept chunks are read by seeking, and both decoders share one encoder."""

import pickle

import numpy as np
import pytest
import soundfile
from made_audio import speechlike, write_audio
from models_made import made_codec, made_recogniser

from k2d.core.errors import K2DError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    return made_recogniser(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def chunks_folder(tmp_path_factory):
    """Three chunks of a long recording, the third far from the others, and a chunk of another recording."""
    root = tmp_path_factory.mktemp("kept")
    write_audio(root / "r1.wav", speechlike(40.0))
    write_audio(root / "r2.wav", speechlike(8.0, seed=1))
    tables = {
        "wav.scp": f"r1 {root / 'r1.wav'}\nr2 {root / 'r2.wav'}\n",
        "segments": "r1-a r1 1.0 9.0\nr1-b r1 9.5 15.0\nr1-c r1 30.0 38.0\nr2-a r2 0.0 7.5\n",
        "text": "r1-a <0.00>我們 today<7.90>\nr1-b <0.00>hello<5.50>\n"
        "r1-c <0.00>你好<3.00>\nr2-a <0.00>the park<7.00>\n",
        "utt2spk": "r1-a r1\nr1-b r1\nr1-c r1\nr2-a r2\n",
        "spk2utt": "r1 r1-a r1-b r1-c\nr2 r2-a\n",
    }
    for name, text in tables.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def table_of(folder, cache, codec, held_out=()):
    from k2d.train.chunk_writing import TableRequest, open_chunks

    return open_chunks(TableRequest({folder: held_out}, codec, 200), cache / "table")


def batches_of(folder, cache, **how):
    from k2d.train.batches import TrainingProcess
    from k2d.train.chunk_batches import ChunkBatches, ChunkMaterial, Labelling

    codec = made_codec()
    found = table_of(folder, cache, codec)
    material = ChunkMaterial(found, codec, codec.layout.window, Labelling(**how))
    return ChunkBatches(material, len(found), 1, (1, 0), TrainingProcess())


def test_a_batch_is_the_chunks_audio_and_labels(chunks_folder, tmp_path):
    from k2d.train.batches import IGNORED

    (batch,) = batches_of(chunks_folder, tmp_path)[0]
    codec = made_codec()
    place = batch.ids.index("r1-b")
    whole, _ = soundfile.read(chunks_folder / "r1.wav", dtype="float32")
    samples_N = batch.speech_BN[place].numpy()
    assert samples_N.shape == (160_000,)
    assert np.array_equal(samples_N[:88_000], whole[152_000:240_000])
    assert not samples_N[88_000:].any()
    label = codec.ids("<0.00>hello<5.50>")
    targets = [token for token in batch.targets_BL[place].tolist() if token != IGNORED]
    assert targets == [*label, codec.eos_id]
    assert batch.inputs_BL[place].tolist()[: 3 + len(label)] == [*codec.prompt(_request()), *label]


def _request():
    from k2d.models.codec import Request

    return Request()


def test_times_and_previous_text_have_the_configured_frequency(chunks_folder, tmp_path):
    (plain,) = batches_of(chunks_folder, tmp_path, timestamps_probability=0.0)[0]
    codec = made_codec()
    times = set(range(codec.first_time_id, codec.last_time_id + 1))
    assert not times & set(plain.inputs_BL.flatten().tolist())
    (with_previous,) = batches_of(chunks_folder, tmp_path, previous_text_probability=1.0)[0]
    start_of_previous = codec.id_of(codec.layout.start_of_previous)
    first_B = with_previous.inputs_BL[:, 0].tolist()
    began = {key: first == start_of_previous for key, first in zip(with_previous.ids, first_B, strict=True)}
    assert began == {"r1-a": False, "r1-b": True, "r1-c": False, "r2-a": False}  # r1-c is too far behind r1-b


def test_a_segment_that_a_window_cuts_off_is_not_previous_text_of_the_next_window(tmp_path):
    from k2d.data.chunks import pack
    from k2d.data.rows import Hypothesis, Segment

    segments = (Segment(1.0, 4.0, "你好"), Segment(8.5, 11.5, "so we begin"), Segment(12.0, 14.0, "再見"))
    packed = pack(Hypothesis("r1", 20.0, segments, ()), 10.0, "window").chunks
    assert [chunk.text for chunk in packed] == [
        "<1.00>你好<4.00><8.50>so we<10.00>",
        "<0.00>so we begin<3.00><3.50>再見<5.50>",
    ]
    tables = {
        "wav.scp": "r1 r1.wav\n",
        "segments": "".join(f"{c.id} r1 {c.start_s} {c.end_s}\n" for c in packed),
        "text": "".join(f"{c.id} {c.text}\n" for c in packed),
        "utt2spk": "".join(f"{c.id} r1\n" for c in packed),
    }
    (tmp_path / "kept").mkdir()
    for name, text in tables.items():
        (tmp_path / "kept" / name).write_text(text, encoding="utf-8")
    codec = made_codec()
    table = table_of(tmp_path / "kept", tmp_path, codec)
    assert [table.ids_before(number, codec) for number in range(2)] == [[], codec.ids("你好")]


def test_held_out_recordings_are_not_trained_on(chunks_folder, tmp_path):
    found = table_of(chunks_folder, tmp_path, made_codec(), {"r1"})
    assert [found[number].id for number in range(len(found))] == ["r2-a"]
    with pytest.raises(K2DError, match="found no chunk for training"):
        table_of(chunks_folder, tmp_path, made_codec(), {"r1", "r2"})


def test_chunks_with_their_own_audio_belong_to_their_recording(tmp_path):
    """As written by `chunk.duration: sum`: for all tables except utt2source, a chunk is a recording."""
    names = ["r1-a", "r1-b", "r1-c", "r2-a"]
    tables = {
        "wav.scp": [f"{name} {name}.flac" for name in names],
        "text": ["r1-a <0.00>你好<2.00><2.00>so<4.00>", "r1-b 我們", "r1-c 再見", "r2-a x"],
        "utt2spk": [f"{name} {name[:2]}" for name in names],
        "utt2source": ["r1-a r1 0.0 2.0 7.0 9.0", "r1-b r1 9.5 12.5", "r1-c r1 18.0 19.0", "r2-a r2 0.0 1.0"],
    }
    data, codec = tmp_path / "kept", made_codec()
    data.mkdir()
    for name, lines in tables.items():
        (data / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    left = table_of(data, tmp_path / "left", codec, {"r1"})
    assert [left[number].id for number in range(len(left))] == ["r2-a"]
    table = table_of(data, tmp_path / "all", codec)
    before = [table.ids_before(number, codec) for number in range(4)]
    assert before == [[], codec.ids("你好 so"), [], []]  # r1-c begins 5.5 s after r1-b


def test_a_student_with_all_layers_has_no_loss_against_its_teacher(teacher, chunks_folder, tmp_path):
    from k2d.objectives.objective import Objective
    from k2d.train.distillation import DistillationLoss, TeacherStudent

    (batch,) = batches_of(chunks_folder, tmp_path)[0]
    student = teacher.with_decoder_layers([0, 1, 2])
    n_encoded = []
    teacher.network.encoder.register_forward_hook(lambda *_: n_encoded.append("teacher"))
    student.network.encoder.register_forward_hook(lambda *_: n_encoded.append("student"))
    distilling = DistillationLoss(
        TeacherStudent(student, teacher, shares_encoder=True), Objective({"ce": 0.8, "kl": 1.0}, 2.0), "token_mean"
    )
    sums = distilling.sums(batch)
    assert sums["kl"].item() == pytest.approx(0.0, abs=1e-4)
    assert n_encoded == ["teacher"]
    assert distilling.counts(batch) == dict.fromkeys(("ce", "kl"), _n_targets(batch))
    smaller = teacher.with_decoder_layers([0, 2])
    smaller.network.requires_grad_(True)
    terms = DistillationLoss(
        TeacherStudent(smaller, teacher, True), Objective({"ce": 0.8, "kl": 1.0, "ctc": 0.1}, 2.0), "sum"
    )
    sums = terms.sums(batch)
    assert sums["kl"].item() > 0.1
    assert list(sums) == ["ce", "kl", "ctc"]
    assert terms.counts(batch) == {"ce": 0, "kl": 0, "ctc": 0}  # divided by nothing
    sums["kl"].backward()
    assert all(p.grad is None for p in teacher.network.parameters())
    assert any(p.grad is not None for p in smaller.network.decoder.parameters())


def test_the_teachers_decoder_does_not_run_if_no_term_needs_it(teacher, chunks_folder, tmp_path, monkeypatch):
    """For example with labels of another system, where cross-entropy is the only term."""
    from k2d.objectives.objective import Objective
    from k2d.train.distillation import DistillationLoss, TeacherStudent

    (batch,) = batches_of(chunks_folder, tmp_path)[0]
    pair = TeacherStudent(teacher.with_decoder_layers([0, 2]), teacher, shares_encoder=True)
    found = {}
    for weights in ({"ce": 0.8, "kl": 1.0}, {"ce": 0.8}):
        if "kl" not in weights:
            monkeypatch.setattr(type(teacher), "hidden", _for_all_but(teacher, type(teacher).hidden))
        sums = DistillationLoss(pair, Objective(weights, 2.0), "token_mean").sums(batch)
        found["kl" in weights] = sums["ce"].item()
    assert found[True] == found[False]


def _for_all_but(forbidden, hidden):
    def checked(self, *arguments):
        assert self is not forbidden
        return hidden(self, *arguments)

    return checked


def _n_targets(batch):
    from k2d.train.batches import IGNORED

    return int((batch.targets_BL != IGNORED).sum())


def test_padding_does_not_affect_the_loss(teacher, chunks_folder, tmp_path):
    from k2d.objectives.objective import Objective
    from k2d.train.batches import singles
    from k2d.train.distillation import DistillationLoss, TeacherStudent

    (batch,) = batches_of(chunks_folder, tmp_path)[0]
    student = teacher.with_decoder_layers([0, 2])
    terms = DistillationLoss(
        TeacherStudent(student, teacher, True), Objective({"ce": 1.0, "kl": 1.0}, 2.0), "token_mean"
    )
    together = terms.sums(batch)
    alone = [terms.sums(one) for one in singles(batch)]
    for name in ("ce", "kl"):
        assert together[name].item() == pytest.approx(sum(one[name].item() for one in alone), rel=1e-4)


def test_kept_outputs_equal_those_of_the_teacher(teacher, chunks_folder, tmp_path, monkeypatch):
    """With kept outputs, losses are equal, no audio is read, and neither encoder nor decoder of the teacher runs."""
    from k2d.objectives.objective import Objective
    from k2d.train.batches import TrainingProcess
    from k2d.train.chunk_batches import ChunkBatches, ChunkMaterial, Labelling
    from k2d.train.distillation import DistillationLoss, TeacherStudent
    from k2d.train.encoded import open_encoded

    chunks = table_of(chunks_folder, tmp_path, teacher.codec)
    made_from = {"teacher": "this one"}
    whole = ChunkMaterial(chunks, teacher.codec, teacher.window)
    encoded = open_encoded(whole, teacher, tmp_path / "encoded", made_from=made_from, batch_size=3)
    assert len(pickle.dumps(encoded)) < 500, "a process that is sent it maps the files itself"
    times = (tmp_path / "encoded" / "states.float32").stat().st_mtime_ns
    open_encoded(whole, teacher, tmp_path / "encoded", made_from=made_from, batch_size=3)
    assert (tmp_path / "encoded" / "states.float32").stat().st_mtime_ns == times

    def losses(**kept):
        material = ChunkMaterial(chunks, teacher.codec, teacher.window, **kept)
        (batch,) = ChunkBatches(material, len(chunks), 1, (1, 0), TrainingProcess())[0]
        pair = TeacherStudent(teacher.with_decoder_layers([0, 2]), teacher, shares_encoder=True)
        sums = DistillationLoss(pair, Objective({"ce": 1.0, "kl": 1.0}, 2.0), "token_mean").sums(batch)
        return batch, {name: value.item() for name, value in sums.items()}

    samples_N, expected = losses()
    half, same = losses(encoded=encoded, labelling=Labelling(timestamps_probability=1 - 1e-12))
    assert half.teacher_hidden_BLD is None
    assert same == pytest.approx(expected, rel=1e-4)
    hearing = []
    with monkeypatch.context() as watched:
        for part in (teacher.network.encoder, teacher.network.decoder):
            watched.setattr(part, "forward", lambda *_, **__: hearing.append("again"))
        kept, found = losses(encoded=encoded)
    assert hearing == []
    assert kept.ids == samples_N.ids
    assert kept.speech_BN.shape[1] == 0
    assert found == pytest.approx(expected, rel=1e-4)
    open_encoded(whole, teacher, tmp_path / "encoded", made_from={"teacher": "another"}, batch_size=3)
    assert (tmp_path / "encoded" / "states.float32").stat().st_mtime_ns > times


def test_kept_encoder_outputs_can_be_half_as_large(teacher, chunks_folder, tmp_path):
    from k2d.train.chunk_batches import ChunkMaterial
    from k2d.train.encoded import open_encoded

    chunks = table_of(chunks_folder, tmp_path, teacher.codec)
    material, folder = ChunkMaterial(chunks, teacher.codec, teacher.window), tmp_path / "encoded"
    whole = open_encoded(material, teacher, folder, made_from={}, batch_size=3)
    states_NTD = [whole.states(chunk) for chunk in chunks]
    n_bytes = (folder / "states.float32").stat().st_size
    half = open_encoded(material, teacher, folder, made_from={}, batch_size=3, precision="fp16")
    assert (folder / "states.float16").stat().st_size * 2 == n_bytes
    assert not (folder / "states.float32").exists()
    for chunk, states_TD in zip(chunks, states_NTD, strict=True):
        assert half.states(chunk).dtype == np.float32
        assert np.array_equal(half.states(chunk), states_TD.astype(np.float16))
    again = open_encoded(material, teacher, folder, made_from={}, batch_size=3)
    assert np.array_equal(again.states(chunks[0]), states_NTD[0]), "fp16 is not taken for fp32"


def test_encoder_outputs_that_fp16_cannot_hold_are_refused(teacher, chunks_folder, tmp_path, monkeypatch):
    from k2d.models.interface import Memory
    from k2d.train import encoded
    from k2d.train.chunk_batches import ChunkMaterial

    chunks = table_of(chunks_folder, tmp_path, teacher.codec)
    encode = encoded._encode
    monkeypatch.setattr(encoded, "_encode", lambda *given: Memory(1e6 * encode(*given).states_BTD))
    material = ChunkMaterial(chunks, teacher.codec, teacher.window)
    with pytest.raises(K2DError, match=r"distill.encoded_precision: found fp16, .* fp16 ends at 65504; set fp32"):
        encoded.open_encoded(material, teacher, tmp_path / "e", made_from={}, batch_size=3, precision="fp16")


def test_with_token_noise_the_student_reads_other_words_and_learns_the_label(
    teacher, chunks_folder, tmp_path, monkeypatch
):
    """All words are replaced. Prompt, times and targets stay, and the teacher reads the original words."""
    from k2d.objectives.objective import Objective
    from k2d.train.batches import IGNORED, TrainingProcess
    from k2d.train.chunk_batches import ChunkBatches, ChunkMaterial, Labelling
    from k2d.train.distillation import DistillationLoss, TeacherStudent

    chunks = table_of(chunks_folder, tmp_path, teacher.codec)

    def batch_of(noise):
        material = ChunkMaterial(chunks, teacher.codec, teacher.window, Labelling(token_noise=noise))
        (batch,) = ChunkBatches(material, len(chunks), 1, (1, 0), TrainingProcess())[0]
        return batch

    clean, noisy = batch_of(0.0), batch_of(1.0)
    assert clean.clean_inputs_BL is None
    assert (noisy.clean_inputs_BL == clean.inputs_BL).all()
    assert (noisy.targets_BL == clean.targets_BL).all()
    is_other_BL = noisy.inputs_BL != clean.inputs_BL
    assert is_other_BL.any()
    labels = [chunks[number].label for number in range(len(chunks))]
    words = {token for label in labels for token in teacher.codec.ids(label.replace("<", " <"))}
    assert set(noisy.inputs_BL[is_other_BL].tolist()) <= words
    n_prompt = int((clean.targets_BL[0] == IGNORED).int().argmin()) + 1
    assert not is_other_BL[:, :n_prompt].any()

    read = []
    monkeypatch.setattr(
        teacher, "hidden", lambda memory, ids_BL, real=teacher.hidden: (read.append(ids_BL), real(memory, ids_BL))[1]
    )
    student = teacher.with_decoder_layers([0, 2])
    DistillationLoss(TeacherStudent(student, teacher, True), Objective({"ce": 1.0, "kl": 1.0}, 2.0), "token_mean").sums(
        noisy
    )
    (ids_BL,) = read
    assert (ids_BL == clean.inputs_BL).all()


def test_processes_that_start_together_encode_the_chunks_once(teacher, chunks_folder, tmp_path, monkeypatch):
    from built_together import opened_together

    from k2d.train import encoded
    from k2d.train.chunk_batches import ChunkMaterial

    material = ChunkMaterial(table_of(chunks_folder, tmp_path, teacher.codec), teacher.codec, teacher.window)

    def open_encoded():
        return encoded.open_encoded(material, teacher, tmp_path / "encoded", made_from={}, batch_size=3)

    (first, second), n_made = opened_together(encoded, open_encoded, monkeypatch)
    assert n_made == 1
    for chunk in map(material.chunks.__getitem__, range(len(material.chunks))):
        assert np.array_equal(first.states(chunk), second.states(chunk))
        assert np.array_equal(first.hidden(chunk), second.hidden(chunk))
