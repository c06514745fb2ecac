"""Long recordings, with a fake recogniser that reads symbols from its audio."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from decode_fake import EOS, FIRST_LETTER, N_IDS, FakeRecogniser, ids_of, text_of_tape, write_tape, writing_script
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.core.errors import K2DError, UsageError
from k2d.data.rows import Hypothesis
from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.sources import Failed, Source
from k2d.select.loops import ngram_loops


def decode(recogniser, tapes, folder: Path, is_loop=None, **options):
    """The hypotheses of these tapes, by name."""
    sources = [Source(name, str(write_tape(folder / f"{name}.wav", tape))) for name, tape in tapes.items()]
    found = list(decode_recordings(recogniser, sources, Options(**options), is_loop))
    assert all(isinstance(one, Hypothesis) for one in found)
    return {one.recording_id: one for one in found}


def one(recogniser, tape, folder, is_loop=None, **options) -> Hypothesis:
    return decode(recogniser, {"a": tape}, folder, is_loop, **options)["a"]


def spans(hypothesis: Hypothesis):
    return [(segment.start_s, segment.end_s, segment.text) for segment in hypothesis.segments]


SIX_SECONDS = "a" * 60  # three windows of 2 s

TRAPS = {
    # script: (starts of the windows, why they ended, what moved them)
    "abc": ([0, 2, 4], "end", "window"),
    "<0.50>abc": ([0, 2, 4], "end", "window"),
    "<0.00>a<0.00>": ([0, 1, 2, 3, 4, 5], "end", "minimum"),
    "<0.00>a<0.10>": ([0, 1, 2, 3, 4, 5], "end", "minimum"),
    "<0.00>ab<1.20>": ([0, 1.2, 2.4, 3.6, 4.8], "end", "timestamps"),
    "<0.00>ab<1.20><1.20>c": ([0, 1.2, 2.4, 3.6, 4.8], "end", "timestamps"),
    "": ([0, 2, 4], "empty", "window"),
    "<0.00>": ([0, 2, 4], "empty", "window"),
    "<0.00><0.30>": ([0, 2, 4], "empty", "window"),
}


@pytest.mark.parametrize("script", TRAPS)
def test_each_window_moves_on_for_any_text(script, tmp_path):
    starts_s, ended, moved_by = TRAPS[script]
    found = one(FakeRecogniser(writing_script(lambda _: script)), SIX_SECONDS, tmp_path)
    assert [window.start_s for window in found.windows] == starts_s
    assert {window.ended for window in found.windows} == {ended}
    assert {window.moved_by for window in found.windows[:-1]} == {moved_by}
    for now, then in zip(found.windows, found.windows[1:], strict=False):
        assert now.start_s + now.advance_s == pytest.approx(then.start_s, abs=1e-9)
    assert all(0 <= start_s <= end_s <= 6 for start_s, end_s, _ in spans(found))


def test_without_timestamps_a_window_is_a_segment(tmp_path):
    found = one(FakeRecogniser(writing_script(lambda _: "abc")), SIX_SECONDS, tmp_path)
    assert spans(found) == [(0, 2, "abc"), (2, 4, "abc"), (4, 6, "abc")]


class TwoTongues(FakeRecogniser):
    """Guesses the language of each window, and none for the second window of a recording."""

    def start(self, *asked):
        started = super().start(*asked)
        tapes = [tape.split("|")[-1] for tape, _ in started.decoding.rows]
        return replace(started, languages=tuple({"a": "zho", "b": "", "c": "eng"}[tape[0]] for tape in tapes))


def test_a_segment_has_the_language_of_its_window_if_there_is_one(tmp_path):
    found = one(TwoTongues(writing_script(lambda tape: tape[:3])), "a" * 20 + "b" * 20 + "c" * 20, tmp_path)
    assert [segment.language for segment in found.segments] == ["zho", None, "eng"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("<0.00>abc", [(0, 1.5, "abc")]),
        ("<0.20>abc<1.90>", [(0.2, 1.5, "abc")]),
        ("<1.80>abc<1.90>", [(1.5, 1.5, "abc")]),
        ("abc", [(0, 1.5, "abc")]),
    ],
)
def test_times_stay_within_the_file(script, expected, tmp_path):
    assert spans(one(FakeRecogniser(writing_script(lambda _: script)), "a" * 15, tmp_path)) == expected


def test_a_window_ends_if_no_token_is_allowed(tmp_path):
    """If the rules forbid all tokens, the window ends. ESPnet's loop fails on the empty list of results."""

    def next_logits(tape, prefix):
        return [-float("inf")] * N_IDS

    for beam in (1, 3):
        found = one(FakeRecogniser(next_logits), SIX_SECONDS, tmp_path, beam=beam)
        assert [(w.start_s, w.ended, w.n_tokens) for w in found.windows] == [
            (0, "empty", 1),
            (2, "empty", 1),
            (4, "empty", 1),
        ]


