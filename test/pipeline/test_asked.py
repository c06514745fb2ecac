"""Each requested item has one answer. Answers that are lost after a worker wrote them are reported."""

import pytest
from in_process import Bench, without_line

from k2d.core.errors import K2DError
from k2d.inference import dispatch

TAPES = {"ra": "ab", "rb": "b", "rc": "c", "rd": "d"}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch, TAPES)


def meanwhile(monkeypatch, do):
    """Do something between the workers' end and the reading of their answers."""
    read = dispatch.read_answers

    def later(cache):
        do(cache)
        return read(cache)

    monkeypatch.setattr(dispatch, "read_answers", later)


def parts(cache):
    return sorted(cache.glob("part-*.lines"))


def test_a_lost_line_is_named_and_the_same_command_decodes_it_again(bench, monkeypatch):
    with monkeypatch.context() as patch:
        meanwhile(patch, lambda cache: [without_line(part, "rc") for part in parts(cache)])
        with pytest.raises(K2DError) as caught:
            bench.decode()
    assert "1 of 4 items has no answer: rc;" in str(caught.value)
    assert str(bench.cache) in str(caught.value)
    assert "run the same command again: it decodes what is missing" in str(caught.value)
    assert bench.decode().n_in == 4
    assert bench.shares == [["rc"]]


def test_the_items_of_a_lost_part_file_are_counted(bench, monkeypatch):
    meanwhile(monkeypatch, lambda cache: [part.unlink() for part in parts(cache)])
    with pytest.raises(K2DError, match="4 of 4 items have no answer: ra, rb, rc, rd;"):
        bench.decode()


def test_an_answer_for_an_unknown_item_is_refused(bench, monkeypatch):
    def add(cache):
        part = parts(cache)[0]
        part.write_text(part.read_text().replace("rb {", "rb2 {"))

    meanwhile(monkeypatch, add)
    with pytest.raises(K2DError) as caught:
        bench.decode()
    assert "1 of 4 items has no answer: rb;" in str(caught.value)
    assert "1 answer has an id that was not requested: rb2;" in str(caught.value)
    assert "remove the folder" in str(caught.value)


def test_a_second_answer_to_the_same_item_counts_once(bench, monkeypatch):
    meanwhile(monkeypatch, lambda cache: (cache / "part-000099.lines").write_bytes(parts(cache)[0].read_bytes()))
    counts = bench.decode()
    assert (counts.n_in, counts.kept) == (4, 4)
    assert list(bench.texts()) == sorted(TAPES)


def test_a_duplicate_id_is_refused(bench):
    bench.rows.append(bench.rows[1])
    with pytest.raises(K2DError, match=r"1 id is asked for twice: rb; ids must be unique"):
        bench.decode()
