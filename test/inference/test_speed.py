"""The comparison of speed on a test set, if it cannot be run."""

from pathlib import Path

import pytest
import torch

from k2d.config import load_config
from k2d.core.errors import K2DError
from k2d.inference import worker
from k2d.inference.decode_job import DecodeJob, Item
from k2d.inference.speed import make_speed, speed_unit
from k2d.inference.tasks import SpeedTask, WorkerDevice
from k2d.pipeline.runner import make_job

WORK = DecodeJob(Path("models/teacher"), "espnet_s2t", ("zho",), {"batch_size": 4}, "fp32", None)


def test_models_that_do_not_fit_into_memory_together_are_reported(monkeypatch, tmp_path):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(worker, "_timed_by", full)
    speed = SpeedTask({"teacher": WORK, "all-s1": WORK}, (Item("a", "a.wav", 0.0, 1.0, 1.0),), 1, 5, 1, tmp_path)
    with pytest.raises(K2DError, match=r"2 models, .* do not fit into the memory of cuda:1; .*score\.speed_runs=0"):
        worker.carry_out((WorkerDevice("cuda:1", 1), speed))


def test_a_set_of_unknown_length_is_counted_and_not_timed(tmp_path):
    data = tmp_path / "data" / "lab" / "test"
    data.mkdir(parents=True)
    (data / "wav.scp").write_text("a a.wav\n")
    (tmp_path / "x.yaml").write_text("{}\n")
    job = make_job(load_config(tmp_path / "x.yaml", [f"exp={tmp_path / 'exp'}", f"data={tmp_path / 'data'}"]))
    counts = make_speed(speed_unit({"teacher": WORK}, "lab/test", job).content, job, tmp_path)
    assert (counts.n_in, counts.kept, counts.dropped) == (1, 0, {"no_durations": 1})
    assert not (tmp_path / "speed.json").exists()
