"""The data of stage 10: the chunks of a student's batches, their form, and the work to prepare them."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from made_audio import speechlike, write_audio
from made_chunks import Wanted, draw_chunks, write_chunks
from models_made import made_codec

from k2d.config import load_config
from k2d.core.errors import K2DError

CONF = """
corpora: {unlabelled: [lab/one, lab/two]}
distill: {training: {batch_size: 8, accumulate: 2}}
"""


class CountingCodec:
    """Wraps a codec and counts the texts that are tokenised."""

    def __init__(self, codec):
        self._codec, self.asked = codec, Counter()

    def __getattr__(self, name):
        return getattr(self._codec, name)

    def ids(self, text):
        self.asked[text] += 1
        return self._codec.ids(text)

    def label(self, timed_text, request, previous_text=""):
        self.asked[timed_text] += 1
        return self._codec.label(timed_text, request, previous_text)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("audio")
    for n in range(4):
        write_audio(root / f"r{n}.wav", speechlike(90.0, seed=n))
    return [{f"r{n}": str(root / f"r{n}.wav") for n in numbers} for numbers in ((0, 1), (2, 3))]


def lesson_of(tmp_path, folders, student, *settings, held_out=(), weighed_by=None):
    """The result of `_from_chunks` for two splits, as in a training."""
    from k2d.fitting.student_or_control import KeptData, _from_chunks
    from k2d.pipeline.runner import make_job

    (tmp_path / "x.yaml").write_text(CONF, encoding="utf-8")
    job = make_job(load_config(tmp_path / "x.yaml", [f"exp={tmp_path / 'exp'}", *settings]))
    kept = job.layout.exp / "select" / "all" / "kept" / "lab"
    paths = {f"lab/{name}": kept / name for name in ("one", "two")}
    for path, chunks in zip(paths.values(), folders, strict=True):
        if not path.exists():
            write_chunks(path, chunks)
    pair = SimpleNamespace(student=student, teacher=student)
    held_out_of = dict.fromkeys(paths, frozenset(held_out))
    return _from_chunks(pair, None, 3, KeptData(paths, weighed_by), held_out_of, job)


def mini_student(max_tokens=60):
    codec = CountingCodec(made_codec())
    return SimpleNamespace(codec=codec, window=made_codec().layout.window, max_tokens=max_tokens)


def whisper_student():
    from whisper_made import TINY

    from k2d.models.whisper.codec import WINDOW, WhisperCodec

    return SimpleNamespace(codec=WhisperCodec(TINY), window=WINDOW, max_tokens=60)


def rows_of(batch):
    """The samples of a batch without padding. Checks that the rest is padding."""
    for n, key in enumerate(batch.ids):
        inputs, targets = batch.inputs_BL[n].tolist(), batch.targets_BL[n].tolist()
        n_text = int(batch.n_text_B[n])
        assert not batch.text_BC[n, n_text:].any()
        clean = None if batch.clean_inputs_BL is None else batch.clean_inputs_BL[n].tolist()
        yield key, inputs, targets, batch.text_BC[n, :n_text].tolist(), clean, batch.speech_BN[n].numpy()


def assert_shown(found, wanted, window):
    key, inputs, targets, text, clean, speech = found
    chunk = wanted["chunk"]
    assert key == chunk.id
    for ids, expected, filling in ((inputs, wanted["inputs"], 0), (targets, wanted["targets"], -100)):
        assert ids == expected + [filling] * (len(ids) - len(expected)), key
    assert text == wanted["text"], key
    assert clean is None if wanted["clean"] is None else clean[: len(inputs)][: len(wanted["clean"])] == wanted["clean"]
    import soundfile

    first, last = round(chunk.start_s * 16_000), round(chunk.end_s * 16_000)
    samples, _ = soundfile.read(chunk.audio, start=first, stop=last, dtype="float32")
    assert np.array_equal(speech, np.pad(samples, (0, window.n_samples - len(samples)))), key


@pytest.mark.parametrize(
    ("student", "settings", "how"),
    [
        (mini_student, [], {"languages": ("zho",)}),
        (
            mini_student,
            ["distill.timestamps_probability=0.5", "distill.previous_text_probability=0.6", "distill.token_noise=0.3"],
            {
                "languages": ("zho",),
                "timestamps_probability": 0.5,
                "previous_text_probability": 0.6,
                "token_noise": 0.3,
            },
        ),
        (
            whisper_student,
            ["teacher.family=whisper", "distill.timestamps_probability=0.5", "distill.previous_text_probability=0.5"],
            {"timestamps_probability": 0.5, "previous_text_probability": 0.5},
        ),
    ],
    ids=["plain", "everything drawn", "language guessed"],
)
@pytest.mark.slow
def test_batches_equal_a_plain_computation(tmp_path, recordings, student, settings, how):
    """Order, random choices, labels and targets of two epochs and two processes, compared with a simple computation."""
    from k2d.train.batches import TrainingProcess

    made, guessed = student(), () if "languages" in how else ("zh", "en")
    folders = [draw_chunks(of, 11, seed, guessed) for seed, of in enumerate(recordings)]
    words = [f"teacher.language=[{','.join(how['languages'])}]"] if "languages" in how else []
    lesson = lesson_of(tmp_path, folders, made, *settings, *words, held_out={"r1"})
    wanted = Wanted(folders, {"r1"}, getattr(made.codec, "_codec", made.codec), 60, 8, **how)
    assert 10 < len(wanted.learnt()) < 33 - 3, "some are too long"
    assert (lesson.counts.n_in, lesson.counts.kept) == (44, len(wanted.learnt()))
    assert lesson.counts.dropped == {"held_out": 11, "label_too_long": 33 - len(wanted.learnt())}
    shares = [lesson.batches(TrainingProcess(rank, 2), 0) for rank in range(2)]
    n_with_previous = 0
    for step in range(2 * (len(wanted.learnt()) // 8)):
        expected = wanted.batch(3, step)
        for rank, batches in enumerate(shares):
            parts = batches[step]
            assert [len(part.ids) for part in parts] == [2, 2]
            found = [row for part in parts for row in rows_of(part)]
            for row, sample in zip(found, expected[rank::2], strict=True):
                assert_shown(row, sample, made.window)
                n_with_previous += sample["targets"][:6] == [-100] * 6
    assert n_with_previous or not how.get("previous_text_probability")


@pytest.mark.slow
def test_a_label_is_tokenised_once_for_all_processes_and_epochs(tmp_path, recordings):
    """Once with its times, and once as plain text, which can have other ids."""
    from k2d.train.batches import TrainingProcess

    folders = [draw_chunks(of, 11, seed) for seed, of in enumerate(recordings)]
    student = mini_student()
    settings = ["teacher.language=[zho]", "distill.timestamps_probability=0.5"]
    lesson = lesson_of(tmp_path, folders, student, *settings, held_out={"r1"})
    other_rank = lesson_of(tmp_path, folders, student, *settings, held_out={"r1"})
    for share, each in ((TrainingProcess(0, 2), lesson), (TrainingProcess(1, 2), other_rank)):
        batches = each.batches(share, 0)
        for step in range(10):
            batches[step]
    chunks = [chunk for made in folders for chunk in made if chunk.recording != "r1"]
    n_times_each = Counter(chunk.label for chunk in chunks)
    assert {text: n for text, n in student.codec.asked.items() if "<" in text} == n_times_each
    assert student.codec.asked.total() <= 2 * len(chunks)


@pytest.mark.slow
def test_the_number_of_loader_processes_changes_no_result(tmp_path):
    """The setting reaches the training, and no stage is outdated by it."""
    from k2d.core.layout import PROJECT_ROOT
    from k2d.fitting.new_model import setting_of
    from k2d.pipeline.runner import make_job
    from k2d.stages import auxiliary, distill, init_student, teacher

    few, many = (make_job(load_config(PROJECT_ROOT / "conf" / "smoke.yaml", [f"loader_processes={n}"])) for n in (1, 6))
    assert [setting_of(tmp_path, 1, job).n_workers for job in (few, many)] == [1, 6]
    assert load_config(PROJECT_ROOT / "conf" / "smoke.yaml").loader_processes == 1
    for stage in (teacher, auxiliary, init_student, distill):
        asked_for = [[(unit.output, unit.settings, unit.inputs) for unit in stage.units(job)] for job in (few, many)]
        assert asked_for[0] == asked_for[1] != []


@pytest.mark.slow
def test_a_training_without_chunks_is_refused_with_a_remedy(tmp_path, recordings):
    folders = [draw_chunks(of, 3, seed) for seed, of in enumerate(recordings)]
    with pytest.raises(K2DError, match=r"found no chunk for training besides held-out ones; keep more of them"):
        lesson_of(tmp_path, folders, mini_student(), "teacher.language=[zho]", held_out={"r0", "r1", "r2", "r3"})
    with pytest.raises(K2DError, match=r"every label of 12 chunks is longer than the decoder's 8 tokens"):
        lesson_of(tmp_path, folders, mini_student(8), "teacher.language=[zho]")


def decisions_on(path, folders, distance_of):
    """A decisions.tsv of all chunks of both splits, and a dropped chunk before each."""
    rows = []
    for name, chunks in zip(("one", "two"), folders, strict=True):
        for key in sorted(chunk.id for chunk in chunks):
            rows += [
                f"lab/{name}/{key}-0\tdropped\tdistance\t0.9000",
                f"lab/{name}/{key}\tkept\t\t{distance_of(key):.4f}",
            ]
    path.write_text("\n".join(["id\tdecision\treason\tdistance", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_the_loss_of_a_chunk_has_the_weight_that_its_distance_gives(recordings, tmp_path):
    folders = [draw_chunks(audio, 5, seed=n) for n, audio in enumerate(recordings)]
    ids = sorted(chunk.id for chunks in folders for chunk in chunks)
    distance_of = {key: number / len(ids) for number, key in enumerate(ids)}
    table = decisions_on(tmp_path / "decisions.tsv", folders, distance_of.get)
    student = mini_student(max_tokens=400)
    lesson = lesson_of(tmp_path, folders, student, held_out=("r1",), weighed_by=table)
    weight_of = {}
    batches = lesson.batches(process(), 0)
    for step in range(8):
        for batch in batches[step]:
            weight_of |= dict(zip(batch.ids, batch.weights_B.tolist(), strict=True))
    assert {key[:2] for key in weight_of} == {"r0", "r2", "r3"}
    mean = np.mean([1 - distance_of[key] for key in weight_of])
    assert weight_of == pytest.approx({key: (1 - distance_of[key]) / mean for key in weight_of}, abs=1e-3)


def test_a_chunk_without_a_decision_and_weights_of_nothing_but_zero_are_refused(recordings, tmp_path):
    folders = [draw_chunks(audio, 2, seed=n) for n, audio in enumerate(recordings)]
    student, table = mini_student(max_tokens=400), tmp_path / "decisions.tsv"
    decisions_on(table, folders, lambda key: 1.0)
    with pytest.raises(K2DError, match="have a distance of 1, so all of their weights are 0"):
        lesson_of(tmp_path, folders, student, weighed_by=table)
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(K2DError, match=r"found no decision on the chunk .* run stage 8"):
        lesson_of(tmp_path, folders, student, weighed_by=table)


def process():
    from k2d.train.batches import TrainingProcess

    return TrainingProcess()
