"""Processes that train together make equally many backward passes, and use each sample of the batch once."""

import pytest

from k2d.core.errors import UsageError
from k2d.train.sharing import batch_fault, check_batch, check_data, most_per_pass, parts_of

SIZES = [(n, k, world) for n in range(1, 65) for k in range(1, 9) for world in range(1, 9)]


def test_each_combination_of_batch_accumulation_and_processes_fits_or_is_refused():
    for n_samples, accumulate, world in SIZES:
        message = f"batch {n_samples}, accumulate {accumulate}, {world} processes"
        if world > n_samples:
            assert batch_fault("x", n_samples, accumulate, world), message
            with pytest.raises(UsageError, match="each needs at least one"):
                parts_of(n_samples, 0, world, accumulate)
            continue
        assert not batch_fault("x", n_samples, accumulate, world), message
        shares = [parts_of(n_samples, rank, world, accumulate) for rank in range(world)]
        assert sorted(at for parts in shares for part in parts for at in part) == list(range(n_samples)), message
        (n_parts,) = {len(parts) for parts in shares}
        assert 1 <= n_parts <= min(accumulate, n_samples // world), message
        sizes = [len(part) for parts in shares for part in parts]
        assert min(sizes) > 0, message
        assert max(sizes) == most_per_pass(n_samples, world, accumulate), message


def test_no_pass_is_larger_than_it_has_to_be():
    """The largest pass is as large as if the largest share were cut evenly into passes."""
    for n_samples, accumulate, world in SIZES:
        if world <= n_samples:
            most, n_possible = -(-n_samples // world), min(accumulate, n_samples // world)
            assert most_per_pass(n_samples, world, accumulate) == -(-most // n_possible)


def test_the_parts_of_a_batch_in_one_process_have_not_changed():
    """Parts of one size, and a last one that may be smaller: losses of older trainings are reproduced exactly."""
    for n_samples, accumulate, _ in SIZES:
        size = -(-n_samples // accumulate)
        former = [list(range(n_samples))[at : at + size] for at in range(0, n_samples, size)]
        assert [list(part) for part in parts_of(n_samples, 0, 1, accumulate)] == former


@pytest.mark.parametrize(
    ("batch", "accumulate", "world", "expected"),
    [
        (9, 3, 2, [[2, 2, 1], [2, 1, 1]]),
        (16, 8, 3, [[2, 1, 1, 1, 1], [1] * 5, [1] * 5]),
        (24, 4, 5, [[2, 2, 1], [2, 2, 1], [2, 2, 1], [2, 2, 1], [2, 1, 1]]),
    ],
)
def test_cuts_by_hand(batch, accumulate, world, expected):
    """Cases in which one process once had more passes than another, so that the others waited for it."""
    assert [[len(part) for part in parts_of(batch, rank, world, accumulate)] for rank in range(world)] == expected


def test_too_many_processes_are_refused_with_a_number_that_works():
    expected = (
        "distill.training.batch_size: found 6, expected at least 8, as 8 processes share each step and each needs a "
        "sample; set distill.training.batch_size=9, or use at most 6 GPUs"
    )
    with pytest.raises(UsageError) as caught:
        check_batch("distill.training", 6, 3, 8)
    assert str(caught.value) == expected
    check_batch("distill.training", 9, 3, 8)
    check_batch("distill.training", 6, 3, 6)
    with pytest.raises(UsageError, match=r"a step has 3 samples, .* use at most 3 GPUs, or more data"):
        check_data(3, 4)


class TestRefusedBeforeAnyWork:
    def job(self, **how):
        from k2d.config.schema import Config, Method, Recogniser, Select
        from k2d.config.students import Distill
        from k2d.config.training import Phase, StudentTraining, Training
        from k2d.pipeline.runner import make_job

        phases = {"one": Phase(batch_size=4, accumulate=2)}
        teacher = Recogniser(model="conf/models/mini_teacher.yaml", training=Training(phases=phases))
        distill = Distill(training=StudentTraining(batch_size=6, accumulate=3))
        select = Select(methods={"all": Method(rule="none")})
        return make_job(Config(name="x", teacher=teacher, distill=distill, select=select), **how)

    def test_the_stages_refuse_it(self):
        from k2d.stages import distill, teacher

        for stage, fitting, message in (
            (teacher, 4, r"teacher.training.phases.one.batch_size: found 4, .*one.batch_size=6, or use at most 4 GPUs"),
            (distill, 6, r"distill.training.batch_size: found 6, .*batch_size=9, or use at most 6 GPUs"),
        ):
            assert stage.units(self.job(ngpu=fitting))
            with pytest.raises(UsageError, match=message):
                stage.units(self.job(ngpu=fitting + (1 if fitting == 4 else 2)))
