"""Estimated label errors: their calibration, the decisions, and the stage that keeps chunks by them."""

import json

import numpy as np
import pytest
from studied_chunks import CONF, chunk, settings, two_witnesses, write_split

from k2d.config import load_config
from k2d.core.errors import K2DError, UsageError
from k2d.pipeline.runner import make_job
from k2d.select.chunk_row import ChunkRow, PairDistances
from k2d.stages import select
from k2d.study.estimating import decisions_by_estimate, demand_labelled, estimated_errors
from k2d.study.facts import facts_of, true_shares


def test_estimates_that_are_fitted_on_some_recordings_are_right_on_others():
    """Among labels with an estimate between 0.2 and 0.3, about a quarter of the words is wrong."""
    chunks = two_witnesses(n_recordings=60)
    labelled, others = chunks[:800], chunks[800:]
    found = np.array([error for _, error in estimated_errors(others, labelled)])
    shares, _ = true_shares(others)
    assert [key for key, _ in estimated_errors(others, labelled)] == [each.id for each in others]
    for low in (0.1, 0.2, 0.3):
        is_here = (found >= low) & (found < low + 0.1)
        assert is_here.sum() > 50
        assert shares[is_here].mean() == pytest.approx(low + 0.05, abs=0.05)


def test_without_truth_the_estimates_are_closer_to_it_than_the_distances_are():
    chunks = two_witnesses(n_recordings=30)
    found = np.array([error for _, error in estimated_errors(chunks, [])])
    shares, _ = true_shares(chunks)
    distances = facts_of(chunks)["per:base"]
    assert np.corrcoef(found, shares)[0, 1] > np.corrcoef(distances, shares)[0, 1] + 0.05


def row(key, n_tokens):
    return ChunkRow(key, "r1", 9.0, PairDistances(False, False, n_tokens, 5, {}))


def test_a_label_is_kept_up_to_the_limit_and_an_empty_one_has_no_estimate():
    rows = [row("lab/x/a", 5), row("lab/x/b", 0), row("lab/x/c", 5), row("lab/x/d", 5)]
    estimates = iter([("lab/x/a", 0.2), ("lab/x/c", 0.200049), ("lab/x/d", 0.20006)])
    found = list(decisions_by_estimate(rows, estimates, 0.2))
    assert [each.reason for each in found] == ["", "empty_teacher", "", "estimated_error"]
    assert [each.distance for each in found] == [0.2, 1.0, 0.2, 0.2001]


def test_labels_that_teach_nothing_are_refused():
    with pytest.raises(K2DError, match=r"select\.fit: lab/dev: no chunk has a word"):
        demand_labelled([], ["lab/dev"])
    with pytest.raises(K2DError, match=r"all 2 labels have the same error \(30%\)"):
        demand_labelled([chunk(3, 0.1), chunk(3, 0.2)], ["lab/dev"])


ESTIMATING = """
  fit: [lab/dev]
  max_error: 0.25
  methods: {sure: {rule: estimated_error}, surer: {rule: estimated_error, alpha: 0.05}}
"""


@pytest.fixture
def job(tmp_path):
    """Lectures of five chunks, of whose ten words 0, 0, 1, 2 and 6 are wrong, and others like them with truth."""
    conf = CONF.replace("[lab/lectures]", "[lab/lectures, lab/dev]")
    start = conf.index("select:")
    end = conf.index("score:")
    (tmp_path / "x.yaml").write_text(conf[:start] + "select:" + ESTIMATING + conf[end:])
    write_split(tmp_path, "lab/dev", ("p", "q"))
    write_split(tmp_path, "lab/lectures", tuple("abcdefgh"))
    _, _, *places = settings(tmp_path)
    return make_job(load_config(tmp_path / "x.yaml", places))


def test_the_stage_keeps_labels_whose_estimated_error_is_small(job, tmp_path):
    units = {unit.output.name: unit for unit in select.units(job)}
    folder = tmp_path / "made"
    folder.mkdir()
    counts = select.make(units["sure"], job, folder)
    lines = (folder / "decisions.tsv").read_text().splitlines()[1:]
    decisions = {key: (decision, reason) for key, decision, reason, _ in (line.split("\t") for line in lines)}
    assert len(decisions) == 50
    for key, (decision, reason) in decisions.items():
        assert (decision, reason) == (("dropped", "estimated_error") if key.endswith("-4") else ("kept", ""))
    assert counts.kept == 40
    record = json.loads((folder / "record.json").read_text())
    assert (record["rule"], record["alpha"], record["fit"]) == ("estimated_error", 0.25, ["lab/dev"])
    assert record["signature"].startswith("k2d-estimate:1|fit:lab/dev|of:base|")


def test_the_truth_of_the_fitted_split_alone_is_an_input(job):
    (sure,) = (unit for unit in select.units(job) if unit.output.name == "sure")
    assert {path.parent.name for path in sure.inputs if path.parent.name.endswith("_truth")} == {"dev_truth"}


def test_a_split_to_fit_on_must_have_labels(tmp_path, job):
    _, _, *places = settings(tmp_path)
    with pytest.raises(UsageError, match=r'select\.fit: found "lab/other", expected one of corpora\.unlabelled'):
        load_config(tmp_path / "x.yaml", [*places, "select.fit=[lab/other]"])
