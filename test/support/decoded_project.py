"""A small experiment with tiny random models, for tests of the stages that decode."""

from __future__ import annotations

from pathlib import Path

from made_audio import speechlike, write_audio

CONF = """
data: data
max_bad: 0.5
corpora: {unlabelled: [lab/train], in_domain: [lab/test]}
teacher: {language: [zho]}
auxiliaries: {base: {language: [zho]}}
chunk: {max_s: 10.0}
decode: {batch_size: 3, max_tokens: 30}
score: {speed_runs: 2}
"""

LENGTHS_S = {"ra": 12.0, "rb": 31.0, "rc": 4.5, "rd": 22.0}


def write_experiment(root: Path) -> None:
    """Data directories, a config `x` and models of the experiment."""
    (root / "conf" / "x.yaml").write_text(CONF, encoding="utf-8")
    write_set(root, "lab/train", LENGTHS_S)
    write_set(root, "lab/test", {"ta": 8.0, "tb": 15.0})
    write_models(root / "exp" / "x" / "models")


def write_models(folder: Path) -> None:
    from models_made import made_recogniser

    for seed, name in enumerate(("teacher", "base")):
        made_recogniser(folder.parent / "made" / name, seed=seed, num_blocks=2).save(folder / name)


def write_set(root: Path, split: str, lengths_s: dict[str, float]) -> None:
    audio = {key: root / "audio" / f"{key}.wav" for key in lengths_s}
    for seed, (key, path) in enumerate(audio.items()):
        write_audio(path, speechlike(lengths_s[key], seed=seed))
    write_tables(root / "data" / split, audio, lengths_s)


def write_tables(folder: Path, audio: dict[str, Path], lengths_s: dict[str, float]) -> None:
    """A data directory of whole recordings."""
    folder.mkdir(parents=True)
    tables = {
        "wav.scp": [f"{key} {path}" for key, path in sorted(audio.items())],
        "utt2spk": [f"{key} {key}" for key in sorted(audio)],
        "spk2utt": [f"{key} {key}" for key in sorted(audio)],
        "text": [f"{key} 我們 today" for key in sorted(audio)],
        "utt2dur": [f"{key} {length_s}" for key, length_s in sorted(lengths_s.items())],
    }
    for name, rows in tables.items():
        (folder / name).write_text("".join(row + "\n" for row in rows), encoding="utf-8")