def test_broken_weights_are_reported(tmp_path):
    for beam in (1, 3):
        with pytest.raises(K2DError, match="not a number"):
            one(FakeRecogniser(lambda tape, prefix: [float("nan")] * N_IDS), SIX_SECONDS, tmp_path, beam=beam)


def test_a_very_short_last_window_is_skipped_but_a_short_recording_is_decoded(tmp_path):
    recogniser = FakeRecogniser(writing_script(lambda tape: f"<0.00>{tape.strip(chr(95))}<2.00>"))
    assert spans(one(recogniser, "a" * 20 + "b", tmp_path)) == [(0, 2, "a" * 20)]
    assert spans(one(recogniser, "a" * 20 + "bb", tmp_path))[1:] == [(2, 2.2, "bb")]
    assert spans(one(recogniser, "b", tmp_path)) == [(0, 0.1, "b")]


@pytest.mark.slow
def test_a_window_has_a_budget(tmp_path):
    endless = FakeRecogniser(writing_script(lambda _: "<0.00>" + "abcdefgh" * 20), max_tokens=40)
    for beam in (1, 2):
        window = one(endless, "a" * 20, tmp_path, max_tokens=30, beam=beam).windows[0]
        assert (window.n_tokens, window.ended) == (30, "budget")
        window = one(endless, "a" * 20, tmp_path, max_tokens=300, beam=beam).windows[0]
        assert (window.n_tokens, window.ended) == (38, "budget")  # the prompt takes two of 40


def test_silence_is_skipped_if_the_option_is_set(tmp_path):
    recogniser = FakeRecogniser(writing_script(text_of_tape))
    recogniser.has_silence_token = True
    tapes = {"a": "_" * 40 + "abcdefghij" * 2, "b": "abcde_____" * 2 + "_" * 20}
    found = decode(recogniser, tapes, tmp_path, silence_threshold=0.6)
    assert [(w.ended, w.n_tokens, w.moved_by) for w in found["a"].windows[:2]] == [("silence", 0, "window")] * 2
    assert spans(found["a"]) == [(4, 6, "abcdefghij" * 2)]
    assert spans(found["b"]) == [(0, 0.5, "abcde"), (1, 1.5, "abcde")]
    assert found["b"].windows[-1].ended == "silence"
    assert found["b"].windows[-1].mean_logprob is None
    found = decode(recogniser, tapes, tmp_path)
    assert [w.ended for w in found["a"].windows[:2]] == ["empty", "empty"]


class TestLoops:
    def test_a_window_is_stopped_once_its_text_is_a_loop(self, tmp_path):
        recogniser = FakeRecogniser(writing_script(lambda _: "<0.00>" + "ab" * 100))
        found = one(recogniser, "a" * 20, tmp_path, ngram_loops)
        assert (found.windows[0].ended, found.windows[0].n_tokens) == ("loop", 24)
        assert found.segments[0].loop
        assert ngram_loops(found.segments[0].text)
        assert not ngram_loops(found.segments[0].text[:-8])  # not eight letters ago, at the look before
        off = one(recogniser, "a" * 20, tmp_path)
        assert (off.windows[0].ended, off.windows[0].n_tokens, off.segments[0].loop) == ("budget", 62, False)

    def test_beam_search_stops_too(self, tmp_path):
        recogniser = FakeRecogniser(writing_script(lambda _: "<0.00>" + "ab" * 100))
        assert one(recogniser, "a" * 20, tmp_path, ngram_loops, beam=3).windows[0].n_tokens == 24

    def test_a_looping_open_end_is_decoded_again_as_without_the_detector(self, tmp_path):
        def script(tape):
            return "<0.00>so<1.00><1.00>" + "ab" * 100 if tape.startswith("s") else "<0.00>fine<1.00>"

        recogniser = FakeRecogniser(writing_script(script))
        found = one(recogniser, "s" * 10 + "a" * 10, tmp_path, ngram_loops)
        assert [window.ended for window in found.windows] == ["loop", "end"]
        assert spans(found) == spans(one(recogniser, "s" * 10 + "a" * 10, tmp_path)) == [(0, 1, "so"), (1, 2, "fine")]

    @settings(max_examples=30, deadline=None)
    @given(st.text("abc", min_size=1, max_size=7), st.lists(st.integers(1, 9), max_size=8))
    def test_the_kept_text_of_a_stopped_window_is_a_loop(self, unit, cuts):
        """With times at any places, a stopped window is a loop, or its loop is in the next window."""
        from decode_fake import FakeCodec

        from k2d.decode.search import LoopWatch

        codec = FakeCodec()
        text, time_s = "<0.00>", 0.0
        for letters in [*cuts, 60]:
            time_s += 0.1
            text += (unit * 60)[:letters] + f"<{time_s:.2f}><{time_s:.2f}>"
        ids = codec.ids(text)
        watch = LoopWatch(codec, ngram_loops, [2.0])
        stopped = next(n for n in range(len(ids)) if watch.stops(0, ids[:n]))
        reading = codec.read(ids[:stopped], 2.0)
        kept = " ".join(codec.text(segment.ids) for segment in reading.segments)
        left = codec.timed_text(ids[:stopped]).split(">")[-1]
        assert ngram_loops(kept) or (reading.advance_s is not None and ngram_loops(left))


