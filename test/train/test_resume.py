"""A killed training is continued exactly: losses and weights are bit-identical."""

import json
import signal

import pytest
from forked import started

from k2d.config.training import Training
from k2d.core.errors import K2DError

pytestmark = pytest.mark.slow


def exit_code(folder, n_workers=0, **environment):
    """Train in a process of its own, and return how that ended."""
    process = started("train_fake:main", folder, n_workers, output=folder / "output", **environment)
    process.join(600)
    return process.exitcode


def finish(folder, n_workers=0):
    """Train to the end in this process. The killed and terminated processes are others."""
    import train_fake

    train_fake.main(folder, n_workers)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder)
    return folder


def same_result(folder, other):
    import torch

    assert (folder / "curves.csv").read_bytes() == (other / "curves.csv").read_bytes()
    one, two = (torch.load(f / "final.pt", weights_only=True) for f in (folder, other))
    assert all(one[name].equal(two[name]) for name in one)


@pytest.mark.parametrize(("stop_at", "saved_at", "n_workers"), [(5, 3, 0), (11, 8, 0), (19, 17, 2)])
def test_a_killed_training_is_continued_exactly(undisturbed, tmp_path, stop_at, saved_at, n_workers):
    """From the last of its checkpoints: after each third step of a phase, and at its end."""
    assert exit_code(tmp_path, n_workers, STOP_AT=str(stop_at), STOP_BY="KILL") == -signal.SIGKILL
    assert not (tmp_path / "training.json").exists()
    finish(tmp_path, n_workers)
    same_result(undisturbed, tmp_path)
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["resumed_after"] == [saved_at]


@pytest.mark.parametrize(("name", "n_workers"), [("TERM", 2), ("USR1", 0), ("INT", 0)])
def test_a_terminated_training_saves_first_and_loses_no_step(undisturbed, tmp_path, name, n_workers):
    assert exit_code(tmp_path, n_workers, STOP_AT="13", STOP_BY=name) == 128 + getattr(signal, f"SIG{name}")
    assert (tmp_path / "checkpoints" / "step-00000013.json").exists()
    finish(tmp_path)
    same_result(undisturbed, tmp_path)
    assert json.loads((tmp_path / "training.json").read_text())["resumed_after"] == [13]


def test_a_damaged_last_checkpoint_costs_only_the_steps_since_the_one_before(undisturbed, tmp_path):
    assert exit_code(tmp_path, STOP_AT="11", STOP_BY="KILL") == -signal.SIGKILL
    last = max((tmp_path / "checkpoints").glob("*.pt"))
    last.write_bytes(last.read_bytes()[:-7])
    finish(tmp_path)
    same_result(undisturbed, tmp_path)


def test_a_finished_training_is_not_done_again(undisturbed, tmp_path, fake):
    before = (undisturbed / "curves.csv").read_bytes()
    code = exit_code(undisturbed, STOP_AT="1", STOP_BY="KILL")  # the first step would be its last
    assert code == 0, (undisturbed / "output").read_text()
    assert (undisturbed / "curves.csv").read_bytes() == before
    record = json.loads((undisturbed / "training.json").read_text())
    assert record["phases"]["all"]["steps"] == 12


def test_other_settings_are_refused_and_named(undisturbed, fake):
    from k2d.train.engine import Setting
    from k2d.train.supervised import train_recogniser

    training = Training(phases=fake.PHASES, checkpoint_every_steps=3, weight_decay=0.5)
    message = (
        r"started differently \(setting training.weight_decay: 0.01 -> 0.5\); undo the change .* or remove the folder"
    )
    with pytest.raises(K2DError, match=message):
        train_recogniser(
            fake.FakeRecogniser(seed=5),
            training,
            fake.material(),
            Setting(undisturbed, seed=5),
            recipe=fake.recipe_of(training),
        )
