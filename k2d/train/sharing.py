"""How the processes that train together divide a step's samples, and split them into backward passes.

DDP reduces gradients over the processes in each backward pass. A process with one more pass than the others would wait
for them for ever.
"""

from __future__ import annotations

from k2d.core.errors import UsageError


def parts_of(n_samples: int, rank: int, world: int, accumulate: int) -> list[range]:
    """The positions in the step's batch that a process takes, a range for each backward pass.

    Every process has the same number of passes, at most `accumulate`, and no pass is empty. Positions go to the
    processes in turn, so that each gets samples of every length.

    >>> parts_of(9, 0, 2, 3), parts_of(9, 1, 2, 3)
    ([range(0, 4, 2), range(4, 8, 2), range(8, 10, 2)], [range(1, 5, 2), range(5, 7, 2), range(7, 9, 2)])
    """
    n_parts, size = _cut(n_samples, world, accumulate)
    # Batches are sorted by length. If each process took a contiguous part, one process would have all long samples and
    # the others would wait for it.
    own, parts = range(rank, n_samples, world), []
    for n_after in reversed(range(n_parts)):
        n_taken = min(size, len(own) - n_after)  # each later pass needs at least one sample
        parts.append(own[:n_taken])
        own = own[n_taken:]
    return parts


def most_per_pass(n_samples: int, world: int, accumulate: int) -> int:
    """Samples in the largest backward pass of any process."""
    return _cut(n_samples, world, accumulate)[1]


def _cut(n_samples: int, world: int, accumulate: int) -> tuple[int, int]:
    """The number of backward passes of each process, and the samples of the largest one."""
    # -(-a // b) is a / b rounded up. Processes may differ by one sample: `most` limits memory, and `least` limits the
    # number of passes, as the process with the fewest samples needs one for each pass.
    most, least = -(-n_samples // world), n_samples // world
    if not least:
        raise UsageError(f"a step has {n_samples} samples for {world} processes; each needs at least one")
    size = -(-most // accumulate)
    n_parts = min(-(-most // size), least)
    return n_parts, max(size, -(-most // n_parts))


def check_batch(key: str, batch_size: int, accumulate: int, world: int) -> None:
    """Raise if a process would get no sample of a batch. `key` is the section of the config."""
    if fault := batch_fault(key, batch_size, accumulate, world):
        raise UsageError(fault)


def batch_fault(key: str, batch_size: int, accumulate: int, world: int) -> str:
    """Why this number of processes cannot share a batch, and what would work. Empty if it can.

    >>> batch_fault("x", 4, 2, 5).split("; ")[1]
    'set x.batch_size=6, or use at most 4 GPUs'
    >>> batch_fault("x", 6, 2, 5)
    ''
    """
    if batch_size >= world:
        return ""
    fitting = -(-world // accumulate) * accumulate  # accumulate must divide it
    return (
        f"{key}.batch_size: found {batch_size}, expected at least {world}, as {world} processes share each step and "
        f"each needs a sample; set {key}.batch_size={fitting}, or use at most {batch_size} GPUs"
    )


def check_data(n_samples: int, world: int) -> None:
    """Raise if there are so few data that a step has fewer samples than there are processes."""
    if n_samples < world:
        raise UsageError(
            f"a step has {n_samples} samples, as there are no more to learn from, and {world} processes share it; "
            f"use at most {n_samples} GPUs, or more data"
        )
