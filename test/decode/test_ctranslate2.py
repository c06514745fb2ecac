"""The engine CTranslate2 and torch, on a trained Whisper: the same segments, times and texts."""

from dataclasses import replace
from functools import cache, partial

import pytest
from whisper_tiny import tiny_checkpoint, write_talks

from k2d.core.errors import UsageError
from k2d.decode.clips import decode_clips
from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.sources import Clip, Source
from k2d.export import ctranslate2
from k2d.export.request import ExportRequest
from k2d.models.whisper.ctranslate2_engine import load, write_facts
from k2d.models.whisper.recogniser import load_whisper

pytestmark = pytest.mark.slow

OPTIONS = Options(batch_size=3, languages=("zh",))


@pytest.fixture(scope="module")
def talks(tmp_path_factory):
    paths = write_talks(tmp_path_factory.mktemp("talks"))
    return [Source(path.stem, str(path)) for path in paths]


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folders = {}
    for compute_type in ("fp32", "int8"):
        folder = folders[compute_type] = tmp_path_factory.mktemp(compute_type)
        ctranslate2.write(tiny_checkpoint(), ExportRequest("tiny", compute_type=compute_type), folder)
        write_facts(folder, tiny_checkpoint())
    return folders


@pytest.fixture(scope="module")
def engine(converted):
    return load(converted["fp32"], "cpu", "fp32", n_threads=1)


@pytest.fixture(scope="module")
def torchs():
    return load_whisper(tiny_checkpoint())


def decoded(model, talks, options, is_loop=None):
    found = {each.recording_id: each for each in decode_recordings(model, talks, options, is_loop)}
    return {key: found[key] for key in sorted(found)}


@pytest.fixture(scope="module")
def ours(torchs, talks):
    """What torch hears in the talks, by options."""
    return cache(partial(decoded, torchs, talks))


@pytest.fixture(scope="module")
def theirs(engine, talks):
    """What CTranslate2 hears in the talks, by options."""
    return cache(partial(decoded, engine, talks))


def times_and_texts(hypotheses):
    return {key: [(s.start_s, s.end_s, s.text) for s in each.segments] for key, each in hypotheses.items()}


def ways(hypotheses):
    fields = ("start_s", "advance_s", "n_tokens", "ended", "moved_by")
    return {key: [[getattr(w, f) for f in fields] for w in each.windows] for key, each in hypotheses.items()}


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        replace(OPTIONS, languages=()),
        replace(OPTIONS, timestamps=False),
        replace(OPTIONS, condition_on_previous_text=True),
        replace(OPTIONS, max_tokens=32),
        replace(OPTIONS, silence_threshold=0.6),
    ],
    ids=["zh", "guessed", "no times", "previous text", "small budget", "silence"],
)
def test_both_engines_write_the_same_text(theirs, ours, options):
    theirs, ours = theirs(options), ours(options)
    assert times_and_texts(theirs) == times_and_texts(ours)
    assert ways(theirs) == ways(ours)
    assert sum(len(each.segments) for each in ours.values()) >= 4
    if options.max_tokens == 32:
        assert "budget" in {w.ended for each in ours.values() for w in each.windows}
    for key, each in ours.items():
        assert [w.mean_logprob for w in theirs[key].windows] == pytest.approx(
            [w.mean_logprob for w in each.windows], abs=0.02
        )
        assert [s.language for s in theirs[key].segments] == [s.language for s in each.segments]


def test_both_engines_write_the_same_clips(engine, torchs, talks):
    clips = [Clip(f"{n}", talks[0].audio, 2.0 * n, 2.0 * n + 9.0) for n in range(5)]
    theirs, ours = (list(decode_clips(model, clips, OPTIONS)) for model in (engine, torchs))
    assert [(each.id, each.text, each.ended, each.n_tokens) for each in theirs] == [
        (each.id, each.text, each.ended, each.n_tokens) for each in ours
    ]
    assert any(each.text for each in ours)


def test_a_loop_is_cut_where_the_search_in_torch_would_stop(engine, torchs, talks):
    def is_loop(text):
        return len(text) > 60  # what is long is a loop here

    theirs, ours = decoded(engine, talks, OPTIONS, is_loop), decoded(torchs, talks, OPTIONS, is_loop)
    assert "loop" in {w.ended for each in ours.values() for w in each.windows}
    assert times_and_texts(theirs) == times_and_texts(ours)
    assert ways(theirs) == ways(ours)


def test_texts_do_not_depend_on_the_batch(theirs):
    alone = theirs(replace(OPTIONS, batch_size=1))
    assert times_and_texts(theirs(OPTIONS)) == times_and_texts(alone)


def test_int8_writes_the_same_sentences(converted, ours, talks):
    found = decoded(load(converted["int8"], "cpu", "int8", ("zh",), n_threads=1), talks, OPTIONS)
    for key, each in ours(OPTIONS).items():
        assert [s.text for s in found[key].segments] == [s.text for s in each.segments]


def test_an_unsupported_compute_type_is_refused(converted):
    with pytest.raises(
        UsageError, match=r"decode.compute_type: found fp16, expected a type that this cpu supports: fp32, int8"
    ):
        load(converted["fp32"], "cpu", "fp16")


def test_a_beam_writes_text(engine, talks):
    found = decoded(engine, talks, replace(OPTIONS, beam=3))
    assert any(each.segments for each in found.values())