class TestPreviousText:
    def test_it_prompts_the_next_window_of_the_same_recording(self, tmp_path):
        recogniser = FakeRecogniser(writing_script(text_of_tape))
        tapes = {"a": "abcdefgh__" + "__ijklmn__" + "opq_" * 5, "b": "zyx__" * 3}
        decode(recogniser, tapes, tmp_path, condition_on_previous_text=True, min_advance_s=0.1)
        first, second = tuple(ids_of("abcdefghijklmn")), tuple(ids_of("opqopqopq"))
        assert recogniser.prompts[:2] == [(), ()]
        assert first in recogniser.prompts
        assert not any(set(prompt) & set(ids_of("zyx")) for prompt in recogniser.prompts[2:])
        assert second[:3] in [prompt[:3] for prompt in recogniser.prompts]

    def test_it_uses_at_most_half_of_the_room(self, tmp_path):
        recogniser = FakeRecogniser(writing_script(lambda _: "<0.00>" + "abcdefghij" * 5), max_tokens=40)
        found = one(recogniser, "a" * 60, tmp_path, condition_on_previous_text=True)
        assert [len(prompt) for prompt in recogniser.prompts] == [0, 20, 16]
        assert recogniser.prompts[1] == tuple(ids_of("abcdefghij" * 5))[17:37]  # the last ones of 37 letters
        assert [window.n_tokens for window in found.windows] == [38, 17, 21]  # 40 - 2 - 20 - 1, 40 - 2 - 16 - 1

    def test_a_loop_is_not_passed_on(self, tmp_path):
        recogniser = FakeRecogniser(writing_script(lambda _: "<0.00>" + "ab" * 100))
        one(recogniser, "a" * 60, tmp_path, ngram_loops, condition_on_previous_text=True)
        assert recogniser.prompts == [(), (), ()]


# A gap and the word after it fit into a window of 20 letters. Otherwise a window may hold only a word that is cut off,
# with a gap before it. Then there is no pair of times, and as in Whisper the window moves on as a whole.
WORDS = st.lists(st.tuples(st.text("abcdefg", min_size=1, max_size=9), st.integers(1, 10)), min_size=1, max_size=12)


