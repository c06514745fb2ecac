"""A small CS-Dialogue: its index, its scripts and its audio, unpacked or in an archive in parts."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

from made_audio import speechlike, write_audio

TEXTS = {
    "train": {
        "ZH-CN_U0001_S0_4": "<MIX> 嗯，我是 Luna ，嗯<FIL/>，你现在。",
        "ZH-CN_U0001_S0_101": "<CN> 好的 **好的** 。",
        "ZH-CN_U0002_S0_7": "<NPS/> <SPK/>",
    },
    "dev": {"ZH-CN_U0003_S0_1": "<EN> so what do you think? <NON/>"},
    "test": {"ZH-CN_U0004_S0_12": "<MIX> 我 think 可以。"},
}


def write_csdialogue(root: Path, *, tagged: bool = True) -> Path:
    """The repository with its audio unpacked as its README says: data/short_wav/WAVE/…"""
    data = root / "data"
    scripts: dict[str, list[str]] = {}
    for split, texts in TEXTS.items():
        scp, lines = [], []
        for seed, (key, text) in enumerate(texts.items()):
            speaker = key.rpartition("_")[0]
            path = f"short_wav/WAVE/C0/{speaker}/{key}.wav"
            write_audio(data / path, speechlike(1.0, seed=seed))
            scp.append(f"{key} {path}")
            lines.append(f"{key} {text if tagged else text.split(' ', 1)[1]}")
            scripts.setdefault(speaker, []).append(f"{key}\t{text}")
        write(data / "index/short_wav" / split / "wav.scp", scp)
        write(data / "index/short_wav" / split / "text", lines)
    for speaker, lines in scripts.items():
        write(data / "short_wav/SCRIPT" / f"{speaker}.txt", lines)
    return root


def pack(root: Path) -> Path:
    """Put the audio back into its archive, in two parts."""
    data = root / "data"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(data / "short_wav", "short_wav")
    shutil.rmtree(data / "short_wav")
    (data / "short_wav").mkdir()
    content = buffer.getvalue()
    for n, part in enumerate((content[: len(content) // 2], content[len(content) // 2 :])):
        (data / "short_wav" / f"short_wav.tar.gz0{n}").write_bytes(part)
    return root


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
