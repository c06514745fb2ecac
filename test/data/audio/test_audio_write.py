"""Audio files are written completely or not at all."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import soundfile
from made_audio import speechlike

from k2d.core.errors import UsageError
from k2d.core.layout import PROJECT_ROOT
from k2d.data.audio import AudioError, AudioSource, probe, read, write


@pytest.mark.parametrize(("name", "container"), [("a.wav", "wav"), ("a.flac", "flac"), ("B.FLAC", "flac")])
def test_written_audio_is_read_back(tmp_path, name, container):
    path = tmp_path / "new folder" / name
    write(path, speechlike(6), 16_000)
    info = probe(AudioSource(path))
    assert (info.container, info.subtype, info.sample_rate_hz, info.n_channels) == (container, "PCM_16", 16_000, 1)
    np.testing.assert_allclose(read(AudioSource(path)), speechlike(6), atol=1 / 32_768)
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_ten_minutes_do_not_crash_the_encoder(tmp_path):
    write(tmp_path / "a.flac", np.zeros(600 * 16_000, np.float32), 16_000)
    assert probe(AudioSource(tmp_path / "a.flac")).duration_s == 600


def test_samples_beyond_full_scale_are_clipped(tmp_path):
    write(tmp_path / "a.wav", np.full(1_000, 1.5, np.float32), 16_000)
    assert read(AudioSource(tmp_path / "a.wav")).min() == 32_767 / 32_768


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_not_written_and_the_old_file_stays(tmp_path, bad):
    path = tmp_path / "a.wav"
    write(path, speechlike(1), 16_000)
    with pytest.raises(AudioError, match="is not written: some samples are NaN") as caught:
        write(path, np.full(1_000, bad, np.float32), 16_000)
    assert caught.value.reason == "nan_samples"
    assert len(read(AudioSource(path))) == 16_000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("shape", [(0,), (1_000, 2)])
def test_only_one_channel_with_samples_is_written(tmp_path, shape):
    with pytest.raises(AudioError, match="cannot be written from an array of shape"):
        write(tmp_path / "a.wav", np.zeros(shape, np.float32), 16_000)


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"audio is written as \.flac or \.wav"):
        write(tmp_path / name, speechlike(1), 16_000)


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from k2d.data.audio import AudioError, write
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
        write(Path(sys.argv[1]), np.random.default_rng(0).uniform(-1, 1, 200_000).astype("f4"), 16_000)
    except AudioError as error:
        print(error.reason, error.remedy)
"""


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
@pytest.mark.slow
def test_a_full_disk_leaves_the_old_file_and_no_partial_one(tmp_path, name):
    """A limit on the size of files simulates a full disk: writing fails in the middle."""
    path = tmp_path / name
    write(path, speechlike(1), 16_000)
    command = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(path)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("unwritable check the free space")
    assert list(tmp_path.iterdir()) == [path]
    assert soundfile.info(path).frames == 16_000


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AudioError, match="cannot be written") as caught:
        write(tmp_path / "file" / "a.wav", speechlike(1), 16_000)
    assert caught.value.reason == "unwritable"
