"""A small CSZS: pairs of clips in parquet, with file numbers that start again in each split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
from made_parquet import AUDIO, clip, write_shard

TYPES = {
    "correct_audio": AUDIO,
    "correct_transcription": pyarrow.string(),
    "correct_file": pyarrow.string(),
    "wrong_audio": AUDIO,
    "wrong_transcription": pyarrow.string(),
    "wrong_file": pyarrow.string(),
}
TEXTS = {
    "train": [
        "目前正在爆发的Zika virus epidemic has  raised concerns.",
        "饭山站 is a train station.",
        "皮纹检测 近期.",
    ],
    "dev": ["是桂林市one of the key middle schools."],
    "test": ["为松本市的 means 'for the city'.", "so what"],
}
DIGESTS = ["f91d512c114f6746", "5167fe20fa182c59"]


def pair(split: str, number: int, text: str) -> dict[str, Any]:
    def file(half: str) -> str:
        return f"/corpora/cs_16k/wav/zh_en/{split}/{half}/{number}.wav"

    return {
        "correct_audio": clip(1.0 + number / 10, seed=number, path=f"{number}.wav"),
        "correct_transcription": text,
        "correct_file": file("correct"),
        "wrong_audio": clip(0.5, seed=100 + number, path=f"{number}.wav"),
        "wrong_transcription": f"{text} 错",
        "wrong_file": file("wrong"),
    }


def write_cszs(root: Path) -> Path:
    """Shards of two rows, in row groups of one."""
    for split, texts in TEXTS.items():
        rows = [pair(split, number, text) for number, text in enumerate(texts)]
        shards = [rows[at : at + 2] for at in range(0, len(rows), 2)]
        for n, shard in enumerate(shards):
            name = f"{split}-{n:05d}-of-{len(shards):05d}-{DIGESTS[n]}.parquet"
            write_shard(root / "data" / name, shard, TYPES, group_rows=1)
    return root
