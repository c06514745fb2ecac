"""Checkpoints: complete or absent, the right ones are kept, and the previous one is used if the last is damaged."""

import json
import shutil

import pytest

from k2d.core.errors import K2DError

pytestmark = pytest.mark.slow


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def store(tmp_path, torch):
    from k2d.train.checkpoints import Checkpoints

    return Checkpoints(tmp_path / "checkpoints", kept_best=2)


@pytest.fixture
def save(store, torch):
    def save(step, error_rate=None, phase="all"):
        store.save({"weight": torch.full((100,), float(step))}, step=step, phase=phase, error_rate=error_rate)

    return save


def steps(store):
    return [seal.step for seal in store.seals()]


def test_the_last_two_and_the_best_are_kept(store, save, tmp_path):
    for step, error_rate in enumerate([0.5, 0.2, None, 0.3, 0.9, None], start=1):
        save(step, error_rate)
    assert steps(store) == [2, 4, 5, 6]
    assert [seal.step for seal in store.best("all")] == [2, 4]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 8  # a seal each, and nothing else


def test_the_best_checkpoints_of_an_earlier_phase_are_removed(store, save):
    for step in (1, 2, 3):
        save(step, 0.1, phase="first")
    for step in (4, 5, 6):
        save(step, 0.9, phase="second")
    assert steps(store) == [5, 6]


def test_of_equal_checkpoints_the_later_one_is_better(store, save):
    for step in (1, 2, 3):
        save(step, 0.2)
    assert [seal.step for seal in store.best("all")] == [3, 2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(bytes(len(path.read_bytes()))),  # the result of a power cut
        lambda path: path.unlink(),
    ],
)
def test_a_damaged_checkpoint_is_reported_and_the_previous_one_is_used(store, save, tmp_path, damage, caplog):
    save(1)
    save(2)
    damage(tmp_path / "checkpoints" / "step-00000002.pt")
    assert store.latest()["weight"][0] == 1
    assert "step-00000002.pt: the checkpoint is" in caplog.text
    assert caplog.text.strip().endswith("the checkpoint before it is used")


def test_a_truncated_seal_is_ignored(store, save, tmp_path, caplog):
    save(1)
    save(2)
    (tmp_path / "checkpoints" / "step-00000002.json").write_text('{"step": 2, "ph')
    assert store.latest()["weight"][0] == 1
    assert "not the seal of a checkpoint" in caplog.text


def test_if_all_checkpoints_are_damaged_it_is_reported(store, save, tmp_path):
    save(1)
    (tmp_path / "checkpoints" / "step-00000001.pt").write_bytes(b"")
    with pytest.raises(K2DError, match="no checkpoint can be read; remove the folder to train again"):
        store.latest()


def test_no_checkpoint_is_no_error(store):
    assert store.latest() is None


def test_an_interrupted_write_keeps_the_old_checkpoints(store, save, tmp_path, torch, monkeypatch):
    save(1)
    written = torch.save

    def dies(state, file):
        written(state, file)
        file.truncate(50)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(OSError, match="No space left"):
        save(2)
    monkeypatch.undo()
    assert store.latest()["weight"][0] == 1
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000001.json",
        "step-00000001.pt",
    ]


def test_a_checkpoint_without_its_seal_was_never_finished(store, save, tmp_path):
    save(1)
    folder = tmp_path / "checkpoints"
    shutil.copy(folder / "step-00000001.pt", folder / "step-00000009.pt")  # killed between the two
    (folder / ".step-00000009.pt.123.partial").write_bytes(b"half")
    assert store.latest()["weight"][0] == 1
    save(2)
    assert not list(folder.glob("*00000009*")) + list(folder.glob(".*"))


def test_a_full_disk_is_reported_before_anything_is_written(store, save, monkeypatch, tmp_path):
    usage = type("Usage", (), {"free": 700})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(K2DError, match=r"0 MB free, 0 MB needed for a checkpoint; free some space and run"):
        save(1)  # 400 bytes of weights, twice
    assert not list((tmp_path / "checkpoints").iterdir())
    usage.free = 800
    save(1)


def test_nothing_but_numbers_is_ever_loaded(store, save, tmp_path, torch):
    """A checkpoint that would run code is refused, even with the right checksum."""
    from k2d.train.checkpoints import _sha256

    save(1)
    path = tmp_path / "checkpoints" / "step-00000001.pt"
    torch.save({"weight": Harmful()}, path)
    seal = path.with_suffix(".json")
    seal.write_text(json.dumps({**json.loads(seal.read_text()), "sha256": _sha256(path)}))
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        store.latest()


class Harmful:
    def __reduce__(self):
        return print, ("this must not be printed",)