class TestManyRecordings:
    @settings(max_examples=25, deadline=None)
    @given(WORDS)
    def test_each_letter_is_decoded_once_at_its_time(self, tmp_path_factory, words):
        tape = "".join(word + "_" * gap for word, gap in words)
        recogniser = FakeRecogniser(writing_script(text_of_tape))
        # A window of one long word moves on by little: it is decoded again from its start.
        found = one(recogniser, tape, tmp_path_factory.mktemp("tape"), min_advance_s=0.1)
        assert "".join(text for _, _, text in spans(found)) == tape.replace("_", "")
        assert all(tape[round(start_s * 10) : round(end_s * 10)] == text for start_s, end_s, text in spans(found))

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(1, 75), min_size=1, max_size=9), st.integers(1, 5), st.integers(1, 3), st.randoms())
    @pytest.mark.slow
    def test_a_result_does_not_depend_on_its_batch(self, tmp_path_factory, lengths, batch_size, beam, chance):
        folder = tmp_path_factory.mktemp("tapes")
        tapes = {f"r{n}": "".join(random.Random(n).choices("abcdefg_", k=length)) for n, length in enumerate(lengths)}
        alone = {
            name: one(FakeRecogniser(babble), tape, folder, ngram_loops, beam=beam) for name, tape in tapes.items()
        }
        names = list(tapes)
        chance.shuffle(names)
        together = decode(
            FakeRecogniser(babble),
            {name: tapes[name] for name in names},
            folder,
            ngram_loops,
            batch_size=batch_size,
            beam=beam,
        )
        for name in names:
            assert spans(together[name]) == spans(alone[name])
            assert together[name].windows == alone[name].windows

    @pytest.mark.slow
    def test_the_longest_recordings_start_first_and_others_fill_the_batch(self, tmp_path):
        recogniser = FakeRecogniser(writing_script(lambda _: "<0.00>ab<2.00>"))
        tapes = {"short": "a" * 20, "long": "a" * 80, "also": "a" * 40, "b": "a" * 20}
        found = decode(recogniser, tapes, tmp_path, batch_size=2)
        assert list(found) == ["also", "b", "long", "short"]
        assert recogniser.batch_sizes == [2, 2, 2, 2]

    def test_a_recording_that_cannot_be_read_does_not_stop_the_others(self, tmp_path):
        good = write_tape(tmp_path / "good.wav", "a" * 40)
        (tmp_path / "broken.wav").write_bytes(b"RIFFnot really")
        names = {"broken": "broken.wav", "missing": "missing.wav", "good": "good.wav"}
        sources = [Source(name, str(tmp_path / file)) for name, file in names.items()]
        recogniser = FakeRecogniser(writing_script(lambda _: "<0.00>ab<2.00>"))
        found = {one.recording_id: one for one in decode_recordings(recogniser, sources, Options(batch_size=2))}
        assert spans(found["good"]) == [(0, 2, "ab"), (2, 4, "ab")]
        assert isinstance(found["broken"], Failed)
        assert found["missing"].reason == "missing"
        assert "there is no such file" in found["missing"].detail
        assert good.exists()

    def test_a_recording_that_changes_during_decoding_fails_by_name(self, tmp_path):
        path = write_tape(tmp_path / "a.wav", "a" * 60)
        recogniser = FakeRecogniser(writing_script(lambda _: "<0.00>ab<2.00>"))
        windows = []

        def meddle(window):
            windows.append(window)
            write_tape(path, "b" * 50)

        (failed,) = decode_recordings(recogniser, [Source("a", str(path))], Options(), on_window=meddle)
        assert (failed.recording_id, failed.reason) == ("a", "changed")
        assert len(windows) == 1

    def test_a_stretch_counts_from_its_own_start(self, tmp_path):
        path = write_tape(tmp_path / "a.wav", "x" * 13 + "_ab__cd_" + "y" * 30)
        source = Source("a", str(path), 0.8, 1.3, 2.1)
        (found,) = decode_recordings(FakeRecogniser(writing_script(text_of_tape)), [source], Options())
        assert found.duration_s == pytest.approx(0.8)
        assert spans(found) == [(0.1, 0.3, "ab"), (0.5, 0.7, "cd")]


def test_cost_grows_linearly_with_the_audio(tmp_path):
    counted = {}
    for n_times in (1, 10):
        recogniser = FakeRecogniser(babble)
        found = one(recogniser, "abcdefg_ab__cdefg_ag" * 3 * n_times, tmp_path)
        counted[n_times] = (len(found.windows), recogniser.n_row_steps)
        assert recogniser.n_windows == len(found.windows) <= 1 + 6 * n_times  # at least a second each
    assert counted[10][0] <= 10 * counted[1][0] * 1.5
    assert counted[10][1] <= counted[10][0] * 64


def test_ended_rows_leave_the_batch(tmp_path):
    """Fifteen windows of one letter and one of forty: after the first step, the long one is alone."""
    recogniser = FakeRecogniser(writing_script(lambda tape: "abcdefghij" * 4 if tape.startswith("z") else "a"))
    tapes = {f"r{n:02d}": "a" * 20 for n in range(15)} | {"z": "z" * 20}
    decode(recogniser, tapes, tmp_path, batch_size=16)
    assert recogniser.n_steps == 40
    assert recogniser.n_row_steps == 16 + 39


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; at least 1"),
        ({"mode": "ctc"}, "mode ctc has no timestamps"),
        ({"min_advance_s": 0.0}, "min_advance_s is 0"),
        ({"ctc_weight": 1.0}, "ctc_weight is 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Options(**options)


def babble(tape: str, prefix: tuple[int, ...]) -> list[float]:
    """A random network: the next token depends on the window and on all earlier tokens."""
    chance = random.Random(repr((tape, prefix)))
    logits = [chance.gauss(0, 3) for _ in range(N_IDS)]
    logits[EOS] += 4.0
    last_time = max((token for token in prefix if token < FIRST_LETTER), default=0)
    return [-20.0 if 0 < token < last_time else logit for token, logit in enumerate(logits)]
