"""Progress of decoding: the files of workers, their sum over runs and retries, and a watcher that survives errors."""

import logging
import threading
import time

import pytest
from in_process import Bench, Disk

from k2d.core.errors import K2DError
from k2d.inference import audio_progress
from k2d.inference.audio_progress import SUFFIX, DecodedAudio, SetProgress, show_progress
from k2d.pipeline.answer_parts import new_part

LIMIT_S = 20.0  # for what would hang


def write_progress(folder, number, seconds):
    path = new_part(folder, number).with_suffix(SUFFIX)
    path.write_text(str(seconds))
    return path


def of_set(folder, first_part=0, *, lengths_s, n_done=0):
    set_progress = SetProgress(folder, first_part)
    for n, length_s in enumerate(lengths_s):
        set_progress.expect(length_s, is_done=n < n_done)
    return set_progress


def until(holds):
    end = time.monotonic() + LIMIT_S
    while not holds() and time.monotonic() < end:
        time.sleep(0.002)
    return holds()


def test_answers_of_earlier_runs_count_and_their_progress_files_do_not(tmp_path):
    """A set of 100 min. An earlier run had answers for 40, and its workers had written 47 when it was killed."""
    write_progress(tmp_path, 3, 47 * 60)
    set_progress = of_set(tmp_path, 4, lengths_s=[600.0] * 10, n_done=4)
    assert set_progress.decoded_s() is None  # nobody has begun
    write_progress(tmp_path, 4, 0.0)
    assert set_progress.decoded_s() == 40 * 60
    write_progress(tmp_path, 5, 300.0)
    assert set_progress.decoded_s() == 45 * 60


def test_a_finished_share_counts_once_by_its_items(tmp_path):
    set_progress = of_set(tmp_path, lengths_s=[600.0] * 4)
    paths = [write_progress(tmp_path, number, 1190.0) for number in (0, 1)]
    assert set_progress.decoded_s() == 2380
    set_progress.settle(0, 1200.0)
    assert set_progress.decoded_s() == 1200 + 1190
    assert [path.exists() for path in paths] == [False, True]
    write_progress(tmp_path, 0, 1190.0)  # its worker writes once more
    assert set_progress.decoded_s() == 1200 + 1190


def test_progress_never_exceeds_the_total(tmp_path):
    set_progress = of_set(tmp_path, lengths_s=[10.0], n_done=0)
    write_progress(tmp_path, 0, 12.0)
    assert set_progress.decoded_s() == 10


@pytest.mark.parametrize("odd", ["", "12", "1.2.3", "-", "nan", "-5.0", "\x00\x00", "inf", None])
def test_a_missing_or_bad_progress_file_keeps_its_last_number(tmp_path, odd):
    set_progress = of_set(tmp_path, lengths_s=[100.0])
    path = write_progress(tmp_path, 0, 30.0)
    assert set_progress.decoded_s() == 30
    if odd is None:
        (tmp_path / "elsewhere").mkdir()
        path.unlink()
        path.symlink_to(tmp_path / "elsewhere")  # can be found and not be read
    else:
        path.write_text(odd)
    assert set_progress.decoded_s() == (12 if odd == "12" else 30)


def test_a_worker_writes_progress_of_a_batch_in_whole_numbers(tmp_path, monkeypatch):
    """Sixteen windows of 10 s at once, and then a long pause."""
    monkeypatch.setattr(audio_progress, "WRITE_EVERY_S", 0.005)
    part = new_part(tmp_path, 0)
    path = part.with_suffix(SUFFIX)
    with DecodedAudio(part) as decoded:
        assert path.read_text() == "0.0"
        for _ in range(16):
            decoded.add(10.0)
        assert until(lambda: path.read_text() == "160.0")
        decoded.settle(95.0, 90.0)  # a recording of 95 s, of which nine windows moved on by 90
        assert until(lambda: path.read_text() == "165.0")
        decoded.restart()  # too little memory: the others are decoded again
        assert until(lambda: path.read_text() == "95.0")
        decoded.add(10.0)
    assert path.read_text() == "105.0"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_worker_that_cannot_write_progress_continues(tmp_path):
    with DecodedAudio(tmp_path / "nowhere" / "part-000000-a.lines") as decoded:
        decoded.add(1.0)


def test_the_watcher_survives_an_error_and_reports_it_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(audio_progress, "POLL_S", 0.005)
    calls = []

    class Odd(SetProgress):
        def decoded_s(self):
            calls.append(threading.current_thread().name)
            if len(calls) < 4:
                raise ValueError("could not convert string to float: '1.2.'")
            return 5.0

    logging.getLogger("k2d.file").propagate = True
    with caplog.at_level(logging.WARNING, logger="k2d.file"), show_progress(Odd(tmp_path, 0), "lab"):
        assert until(lambda: len(calls) > 5)
    assert caplog.text.count("lab: progress cannot be shown: ValueError") == 1


def test_a_continued_set_shows_progress_of_the_whole(tmp_path, monkeypatch):
    """Two of four recordings were decoded earlier: the rerun begins at their share and ends at the total."""
    seen = []
    showing_of = audio_progress.show_progress

    def looked_at(set_progress, label):
        seen.append(set_progress)
        return showing_of(set_progress, label)

    monkeypatch.setattr("k2d.inference.dispatch.show_progress", looked_at)
    bench = Bench(tmp_path, monkeypatch, {"ra": "a" * 40, "rb": "b" * 30, "rc": "c" * 20, "rd": "d" * 10}, max_bad=0)
    Disk(monkeypatch, ["rc", "rd"], 2)
    with pytest.raises(K2DError, match="2 of 4 recordings"):
        bench.decode()
    assert (seen[0].before_s, seen[0].total_s, seen[0].decoded_s()) == (0, 10, 7)
    bench.decode()
    assert (seen[1].before_s, seen[1].total_s, seen[1].decoded_s()) == (7, 10, 10)


def test_windows_count_when_they_are_decoded_within_a_batch_of_recordings(tmp_path, monkeypatch):
    """Two recordings of 6 s in one batch, in windows of 2 s: each batch of windows adds four seconds."""
    bench = Bench(tmp_path, monkeypatch, {"ra": "a" * 60, "rb": "b" * 60})
    seen, add = [], DecodedAudio.add

    def added(self, seconds):
        add(self, seconds)
        seen.append(self._seconds)

    monkeypatch.setattr(DecodedAudio, "add", added)
    bench.decode()
    assert seen == pytest.approx([2, 4, 6, 8, 10, 12])
