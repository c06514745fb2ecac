"""The whole study in memory: the reference, intervals, where the combined judge learns, and what is left out."""

import json
import math
from dataclasses import replace

import pytest
from studied_chunks import chunk, two_witnesses

from k2d.report.document import Bullets, Table
from k2d.score.confidence import Draws
from k2d.study.combined import model_inputs
from k2d.study.judge_tables import sections
from k2d.study.judging import Terms, studied
from k2d.study.serialised import as_json, chunk_lines

TERMS = Terms(0.4, "base", 0.3, Draws(resamples=50))


def rows_of(study):
    return {row.judge.name: row for row in study.rows}


def test_the_reference_keeps_what_its_rule_keeps():
    """Three of five chunks, of which one is bad; of the two that are dropped, one is bad."""
    errors, distances = (0, 1, 6, 2, 8), (0.0, 0.1, 0.3, 0.5, 0.9)
    chunks = [chunk(n, far, at=at) for at, (n, far) in enumerate(zip(errors, distances, strict=True))]
    study = studied(chunks, [], TERMS)
    found = rows_of(study)["composite:base"].figures
    assert study.kept_hours == pytest.approx(30 / 3600)
    assert (found.label_error, found.recall, found.precision) == pytest.approx((7 / 30, 0.5, 0.5))
    # Bad: the distances 0.3 and 0.9; good: 0, 0.1 and 0.5. One of six pairs is the wrong way round.
    assert found.area == pytest.approx(5 / 6)


def test_the_bounds_of_all_judges():
    study = studied(two_witnesses(n_recordings=6), [], TERMS)
    rows = rows_of(study)
    total = study.amounts.sum(axis=0)
    mean = total[2] / total[1]
    assert rows["random"].curve == pytest.approx([mean] * 19)
    assert rows["oracle"].figures.area == 1.0
    for row in study.rows:
        assert all(low <= error + 1e-9 for low, error in zip(rows["oracle"].curve, row.curve, strict=True))


def test_intervals_are_over_recordings():
    """Recordings that are all alike leave no doubt, however many draws."""
    same = [chunk(n, n / 10, at=at, recording=f"r{r}") for r in range(4) for at, n in enumerate((0, 2, 5, 9))]
    for row in studied(same, [], TERMS).rows:
        assert row.low == pytest.approx(row.figures, nan_ok=True)
        assert row.high == pytest.approx(row.figures, nan_ok=True)
    study = studied(two_witnesses(n_recordings=6), [], TERMS)
    rows = rows_of(study)
    assert rows["combined"].low.label_error < rows["combined"].figures.label_error < rows["combined"].high.label_error
    reference = rows["composite:base"]
    assert reference.ahead_low == reference.ahead_high == reference.ahead == pytest.approx((0, 0, 0, 0))


def test_the_same_study_has_the_same_figures():
    first, second = (json.dumps(as_json(studied(two_witnesses(4, 10), [], TERMS))) for _ in range(2))
    assert first == second


def test_the_combined_judge_can_learn_from_a_split_of_its_own():
    labelled = [replace(c, id=c.id.replace("lectures", "few")) for c in two_witnesses(3, seed=7)]
    study = studied(two_witnesses(4), labelled, TERMS)
    row = rows_of(study)["combined"]
    assert row.judge.uses == "all of the above, fitted on the truth of lab/few (120 chunks)"
    assert row.figures.area > rows_of(study)["composite:base"].figures.area
    assert study.reliability["combined"].mean_gap < 0.06


def test_with_one_recording_there_is_no_interval_and_no_judge_that_learns_from_others():
    study = studied(two_witnesses(1), [], TERMS)
    assert "combined" not in rows_of(study)
    assert study.fitted is None
    assert all(row.low is None for row in study.rows)
    (bullets,) = [block for block in next(sections(study)).blocks if isinstance(block, Bullets)]
    assert any(line.startswith("The judge combined is left out") for line in bullets.lines)
    json.dumps(as_json(study), allow_nan=False)


