"""Outputs reused from another experiment do not need it any more, and keep their fingerprints."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from k2d.config import load_config
from k2d.core.layout import Layout
from k2d.core.stamp import Recipe, damaged_files, fingerprint, read_stamp, write_stamp
from k2d.data.audio import read, resolve
from k2d.data.hypotheses import hypothesis_line
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.rows import Hypothesis, Segment
from k2d.pipeline.job import Job, Settings, Unit
from k2d.pipeline.reuse import take_from_other
from k2d.pipeline.runner import make_job, run_stage
from k2d.pipeline.stage_list import BY_VERB
from k2d.pipeline.unit_status import State, state_of

SPLIT = "lab/talks"


class Lab:
    """A recording with three segments of the teacher, for experiments whose chunks have their own audio."""

    def __init__(self, folder):
        self.folder, data = folder, folder / "data" / SPLIT
        data.mkdir(parents=True)
        samples = np.arange(12 * 16_000).astype(np.int16)
        soundfile.write(folder / "r1.wav", samples, 16_000, subtype="PCM_16")
        (data / "wav.scp").write_text(f"r1 {folder / 'r1.wav'}\n")
        (data / "utt2spk").write_text("r1 r1\n")
        (folder / "x.yaml").write_text(f"corpora: {{unlabelled: [{SPLIT}]}}\n")

    def job(self, name, *overrides):
        places = [f"exp={self.folder / 'exp'}", f"data={self.folder / 'data'}", f"name={name}"]
        return make_job(load_config(self.folder / "x.yaml", [*places, "chunk.duration=sum", *overrides]))

    def chunk(self, name, reuse=None):
        """Run stage 6 of an experiment, and return its folder."""
        exp = self.folder / "exp" / name
        pseudo = exp / "pseudo" / SPLIT
        pseudo.mkdir(parents=True)
        segments = (Segment(0.5, 2.0, "我們"), Segment(3.0, 5.5, "so 好"), Segment(6.0, 9.0, "再見"))
        (pseudo / "hyp.jsonl").write_text(hypothesis_line(Hypothesis("r1", 12.0, segments, ())) + "\n")
        (pseudo / "record.json").write_text('{"window_s": 6.0}')
        run_stage(BY_VERB["chunk"], self.job(name, *([f"reuse={self.folder / 'exp' / reuse}"] if reuse else [])))
        return exp / "chunks" / SPLIT

    def state(self, name):
        job = self.job(name)
        (unit,) = BY_VERB["chunk"].load().units(job)
        return state_of(BY_VERB["chunk"], unit, job)


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


def sounds(folder):
    return {row.id: read(resolve(row.audio), row.start_s, row.end_s).tolist() for row in read_utterances(folder)}


@pytest.mark.slow
def test_reused_chunks_keep_their_audio_after_the_other_experiment_is_removed(lab):
    made = lab.chunk("x")
    original = sounds(made)
    assert len(original) == 2
    reused = lab.chunk("y", reuse="x")
    shutil.rmtree(lab.folder / "exp" / "x")
    assert sounds(reused) == original
    assert {row.audio.removeprefix(f"{reused}/audio/").count("/") for row in read_utterances(reused)} == {1}
    assert lab.state("y").is_done
    again = lab.chunk("z", reuse="y")
    shutil.rmtree(lab.folder / "exp" / "y")
    assert sounds(again) == original
    assert lab.state("z").is_done


@pytest.mark.slow
def test_reused_chunks_have_the_fingerprint_of_the_original_ones(lab):
    """Otherwise, outputs that another experiment made from them could not be reused."""
    made, reused = lab.chunk("x"), lab.chunk("y", reuse="x")
    again = lab.chunk("z", reuse="y")
    assert (made / "wav.scp").read_bytes() != (reused / "wav.scp").read_bytes()
    for name in (".", "wav.scp", "text", "audio"):
        assert fingerprint(made / name) == fingerprint(reused / name) == fingerprint(again / name), name
    audio = [path.relative_to(made) for path in made.rglob("*.flac")]
    assert all((made / name).samefile(reused / name) for name in audio), "linked, not copied"


def test_edited_reused_chunks_have_another_fingerprint_and_are_reported(lab):
    made, reused = lab.chunk("x"), lab.chunk("y", reuse="x")
    (reused / "wav.scp").write_text((reused / "wav.scp").read_text().replace(".flac", ".wav"))
    assert fingerprint(reused) != fingerprint(made)
    assert lab.state("y").changes == ("wav.scp was edited",)


def test_the_reused_experiment_is_not_changed(lab):
    made = lab.chunk("x")
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    lab.chunk("y", reuse="x")
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
    assert damaged_files(made, read_stamp(made)) == []


MODEL = """bpemodel: {exp}/models/teacher/bpe.model
normalize_conf:
  stats_file: '{exp}/models/teacher/feats_stats.npz'
token_list:
- {exp}/models/teacher
"""


def test_only_paths_of_the_experiment_are_renamed_in_reused_files(tmp_path):
    """Kept chunks are in deeper folders, a model has paths for ESPnet, and an experiment can have a corpus's name."""
    x, y = tmp_path / "exp" / "x", tmp_path / "exp" / "y"
    kept = f"a {x}/chunks/s/audio/1.flac\n{x}/b {tmp_path}/exp/xy/2.flac\nc {tmp_path}/raw{x}/3.flac\n"
    files = {
        "kept/s/wav.scp": kept,
        "kept/s/text": f"a {x}/is said\n",
        "config.yaml": MODEL.format(exp=x),
        "record.json": json.dumps({"audio": f"{x}/1.flac"}),
    }
    for name, content in files.items():
        (x / "select" / name).parent.mkdir(parents=True, exist_ok=True)
        (x / "select" / name).write_text(content)
    recipe = Recipe("select", 1, {}, {})
    write_stamp(x / "select", recipe, {}, {"at": "then"})
    job = Job(SimpleNamespace(reuse=str(x)), Layout(tmp_path / "data", y))
    assert take_from_other(State(Unit(y / "select", Settings({})), recipe, None, ()), job)
    found = {name: (y / "select" / name).read_text() for name in files}
    expected_model = MODEL.format(exp=x).replace(f"l: {x}", f"l: {y}").replace(f"'{x}", f"'{y}")
    assert found == {
        **files,
        "kept/s/wav.scp": kept.replace(f"a {x}/chunks", f"a {y}/chunks"),
        "config.yaml": expected_model,
    }
    stamp = read_stamp(y / "select")
    assert damaged_files(y / "select", stamp) == []
    assert stamp.made["at"] == "then"
    assert fingerprint(y / "select") == fingerprint(x / "select")
