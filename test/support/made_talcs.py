"""A small TALCS with the same utterances in both layouts."""

from __future__ import annotations

from pathlib import Path

from made_audio import speechlike, write_audio

LABELS = {
    "train": {
        "171007-c0001-0001": "我们来看 Ａpple #这个词",
        "171007-c0001-0002": "ｂanana，好吗？ it's ok",
        "171007-c0001-0003": "#",
    },
    "dev": {"171007-c0002-0001": "how are you"},
    "test": {"171007-c0003-0001": "下一页 page ３"},
}


def write_sets(root: Path) -> Path:
    """Layout A: label lines split at any white space, and a recording without a label."""
    for seed, (split, labels) in enumerate(LABELS.items()):
        folder = root / "TALCS_corpus" / f"{split}_set"
        for key in (*labels, f"{split}-unlabelled"):
            write_audio(folder / "wav" / f"{key}.wav", speechlike(1.0, seed=seed))
        lines = [f"{key}\t{text}\r\n" for key, text in labels.items()]
        (folder / "label.txt").write_bytes("".join(lines).encode())
    return root


def write_pool(root: Path) -> Path:
    """Layout B: one label file, recordings in folders of any depth."""
    folder = root / "TAL_CSASR"
    labels = {key: text for split in LABELS.values() for key, text in split.items()}
    for n, key in enumerate(labels):
        write_audio(folder / "cs_wav" / str(n % 2) / "deep" / f"{key}.wav", speechlike(1.0, seed=n))
    (folder / "label").write_text("".join(f"{key} {text}\n" for key, text in labels.items()), encoding="utf-8")
    return root