def test_facts_that_are_not_stored_are_left_out_and_named():
    chunks = [replace(c, doubt=replace(c.doubt, lowest_logprob=None)) for c in two_witnesses(2, 10)]
    chunks[3] = replace(chunks[3], doubt=replace(chunks[3].doubt, mean_logprob=None))
    study = studied(chunks, [], TERMS)
    assert not {"mean_logprob", "lowest_window"} & set(rows_of(study))
    assert "failed_windows" in rows_of(study)
    assert study.notes == ("Left out, because it is not stored for every chunk: mean_logprob, lowest_window.",)


def test_a_label_without_true_words_counts():
    """It is bad, raises the label error of those who keep it, and breaks no figure."""
    chunks = [chunk(0, 0.0, words=10, at=0), chunk(4, 0.2, words=0, at=1), chunk(9, 0.9, at=2, recording="r2")]
    study = studied(chunks, [], TERMS)
    found = rows_of(study)["composite:base"].figures
    assert (found.label_error, found.recall) == pytest.approx((4 / 10, 0.5))
    assert rows_of(study)["oracle"].figures.area == 1.0


@pytest.mark.slow
def test_labels_that_are_all_good_leave_dashes():
    study = studied([chunk(0, at / 10, at=at, recording=f"r{at % 2}") for at in range(6)], [], TERMS)
    found = rows_of(study)["composite:base"].figures
    assert math.isnan(found.recall)
    tables = [block for section in sections(study) for block in section.blocks if isinstance(block, Table)]
    row = next(row for row in tables[0].rows if row[0].text == "composite:base")
    assert [row[4].text, row[7].text] == ["–", "–"]
    json.dumps(as_json(study), allow_nan=False)


@pytest.mark.slow
def test_the_best_judge_is_bold_but_never_the_oracle():
    tables = [b for s in sections(studied(two_witnesses(6), [], TERMS)) for b in s.blocks if isinstance(b, Table)]
    bold = {row[0].text for row in tables[0].rows if row[2].best}
    assert bold
    assert bold <= {"combined", "combined_unsupervised"}


def test_the_table_of_chunks_has_all_facts_and_estimates():
    study = studied(two_witnesses(2, 5), [], TERMS)
    head, *lines = [line.split("\t") for line in chunk_lines(study)]
    assert head[:6] == ["id", "recording", "duration_s", "true_words", "true_errors", "is_bad"]
    assert {"loops", "mean_logprob", "compression", "per:base", "estimate:combined"} < set(head)
    assert len(lines) == 10
    first = dict(zip(head, lines[0], strict=True))
    errors = study.chunks[0].errors
    assert (first["id"], int(first["true_errors"])) == (study.chunks[0].id, errors.errors)
    assert int(first["is_bad"]) == (errors.errors > 0.4 * 20)
    assert float(first["estimate:combined"]) == pytest.approx(study.estimates["combined"][0], rel=1e-4)


def test_the_stored_model_gives_the_estimates_again():
    """From study.json alone: the log odds are the intercept and each input's part."""
    labelled = [replace(c, id=c.id.replace("lectures", "few")) for c in two_witnesses(3, seed=7)]
    study = studied(two_witnesses(2, 5), labelled, TERMS)
    model = as_json(study)["model"]
    inputs = model_inputs(study.facts, ["base"])
    log_odds = model["intercept"] + sum(
        (inputs[name][0] - of["mean"]) / of["scale"] * of["coefficient"] for name, of in model["inputs"].items()
    )
    assert 1 / (1 + math.exp(-log_odds)) == pytest.approx(study.estimates["combined"][0])


def test_the_tempo_is_judged_by_its_ratio_to_the_median():
    """Twice as fast and half as fast as the median of 4 are equally far; the sign of a deviation is the model's."""
    chunks = [chunk(0, 0.1, at=at) for at in range(3)]
    chunks = [
        replace(c, doubt=replace(c.doubt, tokens_per_s=tempo)) for c, tempo in zip(chunks, (2.0, 4.0, 8.0), strict=True)
    ]
    study = studied(chunks, [], TERMS)
    far = math.log(2)
    assert rows_of(study)["tokens_per_s"].judge.scores == pytest.approx([far, 0.0, far])
    inputs = model_inputs(study.facts, ["base"])
    assert inputs["tokens_per_s"] == pytest.approx([-far, 0.0, far])
    assert inputs["|tokens_per_s|"] == pytest.approx([far, 0.0, far])
