"""The recording and its stretches from which a chunk was made, for chunks with and without their own audio."""

import pytest

from k2d.core.errors import K2DError
from k2d.data.chunk_sources import Source, read_sources, source_value
from k2d.data.kaldi.subset import By, subset
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import AudioLevel, Checks

CUT_OUT = {
    "wav.scp": "r1-a a.flac\nr1-b b.flac\n",
    "utt2spk": "r1-a r1\nr1-b r1\n",
    "spk2utt": "r1 r1-a r1-b\n",
    "text": "r1-a <0.00>甲<2.50>\nr1-b <0.00>乙<1.00>\n",
    "utt2dur": "r1-a 2.5\nr1-b 1.0\n",
    "utt2source": "r1-a r1 0.5 2.0 3.0 4.0\nr1-b r1 7.0 8.0\n",
}


def folder_of(tmp_path, tables):
    for name, text in tables.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_chunks_in_their_recording_are_one_stretch_of_it(tmp_path):
    folder = folder_of(tmp_path, {"segments": "r1-a r1 0.5 5.5\nr2-a r2 1.0 4.0\n"})
    assert list(read_sources(folder)) == [
        ("r1-a", Source("r1", ((0.5, 5.5),))),
        ("r2-a", Source("r2", ((1.0, 4.0),))),
    ]


def test_chunks_with_their_own_audio_name_their_sources(tmp_path):
    (key, source), other = read_sources(folder_of(tmp_path, CUT_OUT))
    assert (key, source) == ("r1-a", Source("r1", ((0.5, 2.0), (3.0, 4.0))))
    assert (source.start_s, source.end_s, source.duration_s) == (0.5, 4.0, 2.5)
    assert other == ("r1-b", Source("r1", ((7.0, 8.0),)))


def test_written_sources_are_read_back(tmp_path):
    source = Source("課", ((0.07, 2.0), (3.29, 1234.56)))
    folder = folder_of(tmp_path, {"utt2source": f"x {source_value(source)}\n"})
    assert list(read_sources(folder)) == [("x", source)]


def test_a_subset_of_a_directory_keeps_the_sources(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    folder_of(source, CUT_OUT)
    assert validate(source, Checks(audio=AudioLevel.NONE)).report.lines() == [
        f"warning: {source / 'utt2spk'}: there is only one speaker [one_speaker]"
    ]
    subset(source, tmp_path / "half", 1, By.LAST)
    assert list(read_sources(tmp_path / "half")) == [("r1-b", Source("r1", ((7.0, 8.0),)))]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"utt2dur": "a 1.0\n"}, "neither segments nor utt2source, .*; run stage 6 \\(chunk\\) again"),
        ({"utt2source": "a r1 1.0\n"}, "utt2source:1: expected recording, then start and end of each piece, found"),
        ({"utt2source": "a r1 1.0 2.0 1.5 3.0\n"}, "'a' .*r1 1.0 2.0 1.5 3.0.*each after the one before"),
        ({"utt2source": "a r1 2.0 2.0\n"}, "'a' .*each after the one before"),
        ({"segments": "a r1 2.0 1.0\n"}, "'a' .*each after the one before"),
    ],
)
def test_bad_sources_are_refused(tmp_path, tables, message):
    with pytest.raises(K2DError, match=message):
        list(read_sources(folder_of(tmp_path, tables)))
