"""Two processes that share each batch give the same weights as one process, whichever part of the network learns."""

import pytest
from forked import started
from train_cases import CASES

pytestmark = pytest.mark.slow

TOLERANCE = 1e-7  # in float64, on weights that move by 1e-3


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The results of all cases, alone and in two processes. They are started once, because each imports ESPnet."""
    import torch

    folder = tmp_path_factory.mktemp("two")
    process = started("train_two:main", folder, output=folder / "output")
    process.join(600)
    assert process.exitcode == 0, (folder / "output").read_text()
    names = ("alone", "rank-0", "rank-1")
    return folder, {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in names}


@pytest.mark.parametrize("name", CASES)
def test_two_processes_give_the_result_of_one(trained, name):
    found = {who: cases[name] for who, cases in trained[1].items()}
    assert [f"{who}: {result['error']}" for who, result in found.items() if "error" in result] == []
    alone, first, second = (found[who]["weights"] for who in ("alone", "rank-0", "rank-1"))
    assert all(first[key].equal(second[key]) for key in first)
    assert [key for key in alone if not first[key].allclose(alone[key], rtol=0, atol=TOLERANCE)] == []
    assert any(not alone[key].equal(start) for key, start in found["alone"]["before"].items()), "nothing was learnt"


@pytest.mark.parametrize("name", CASES)
def test_one_process_writes_the_curves(trained, name):
    """In both cases, the losses are over the whole batch."""
    alone, pair = (
        (trained[0] / kind / name / "curves.csv").read_text().splitlines()[1:] for kind in ("work-alone", "work-pair")
    )
    assert len(alone) == len(pair) == 2
    for one, two in zip(alone, pair, strict=True):
        assert float(one.split(",")[3]) == pytest.approx(float(two.split(",")[3]), rel=1e-5)
