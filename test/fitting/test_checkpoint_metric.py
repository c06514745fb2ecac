"""The error rate by which checkpoints are compared."""

import json
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.core.layout import PROJECT_ROOT
from k2d.decode.options import Options
from k2d.decode.sources import Source
from k2d.fitting.checkpoint_metric import Held, measure_on, shared_out


@pytest.mark.slow
def test_checkpoints_are_measured_without_a_beam_and_otherwise_as_configured(monkeypatch):
    from k2d.decode import long_recordings

    asked = []

    def decode(recogniser, sources, options, is_loop=None):
        asked.append((recogniser, options))
        return iter(())

    monkeypatch.setattr(long_recordings, "decode_recordings", decode)
    measure = measure_on(Held((), {"a": "你好 hello"}), Options(beam=3, mode="joint", ctc_weight=0.4))
    assert measure("the model") == 1.0  # an empty hypothesis: all tokens are missing
    assert asked == [("the model", Options(beam=1, mode="joint", ctc_weight=0.4))]


@given(
    st.dictionaries(st.integers(0, 99), st.none() | st.floats(0.5, 9000), max_size=30),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_each_recording_is_in_one_share_and_shares_have_similar_lengths(lengths, n_shares, rng):
    sources = [Source(f"r{number}", "", length) for number, length in lengths.items()]
    texts = {source.id: "so" for source in sources if int(source.id[1:]) % 3} | {"none": "without a recording"}
    parts = shared_out(Held(sources, texts), n_shares)
    assert len(parts) == n_shares
    assert sorted(source.id for part in parts for source in part.sources) == sorted(s.id for s in sources)
    assert sorted(key for part in parts for key in part.texts) == sorted(texts)
    assert all({*part.texts} <= {"none", *(source.id for source in part.sources)} for part in parts)
    if None not in lengths.values() and lengths:
        loads = [sum(source.duration_s for source in part.sources) for part in parts]
        assert max(loads) - min(loads) <= max(lengths.values()) + 1e-6
    rng.shuffle(sources)
    again = shared_out(Held(sources, texts), n_shares)
    assert [[s.id for s in part.sources] for part in again] == [[s.id for s in part.sources] for part in parts]


@pytest.mark.slow
def test_processes_share_the_recordings_and_get_one_figure(tmp_path, warm_python):
    """Each recording is decoded in one process, and all processes get the result of a single process."""
    import measure_two

    measure_two.main(tmp_path, "alone", "1")
    support = PROJECT_ROOT / "test" / "support"
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT_ROOT}:{support}", "OMP_NUM_THREADS": "1"}
    words = [warm_python, str(support / "measure_two.py"), str(tmp_path)]
    running = [subprocess.Popen([*words, rank, "2"], env=environment) for rank in ("0", "1")]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    alone, *both = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("alone", "0", "1"))
    assert 0 < alone["figure"] < 1
    assert [found["figure"] for found in both] == [alone["figure"]] * 2
    assert sorted(both[0]["decoded"] + both[1]["decoded"]) == sorted(alone["decoded"])
    assert abs(len(both[0]["decoded"]) - len(both[1]["decoded"])) <= 1
