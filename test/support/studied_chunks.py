"""Chunks with facts that a test decides, for the study: in memory, and as the folders of an experiment."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from k2d.score.rates import ErrorRate
from k2d.select.chunk_row import PairDistances
from k2d.study.doubt import Doubt
from k2d.study.facts import StudiedChunk

CONF = """
corpora: {unlabelled: [lab/lectures]}
auxiliaries: {base: {}}
select: {methods: {kd_all: {rule: none}, k2d: {rule: composite, alpha: 0.3}}}
score: {bootstrap_resamples: 20}
"""
WORDS = "今天我們講機器學習模型資料訓練參數更新梯度下降"


def chunk(n_errors, distance, *, at=0, recording="r1", words=10, loops=(False, False), logprob=-0.3, **more):
    """A chunk of 10 s with this many true errors, which every auxiliary finds this far from its opinion."""
    distances = distance if isinstance(distance, dict) else {"base": distance}
    by_auxiliary = {
        name: PairDistances(*loops, 10, 10, {"mer": far, "per": far, "composite": 1.0 if loops[0] else far})
        for name, far in distances.items()
    }
    doubt = Doubt(logprob, logprob, None, 0.0, 1.2, 1.0)
    insertions = max(0, n_errors - words)
    errors = ErrorRate(words, s=n_errors - insertions, i=insertions)
    made = StudiedChunk(
        f"lab/lectures/{recording}-{at}", f"lab/lectures/{recording}", 10.0, by_auxiliary, doubt, {}, errors
    )
    return replace(made, **more)


def two_witnesses(n_recordings=12, n_each=40, seed=1):
    """Chunks whose true error shows in the distance and in the log-probability, each with noise of its own."""
    random = np.random.default_rng(seed)
    found = []
    for recording in range(n_recordings):
        for at in range(n_each):
            error = random.beta(1, 3)
            distance = float(np.clip(error + random.normal(0, 0.2), 0, 1))
            logprob = float(-error + random.normal(0, 0.2))
            n_errors = round(20 * error)
            found.append(chunk(n_errors, distance, at=at, recording=f"r{recording:02}", words=20, logprob=logprob))
    return found


def settings(root: Path) -> list[str]:
    return ["--conf", str(root / "x.yaml"), f"exp={root / 'exp'}", f"data={root / 'data'}"]


def write_split(root: Path, split: str, recordings: tuple[str, ...], auxiliaries: tuple[str, ...] = ("base",)) -> None:
    """Chunks of 10 s: their labels, windows, distances and truth. A label has 10 words, of which up to 6 are wrong."""
    exp = root / "exp" / "x"
    n_wrong = (0, 0, 1, 2, 6)
    keys = [(name, at) for name in recordings for at in range(len(n_wrong))]
    message = {f"{name}-{at}": WORDS[at : at + 10] for name, at in keys}
    labels = {key: "錯" * n_wrong[int(key[-1])] + text[n_wrong[int(key[-1])] :] for key, text in message.items()}
    spans = {f"{name}-{at}": f"{name} {10 * at} {10 * at + 10}" for name, at in keys}
    speakers = {f"{name}-{at}": name for name, at in keys}
    audio = {name: f"{name}.wav" for name in recordings}
    utterances = {name: " ".join(key for key in sorted(speakers) if speakers[key] == name) for name in recordings}
    common = {"wav.scp": audio, "segments": spans, "utt2spk": speakers, "spk2utt": utterances}
    timed = {key: f"<0.00>{text}<10.00>" for key, text in labels.items()}
    logprobs = {key: f"{-0.1 - n_wrong[int(key[-1])] / 10:.2f}" for key in message}
    _write(root / "data" / f"{split}_truth", {**common, "text": message})
    _write(exp / "chunks" / split, {**common, "text": timed, "utt2logprob": logprobs})
    _write_windows(exp / "pseudo" / split, recordings, n_wrong)
    for auxiliary in auxiliaries:
        _write_distances(exp / "select" / "distances" / auxiliary, split, keys, n_wrong)


def _write(folder: Path, tables: dict[str, dict[str, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / name).write_text("".join(f"{key} {rows[key]}\n" for key in sorted(rows)), encoding="utf-8")


def _write_windows(folder: Path, recordings: tuple[str, ...], n_wrong: tuple[int, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "hyp.jsonl").open("w", encoding="utf-8") as file:
        for name in recordings:
            windows = [
                {"start_s": 10.0 * at, "advance_s": 10.0, "n_tokens": 12, "moved_by": "window"}
                | {"ended": "loop" if wrong > 5 else "end", "mean_logprob": -0.1 - wrong / 10}
                for at, wrong in enumerate(n_wrong)
            ]
            line = {"id": name, "duration_s": 10.0 * len(n_wrong), "segments": [], "windows": windows}
            file.write(json.dumps(line) + "\n")


def _write_distances(folder: Path, split: str, keys: list[tuple[str, int]], n_wrong: tuple[int, ...]) -> None:
    """The distance is the true error, but for the second chunk, in which the auxiliary is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "distances.tsv"
    columns = "id recording duration_s loops_teacher loops_auxiliary n_teacher n_auxiliary mer per composite"
    lines = [] if path.exists() else [columns]
    for name, at in keys:
        far = f"{0.5 if at == 1 else n_wrong[at] / 10:.4f}"
        lines.append(f"{split}/{name}-{at} {name} 10.000 0 0 10 10 {far} {far} {far}")
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(line.replace(" ", "\t") + "\n" for line in lines))
