"""Shares of workers, and answers that are found again after a crash. No model is needed."""

from pathlib import Path

import pytest

from k2d.data.rows import Rejected
from k2d.inference.answer_cache import Answer, read_answers, write_answer
from k2d.inference.decode_job import DecodeJob, Item, decode_settings
from k2d.inference.dispatch import _clip_shares, _recording_shares
from k2d.pipeline import answer_parts
from k2d.pipeline.answer_parts import first_free_part, new_part, number_of, set_of_finished


def items(*lengths_s):
    return [Item(f"r{n}", "a.wav", duration_s=length_s) for n, length_s in enumerate(lengths_s)]


def test_shares_of_recordings_are_even_and_sorted_by_length():
    shares = _recording_shares(items(10, 50, 20, 40, 30), 2)
    assert [[item.duration_s for item in share] for share in shares] == [[50, 30, 10], [40, 20]]


def test_shares_are_neither_very_long_nor_empty():
    shares = _recording_shares(items(*range(300)), 2)
    assert len(shares) == 6
    assert {len(share) for share in shares} == {50}
    assert len(_recording_shares(items(1), 4)) == 1
    assert _recording_shares([], 4) == []


def test_clips_keep_their_order():
    shares = list(_clip_shares(items(*range(1300)), 2))
    assert [len(share) for share in shares] == [512, 512, 276]
    assert [item.id for share in shares for item in share] == [f"r{n}" for n in range(1300)]


def test_a_truncated_line_and_a_second_answer_are_ignored(tmp_path):
    failed = Rejected("b", "truncated", "ends in the middle", "b.wav")
    (tmp_path / "part-000000.lines").write_text(
        write_answer(Answer("c", 0.5, {"text": "三"}, None))
        + write_answer(Answer("b", 0.1, None, failed))
        + 'a {"s": 0'
    )
    (tmp_path / "part-000001.lines").write_text(
        write_answer(Answer("a", 1.0, {"text": "一"}, None)) + write_answer(Answer("c", 0.5, {"text": "三"}, None))
    )
    assert set_of_finished(tmp_path) == {"a", "c"}  # what failed is tried again
    answers = list(read_answers(tmp_path))
    assert [answer.id for answer in answers] == ["a", "b", "c"]
    assert answers[0] == Answer("a", 1.0, {"text": "一"}, None)
    assert answers[1].failed == failed


def test_of_several_answers_a_hypothesis_counts_or_otherwise_the_last_failure(tmp_path):
    def failed(item_id, detail):
        return write_answer(Answer(item_id, 0.1, None, Rejected(item_id, "unreadable", detail, "a.wav")))

    answered = write_answer(Answer("a", 1.0, {"text": "一"}, None))
    (tmp_path / "part-000010-zz-1-aa.lines").write_text(failed("a", "second") + failed("b", "second"))
    (tmp_path / "part-000002.lines").write_text(failed("a", "first") + failed("b", "first") + answered)
    found = {answer.id: answer for answer in read_answers(tmp_path)}
    assert found["a"].hypothesis == {"text": "一"}
    assert found["b"].failed is not None
    assert found["b"].failed.detail == "second"


def test_a_part_file_of_a_killed_run_is_never_appended_to(tmp_path):
    assert first_free_part(tmp_path) == 0
    for name in ("part-000002", "part-000002-0001", "part-000001-failed"):  # as earlier versions called them
        (tmp_path / f"{name}.lines").write_text('a {"s": 0')
    assert first_free_part(tmp_path) == 3
    part = new_part(tmp_path, 3)
    assert part.name.startswith("part-000003-")
    part.touch()
    assert (number_of(part), first_free_part(tmp_path)) == (3, 4)


@pytest.mark.parametrize("host", ["node-1.cluster.example", "課 / ..", ""])
def test_two_writers_with_one_number_have_different_files(tmp_path, monkeypatch, host):
    monkeypatch.setattr(answer_parts.socket, "gethostname", lambda: host)
    names = {new_part(tmp_path, 7) for _ in range(50)}
    assert len(names) == 50
    assert {(path.parent, number_of(path), path.suffix) for path in names} == {(tmp_path, 7, ".lines")}


def test_the_cache_depends_on_all_settings_but_the_batch():
    def settings(**options):
        chosen = {"batch_size": 16, "beam": 1, **options}
        return decode_settings(DecodeJob(Path("m"), "espnet_s2t", (), chosen, "fp32", None))

    assert settings(batch_size=4) == settings()
    assert settings(beam=2) != settings()
