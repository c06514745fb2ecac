"""The pool's audio in one file: the same samples as in the corpus, made once, and all dropped utterances counted."""

import numpy as np
import pytest
import soundfile
from built_together import opened_together

from k2d.core.errors import K2DError
from k2d.train import pool as pool_module
from k2d.train.pool import open_pool

RATE_HZ = 16_000


@pytest.fixture
def corpus(tmp_path):
    """A data directory of FLAC files with the given texts and durations."""

    def make(name, texts, durations_s, first=0):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        rng = np.random.default_rng(first)
        ids = [f"s-{first + k}" for k in range(len(texts))]
        for key, duration_s in zip(ids, durations_s, strict=True):
            audio = rng.integers(-32768, 32768, round(duration_s * RATE_HZ)).astype(np.int16)
            soundfile.write(folder / f"{key}.flac", audio, RATE_HZ)
        tables = {
            "wav.scp": [folder / f"{key}.flac" for key in ids],
            "text": texts,
            "utt2spk": ["s"] * len(ids),
        }
        for table, values in tables.items():
            lines = (f"{key} {value}".rstrip() for key, value in zip(ids, values, strict=True))
            (folder / table).write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "spk2utt").write_text(f"s {' '.join(ids)}\n")
        return folder

    return make


def test_the_samples_equal_those_of_the_files(corpus, tmp_path):
    folder = corpus("a", ["你好", "so what"], [0.5, 0.3])
    pool = open_pool([folder], tmp_path / "cache", rate_hz=RATE_HZ, max_s=10.0)
    assert (list(pool.ids), list(pool.texts)) == (["s-0", "s-1"], ["你好", "so what"])
    assert pool.durations_s.tolist() == [0.5, 0.3]
    for number in range(2):
        assert np.array_equal(pool.samples(number), soundfile.read(folder / f"s-{number}.flac", dtype="float32")[0])


def test_it_is_made_once_and_again_when_the_corpus_changes(corpus, tmp_path):
    folder, cache = corpus("a", ["a", "b"], [0.5, 0.3]), tmp_path / "cache"
    open_pool([folder], cache, rate_hz=RATE_HZ, max_s=10.0)
    (folder / "s-0.flac").rename(folder / "elsewhere")
    (folder / "elsewhere").rename(folder / "s-0.flac")
    made_at = (cache / "audio.int16").stat().st_mtime_ns
    open_pool([folder], cache, rate_hz=RATE_HZ, max_s=10.0)
    assert (cache / "audio.int16").stat().st_mtime_ns == made_at
    (folder / "text").write_text("s-0 a\ns-1 c\n")
    assert list(open_pool([folder], cache, rate_hz=RATE_HZ, max_s=10.0).texts) == ["a", "c"]
    assert (cache / "audio.int16").stat().st_mtime_ns != made_at


def test_utterances_that_do_not_fit_are_counted(corpus, tmp_path):
    folder = corpus("a", ["a", "b", "c", ""], [0.5, 0.8, 0.51, 0.3])
    pool = open_pool([folder], tmp_path / "cache", rate_hz=RATE_HZ, max_s=0.5)
    assert list(pool.ids) == ["s-0"]
    assert pool.dropped == {"too_long": 2, "empty_text": 1}


def test_several_corpora_are_one_pool(corpus, tmp_path):
    folders = [corpus("b", ["c"], [0.2], first=5), corpus("a", ["a", "b"], [0.2, 0.2])]
    pool = open_pool(folders, tmp_path / "cache", rate_hz=RATE_HZ, max_s=1.0)
    assert list(pool.ids) == ["s-0", "s-1", "s-5"]


def test_an_utterance_in_two_corpora_is_refused(corpus, tmp_path):
    folders = [corpus("a", ["a"], [0.2]), corpus("b", ["a"], [0.2])]
    with pytest.raises(K2DError, match=r"utterance 's-0' is in two of them; train on each utterance once"):
        open_pool(folders, tmp_path / "cache", rate_hz=RATE_HZ, max_s=1.0)


def test_nothing_to_train_on_is_refused(corpus, tmp_path):
    folder = corpus("a", ["a"], [0.6])
    with pytest.raises(K2DError, match=r"no utterance with a text of at most 0.5 s to train on, {'too_long': 1} left"):
        open_pool([folder], tmp_path / "cache", rate_hz=RATE_HZ, max_s=0.5)
    assert not (tmp_path / "cache").exists()


def test_background_voices_come_from_all_utterances(corpus, tmp_path):
    pool = open_pool([corpus("a", ["a"], [0.2])], tmp_path / "cache", rate_hz=RATE_HZ, max_s=1.0)
    rng = np.random.default_rng(0)
    assert len({pool.anywhere(rng, 100).tobytes() for _ in range(20)}) == 20
    assert len(pool.anywhere(rng, 5000)) == 5000  # longer than all there is: silence behind


def test_processes_that_start_together_make_it_once(corpus, tmp_path, monkeypatch):
    folder, cache = corpus("a", ["a", "b"], [0.5, 0.3]), tmp_path / "cache"
    pools, n_made = opened_together(
        pool_module, lambda: open_pool([folder], cache, rate_hz=RATE_HZ, max_s=10.0), monkeypatch
    )
    assert n_made == 1
    first, second = pools
    assert list(first.ids) == list(second.ids) == ["s-0", "s-1"]
    for number in range(2):
        samples = soundfile.read(folder / f"s-{number}.flac", dtype="float32")[0]
        assert np.array_equal(first.samples(number), samples)
        assert np.array_equal(second.samples(number), samples)


def test_files_of_a_killed_process_are_no_obstacle(corpus, tmp_path):
    folder = corpus("a", ["a"], [0.5])
    (tmp_path / ".cache.partial").mkdir()
    (tmp_path / ".cache.partial" / "audio.int16").write_bytes(b"half")
    (tmp_path / ".cache.partial" / "other").write_bytes(b"half")
    open_pool([folder], tmp_path / "cache", rate_hz=RATE_HZ, max_s=10.0)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["audio.int16", "index.json"]
