"""Failures in decoding: a bad recording is rejected, and a failure of the machine is tried again."""

import errno
import json
from dataclasses import replace

import pytest
from in_process import Bench, Disk

from k2d.core.errors import K2DError
from k2d.inference.audio_progress import DecodedAudio
from k2d.inference.decode_job import Item
from k2d.inference.dispatch import decode_items

TAPES = {"ra": "ab__cd", "rb": "abc", "rc": "b", "rd": "cc_dd"}
HEARD = {"ra": "ab cd", "rb": "abc", "rc": "b", "rd": "cc dd"}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch, TAPES, max_bad=0.5)


def dies_of(signal, *, on):
    """A worker that dies whenever its share contains this recording."""
    return lambda task: f"the worker process died (signal {signal})" if on in [i.id for i in task.items] else ""


def test_a_temporary_error_is_tried_once_more_in_the_same_run(bench, monkeypatch):
    Disk(monkeypatch, ["rb"], 1)
    counts = bench.decode()
    assert (counts.n_in, counts.kept, counts.dropped) == (4, 4, {})
    assert bench.texts() == HEARD
    assert bench.shares[-1] == ["rb"]
    assert not bench.cache.exists()


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ETIMEDOUT, errno.ENOSPC])
def test_a_second_failure_of_the_machine_stops_the_stage_and_a_rerun_tries_again(bench, monkeypatch, code):
    """max_bad would allow half of the set, but a unit is never published without recordings that the machine lost."""
    Disk(monkeypatch, ["rb"], 2, code)
    with pytest.raises(K2DError) as stopped:
        bench.decode()
    assert "1 of 4 recordings" in str(stopped.value)
    assert "rb: " in str(stopped.value)
    assert "rb.wav: cannot be read: Input/output error [unreadable]" in str(stopped.value)
    assert "the same command" in str(stopped.value)

    assert bench.decode().kept == 4
    assert bench.shares == [["rb"]]  # the others are answered
    assert bench.texts() == HEARD


def test_a_recording_that_was_removed_since_stage_1_is_a_failure_of_the_machine(bench):
    path = bench.audio["rb"]
    aside = path.rename(path.with_suffix(".aside"))
    with pytest.raises(K2DError, match=r"rb: .*rb\.wav: there is no such file \[missing\]"):
        bench.decode()
    aside.rename(path)
    assert bench.decode().kept == 4


def test_a_bad_recording_is_rejected_with_its_reason_and_not_tried_twice(bench):
    whole = bench.audio["rb"].read_bytes()
    bench.audio["rb"].write_bytes(whole[:1000])
    counts = bench.decode()
    assert (counts.n_in, counts.kept, counts.dropped) == (4, 3, {"truncated": 1})
    assert bench.rejected() == {"rb": "truncated"}
    assert sorted(key for share in bench.shares for key in share) == sorted(TAPES)


def test_a_bad_recording_that_was_repaired_is_decoded_by_the_rerun(tmp_path, monkeypatch):
    bench = Bench(tmp_path, monkeypatch, TAPES, max_bad=0)
    whole = bench.audio["rb"].read_bytes()
    bench.audio["rb"].write_bytes(whole[:1000])
    with pytest.raises(
        K2DError, match=r"1 of 4 items are bad, more than max_bad \(0\.0%\):\n  truncated 1, such as rb"
    ):
        bench.decode()
    bench.audio["rb"].write_bytes(whole)
    assert bench.decode().kept == 4
    assert bench.shares == [["rb"]]


def test_a_failure_that_an_earlier_version_kept_in_the_cache_is_tried_again(bench):
    failed = {"id": "rb", "reason": "unreadable", "detail": "rb.wav: cannot be read", "source": "rb.wav"}
    bench.cache.mkdir(parents=True)
    (bench.cache / "part-000000.lines").write_text(f"rb {json.dumps({'s': 0.1, 'heard': None, 'failed': failed})}\n")
    assert bench.decode().kept == 4
    assert bench.rejected() == {}


