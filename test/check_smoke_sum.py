"""Checks the results of the smoke run with the paper's chunks. Run this after `./run.sh --conf conf/smoke_sum.yaml`."""

import math

from finished_experiment import FinishedExperiment

from k2d.data.chunk_sources import read_sources
from k2d.fitting.chunk_tables import heldout_of
from k2d.pipeline.runner import make_job

EXPERIMENT = FinishedExperiment("smoke_sum")
SPLIT = "mini/lectures"
CHUNKS = EXPERIMENT.exp / "chunks" / SPLIT


def test_all_stages_are_done():
    assert EXPERIMENT.undone() == []


def test_chunks_of_several_pieces_name_their_sources():
    sources = dict(read_sources(CHUNKS))
    record = EXPERIMENT.read("chunks", SPLIT, "record.json")
    assert len(sources) == record["chunks"]["n"]
    assert any(len(source.ranges) > 1 for source in sources.values())
    hours = sum(source.duration_s for source in sources.values()) / 3600
    assert math.isclose(hours, record["chunks"]["hours"], abs_tol=1e-5)


def test_the_references_of_chunks_are_found():
    """References are found by the recordings of the chunks. Without them, all labels would count as bad."""
    study = EXPERIMENT.read("score", "validator", "base.json")
    assert study["n_chunks"] == EXPERIMENT.read("chunks", SPLIT, "record.json")["chunks"]["n"]
    assert 0 < study["n_bad"] < study["n_chunks"]
    assert study["cost"]["audio_s"] > 0


def test_held_out_chunks_are_not_trained_on():
    """Counted again from the kept chunks and their recordings."""
    (held,) = heldout_of(make_job(EXPERIMENT.config)).values()
    kept = [
        source.recording_id for _, source in read_sources(EXPERIMENT.exp / "select" / "k2d_composite" / "kept" / SPLIT)
    ]
    n_held = sum(recording in held for recording in kept)
    counts = EXPERIMENT.read("models", "k2d_composite-s1", "stamp.json")["counts"]
    assert n_held > 0
    assert counts["dropped"] == {"held_out": n_held}
    assert counts["n_in"] == len(kept) == counts["kept"] + n_held


def test_the_table_has_numbers():
    EXPERIMENT.assert_the_table_has_numbers()
