"""Two texts side by side with their audio. Missing parts are reported in their place."""

import base64
import io

import numpy as np
import pytest
import soundfile
from made_audio import speechlike, write_audio
from made_distances import far
from made_experiment import write_chunks

from k2d.report import sounds
from k2d.report.disagreements import MAX_TOKENS, joined, pairs, stretches
from k2d.select.chunk_row import ChunkRow
from k2d.text.timestamps import strip_timestamps
from k2d.text.tokenise import token_texts


def tokens(text):
    return token_texts(strip_timestamps(text))


def row(key, split="mini/lectures", duration_s=10.0):
    return ChunkRow(f"{split}/{key}", "r1", duration_s, far(False, False, 5, 5, 0.5, 0.25))


def shown(found):
    return [(s.text, s.is_shared) for s in found]


def test_only_differences_are_marked():
    teacher, auxiliary = ["我", "用", "GPU", "跑", "model"], ["我", "用", "CPU", "model"]
    assert shown(stretches(teacher, auxiliary)) == [("我用", True), ("GPU 跑", False), ("model", True)]
    assert shown(stretches(auxiliary, teacher)) == [("我用", True), ("CPU", False), ("model", True)]


def test_equal_and_empty_texts():
    assert shown(stretches(["好"], ["好"])) == [("好", True)]
    assert shown(stretches(["好"], [])) == [("好", False)]
    assert stretches([], ["好"]) == ()


def test_tokens_are_joined_as_they_are_written():
    assert joined(["café", "été", "𠮷", "野", "家", "3", "D"]) == "café été 𠮷野家 3 D"


def test_a_pair_has_both_texts_their_distances_and_the_sound_of_its_segment(bench, tmp_path):
    samples = speechlike(21.0)
    audio = write_audio(tmp_path / "課 1.wav", samples, subtype="PCM_16")
    write_chunks(bench.exp, {"c1": ("我用 GPU", "我用 CPU"), "c2": ("好", "不好")}, str(audio))
    second, first = pairs([row("c2"), row("c1")], "base", bench.layout, tokens)
    assert first.id == "mini/lectures/c1"
    assert first.facts == "10.0 s · no loop · MER 0.50 · PER 0.25 · composite 0.25"
    assert ("我用", True) in shown(first.teacher)
    assert ("GPU", False) in shown(first.teacher)
    assert ("CPU", False) in shown(first.auxiliary)
    sound, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(second.clip.uri.partition(",")[2])), dtype="float32")
    assert (rate_hz, len(sound)) == (16_000, 160_000)
    assert np.abs(sound - samples[160_000:320_000]).max() < 1e-4  # the second ten seconds


def test_missing_parts_are_reported_in_their_place(bench, tmp_path):
    write_chunks(bench.exp, {"c1": ("好", "不好")}, str(tmp_path / "gone.wav"))
    silent, unknown = pairs([row("c1"), row("c9")], "base", bench.layout, tokens)
    assert "there is no such file" in silent.clip.why_not
    assert "teacher's text is missing · auxiliary's text is missing" in unknown.facts
    assert unknown.clip.why_not == "its chunk directory has no audio for it"
    assert unknown.teacher == ()
    (elsewhere,) = pairs([row("c1", "other/split")], "base", bench.layout, tokens)
    assert "teacher's text is missing" in elsewhere.facts


@pytest.mark.parametrize(("bad", "message"), [(np.full(320_000, np.nan, np.float32), "nan_samples"), (None, "empty")])
def test_audio_that_cannot_be_read_is_reported(bench, tmp_path, bad, message):
    audio = tmp_path / "bad.wav"
    if bad is None:
        audio.write_bytes(b"")
    else:
        write_audio(audio, bad, subtype="FLOAT")
    write_chunks(bench.exp, {"c1": ("好", "不好")}, str(audio))
    (pair,) = pairs([row("c1")], "base", bench.layout, tokens)
    assert pair.clip.uri == ""
    assert message in pair.clip.why_not


def test_a_pipe_in_wav_scp_is_not_run(bench, tmp_path):
    write_chunks(bench.exp, {"c1": ("好", "不好")}, f"touch {tmp_path / 'ran'} |")
    (pair,) = pairs([row("c1")], "base", bench.layout, tokens)
    assert "[pipe]" in pair.clip.why_not
    assert not (tmp_path / "ran").exists()


def test_silence_is_also_embedded(bench, tmp_path):
    audio = write_audio(tmp_path / "zeros.wav", np.zeros(160_000, np.float32), subtype="PCM_16")
    write_chunks(bench.exp, {"c1": ("謝謝", "好")}, str(audio))
    (pair,) = pairs([row("c1")], "base", bench.layout, tokens)
    assert pair.clip.uri.startswith("data:audio/flac;base64,")


def test_an_endless_loop_is_cut_and_marked(bench, tmp_path):
    write_chunks(bench.exp, {"c1": ("謝" * 100_000, "好 " * 100_000)}, str(tmp_path / "gone.wav"))
    (pair,) = pairs([row("c1")], "base", bench.layout, tokens)
    assert f"first {MAX_TOKENS} of 100,000 tokens" in pair.facts
    assert sum(len(s.text) for s in pair.teacher) == MAX_TOKENS


def test_a_full_page_gets_no_more_sounds_and_reports_it(tmp_path):
    audio = write_audio(tmp_path / "a.wav", speechlike(4.0), subtype="PCM_16")
    one = len(sounds.Clips().cut(str(audio), (0.0, 1.0)).uri)
    page = sounds.Clips(max_bytes=2 * one + 100)
    cut = [page.cut(str(audio), span) for span in ((0.0, 1.0), (0.0, 4.0), (0.0, 1.0), (0.0, 1.0))]
    assert [bool(clip.uri) for clip in cut] == [True, False, True, False]
    assert page.n_bytes == 2 * one
    assert cut[1].why_not.startswith("a page has at most")