def test_a_recording_that_crashes_its_worker_alone_is_bad_and_the_others_are_decoded(bench):
    bench.dies = dies_of("SIGSEGV", on="rb")
    counts = bench.decode()
    assert (counts.kept, counts.dropped) == (3, {"decoder_failed": 1})
    assert bench.rejected() == {"rb": "decoder_failed"}
    assert [share for share in bench.shares if "rb" in share][1:] == [["rb"]]


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM", "SIGBUS"])
def test_a_worker_that_is_killed_from_outside_costs_no_recording(bench, signal):
    bench.dies = dies_of(signal, on="rb")
    with pytest.raises(K2DError, match=rf"rb: the worker process died \(signal {signal}\)"):
        bench.decode()
    bench.dies = lambda _: ""
    assert bench.decode().kept == 4
    assert bench.shares == [["rb"]]


@pytest.mark.parametrize("error", [MemoryError("no more"), RuntimeError("CUDA error: out of memory")])
def test_too_little_memory_is_reported_and_is_not_the_recordings_fault(bench, monkeypatch, error):
    """Memory is also too small for batches of one. Then each recording is tried alone, to find the one that fails."""
    encode = bench.recogniser.encode

    def small(speech_BN):
        if len(speech_BN) > 1 or float(speech_BN.max()) * 32.768 > 1.5:  # letters other than a
            raise error
        return encode(speech_BN)

    bench.rows = [row for row in bench.rows if row.id in ("rb", "rc")]
    monkeypatch.setattr(bench.recogniser, "encode", small)
    with pytest.raises(K2DError) as stopped:
        bench.decode()
    assert "2 of 2 recordings" in str(stopped.value)
    assert str(error) in str(stopped.value)
    monkeypatch.setattr(bench.recogniser, "encode", encode)
    assert bench.decode().kept == 2


def test_if_a_disk_fails_not_all_recordings_are_tried_again(tmp_path, monkeypatch):
    tapes = {f"r{n:03d}": "a" for n in range(100)}
    bench = Bench(tmp_path, monkeypatch, tapes, max_bad=0.01)
    Disk(monkeypatch, tapes, 9)
    with pytest.raises(K2DError, match="100 of 100 recordings") as stopped:
        bench.decode()
    assert sum(map(len, bench.shares)) == 100
    assert len(str(stopped.value).splitlines()) < 12


def test_a_full_disk_under_the_answers_stops_at_once(bench, monkeypatch):
    """No recording is decoded again for it, because a second try could not be written either."""
    from k2d.inference import worker

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(worker, "write_answer", full)
    with pytest.raises(OSError, match="No space left on device"):
        bench.decode()
    assert len(bench.shares) == 1


def test_clips_are_tried_again_and_count_when_their_batch_is_decoded(bench, monkeypatch):
    """Stage 7: five clips of two recordings, one of which cannot be read at first."""
    Disk(monkeypatch, ["rb"], 1)
    decoded_s = []
    monkeypatch.setattr(DecodedAudio, "add", lambda self, seconds: decoded_s.append(seconds))
    spans = [("ra", 0.0, 0.2), ("ra", 0.2, 0.6), ("rb", 0.0, 0.1), ("rb", 0.1, 0.3), ("rd", 0.0, 0.2)]
    clips = [Item(f"{key}-{n}", str(bench.audio[key]), *times) for n, (key, *times) in enumerate(spans)]
    work = replace(bench.work, clips=True, options={"batch_size": 2, "timestamps": False})
    answers = list(decode_items(work, iter(clips), bench.cache, bench.job, "base: second opinions"))
    assert [(answer.id, answer.hypothesis and answer.hypothesis["text"]) for answer in answers] == [
        ("ra-0", "ab"),
        ("ra-1", "cd"),
        ("rb-2", "a"),
        ("rb-3", "bc"),
        ("rd-4", "cc"),
    ]
    assert bench.shares == [[clip.id for clip in clips], ["rb-2"]]
    assert sum(decoded_s) == pytest.approx(sum(clip.length_s for clip in clips))
