"""Chunks in which nobody speaks: how they are cut, their share of each batch, and their part of a student's loss."""

import numpy as np
import pytest
from made_audio import speechlike, write_audio
from models_made import made_recogniser

from k2d.core.errors import K2DError
from k2d.data.nonspeech_chunks import write_nonspeech_chunks

WINDOW_S = 10.0


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Four labelled chunks of a recording, and the chunks of two recordings of noise: of 23 s and of 10.5 s."""
    root = tmp_path_factory.mktemp("data")
    write_audio(root / "talk.wav", speechlike(40.0))
    times = {"a": (0.0, 9.0), "b": (10.0, 15.0), "c": (20.0, 28.0), "d": (30.0, 36.0)}
    texts = {"a": "我們 today", "b": "hello", "c": "你好", "d": "so"}
    write_tables(
        root / "spoken",
        {
            "wav.scp": [f"talk {root / 'talk.wav'}"],
            "segments": [f"talk-{key} talk {start} {end}" for key, (start, end) in times.items()],
            "text": [f"talk-{key} <0.00>{text}<4.00>" for key, text in texts.items()],
            "utt2spk": [f"talk-{key} talk" for key in times],
            "spk2utt": [f"talk {' '.join(f'talk-{key}' for key in times)}"],
        },
    )
    rng = np.random.default_rng(0)
    for key, length_s in (("hiss", 10.5), ("hum", 23.0)):
        write_audio(root / f"{key}.wav", 0.02 * rng.standard_normal(round(16_000 * length_s)).astype(np.float32))
    names = ("hiss", "hum")
    write_tables(
        root / "noise",
        {
            "wav.scp": [f"{key} {root / key}.wav" for key in names],
            "utt2spk": [f"{key} {key}" for key in names],
            "spk2utt": [f"{key} {key}" for key in names],
        },
    )
    (root / "silent").mkdir()
    counted = write_nonspeech_chunks(root / "noise", WINDOW_S, root / "silent")
    assert counted == (5, 4), "the rest of hiss lasts half a second"
    return root / "spoken", root / "silent"


def write_tables(folder, tables):
    folder.mkdir()
    for name, lines in tables.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    return made_recogniser(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def tables(folders, teacher, tmp_path_factory):
    from k2d.train.chunk_writing import TableRequest, open_chunks

    cache = tmp_path_factory.mktemp("tables")
    return [open_chunks(TableRequest({each: ()}, teacher.codec, 200), cache / each.name) for each in folders]


def batches_of(tables, teacher, batch_size, *, rank=0, world=1, accumulate=1, **more):
    from k2d.train.batches import TrainingProcess
    from k2d.train.chunk_batches import ChunkBatches, ChunkMaterial, Nonspeech

    spoken, silent = tables
    material = ChunkMaterial(spoken, teacher.codec, teacher.window, nonspeech=Nonspeech(silent, 2), **more)
    return ChunkBatches(material, batch_size, accumulate, (1, 0), TrainingProcess(rank, world))


def test_windows_are_written_as_a_data_directory_that_says_nothing(folders):
    texts = (folders[1] / "text").read_text(encoding="utf-8").splitlines()
    assert texts == [
        "hiss-0000000-0001000 <0.00>",
        "hum-0000000-0001000 <0.00>",
        "hum-0001000-0002000 <0.00>",
        "hum-0002000-0002300 <0.00>",
    ]
    assert (folders[1] / "segments").read_text().splitlines()[-1].split()[1:] == ["hum", "20.0", "23.0"]


def test_speech_is_refused_and_so_is_a_split_without_a_second_of_audio(tmp_path):
    write_audio(tmp_path / "a.wav", np.zeros(8_000, np.float32))
    names = {"wav.scp": [f"a {tmp_path / 'a.wav'}"], "utt2spk": ["a a"], "spk2utt": ["a a"]}
    write_tables(tmp_path / "short", {**names, "text": ["a"]})
    write_tables(tmp_path / "spoken", {**names, "text": ["a 我們 today"]})
    for name, message in (("short", "no recording of a second or more"), ("spoken", "'a' has words ('我們 today')")):
        (tmp_path / f"{name}-out").mkdir()
        with pytest.raises(K2DError) as caught:
            write_nonspeech_chunks(tmp_path / name, WINDOW_S, tmp_path / f"{name}-out")
        assert message in str(caught.value)


@pytest.mark.slow
def test_each_batch_has_its_share_of_silence_and_every_chunk_has_its_turn(tables, teacher):
    from k2d.train.batches import IGNORED

    batches = batches_of(tables, teacher, 5)
    seen = {"talk": set(), "noise": set()}
    for step in range(8):
        (batch,) = batches[step]
        assert batch.is_taught_B.tolist() == [True, True, True, False, False]
        for place, key in enumerate(batch.ids):
            seen["talk" if key.startswith("talk-") else "noise"].add(key)
            assert key.startswith("talk-") == bool(batch.is_taught_B[place])
        targets = [token for token in batch.targets_BL[-1].tolist() if token != IGNORED]
        assert targets == [*teacher.codec.ids("<0.00>"), teacher.codec.eos_id]
        assert batch.n_text_B.tolist()[-2:] == [0, 0]
    assert (len(seen["talk"]), len(seen["noise"])) == (4, 4)


@pytest.mark.slow
def test_without_timestamps_the_text_ends_at_once_and_a_chunk_has_the_mean_weight(tables, teacher):
    from k2d.train.batches import IGNORED
    from k2d.train.chunk_batches import Labelling

    weights_N = np.array([0.5, 1.5, 0.8, 1.2], np.float32)
    more = {"labelling": Labelling(timestamps_probability=0.0), "weights_N": weights_N}
    (batch,) = batches_of(tables, teacher, 6, **more)[0]
    targets = [token for token in batch.targets_BL[-1].tolist() if token != IGNORED]
    assert targets == [teacher.codec.eos_id]
    by_id = {f"talk-{key}": weight for key, weight in zip("abcd", weights_N.tolist(), strict=True)}
    assert batch.weights_B.tolist() == [by_id.get(key, 1.0) for key in batch.ids]


@pytest.mark.slow
def test_processes_and_passes_share_a_batch_with_silence(tables, teacher):
    (whole,) = batches_of(tables, teacher, 5)[3]
    shares = [batches_of(tables, teacher, 5, rank=rank, world=2, accumulate=2)[3] for rank in range(2)]
    parts = [part for share in shares for part in share]
    assert sorted(key for part in parts for key in part.ids) == sorted(whole.ids)
    taught = dict(zip(whole.ids, whole.is_taught_B.tolist(), strict=True))
    assert all(part.is_taught_B.tolist() == [taught[key] for key in part.ids] for part in parts)


@pytest.mark.slow
def test_the_teacher_teaches_nothing_where_nobody_speaks(tables, teacher):
    """The label counts everywhere, the teacher's distribution only on speech. CTC learns blanks."""
    from k2d.objectives.objective import Objective
    from k2d.train.batches import singles
    from k2d.train.distillation import DistillationLoss, TeacherStudent

    (batch,) = batches_of(tables, teacher, 5)[0]
    weights = {"ce": 0.8, "kl": 1.0, "hidden_mse": 0.1, "ctc": 0.1}
    student = teacher.with_decoder_layers([0, 2])
    loss = DistillationLoss(TeacherStudent(student, teacher, True), Objective(weights, 2.0), "token_mean")
    together, alone = loss.sums(batch), singles(batch)
    everywhere = [loss.sums(each._replace(is_taught_B=None)) for each in alone]
    for name in weights:
        counted = everywhere[:3] if name in ("kl", "hidden_mse") else everywhere
        assert together[name].item() == pytest.approx(sum(each[name].item() for each in counted), rel=1e-4)
        assert all(each[name].item() > 0 for each in everywhere), "there is something to leave out"
    n_spoken = sum(loss.counts(each)["ce"] for each in alone[:3])
    assert loss.counts(batch) == {
        "ce": n_spoken + 4,
        "kl": n_spoken,
        "hidden_mse": n_spoken,
        "ctc": int(batch.n_text_B.sum()),
    }
    log_probs_TV = student.ctc_log_probs(student.encode(alone[-1].speech_BN))[0]
    blanks = -log_probs_TV[:, student.ctc_blank_id].sum().item()
    assert everywhere[-1]["ctc"].item() == pytest.approx(blanks, rel=1e-4)


@pytest.mark.slow
def test_kept_outputs_have_the_chunks_without_words(folders, tables, teacher, tmp_path):
    """Stage 10 computes them for both kinds of chunks together."""
    from k2d.train.chunk_batches import ChunkMaterial
    from k2d.train.chunk_writing import TableRequest, open_chunks
    from k2d.train.encoded import open_encoded

    both = open_chunks(TableRequest(dict.fromkeys(folders, ()), teacher.codec, 200), tmp_path / "both")
    material = ChunkMaterial(both, teacher.codec, teacher.window)
    kept = open_encoded(material, teacher, tmp_path / "encoded", made_from={}, batch_size=3)
    (plain,) = batches_of(tables, teacher, 5)[0]
    (batch,) = batches_of(tables, teacher, 5, encoded=kept)[0]
    assert batch.ids == plain.ids
    expected_TD = teacher.encode(plain.speech_BN[-1:]).states_BTD[0]
    assert batch.states_BTD[-1].numpy() == pytest.approx(expected_TD.detach().numpy(), abs=1e-4)
