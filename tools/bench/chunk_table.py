"""The cost of starting a student's training on many chunks: time and memory of each process, compared with lists.

    python tools/bench/chunk_table.py [--chunks 1000000] [--words 60] [--without-lists]

A kept folder is made in a temporary place: chunks of 28 s with that many words of two languages, and times. Each part
runs in a new process. `table` is the leading process (it reads, tokenises and writes), `rank` is every other process
and a rerun. `lists` is the plain way for every process: read all chunks into a list, tokenise all labels for their
lengths, and collect all ids. Both ways must give the same first batches. Memory is the peak minus the imports; mapped
memory counts if it was touched.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

PROJECT_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT_ROOT))

import numpy as np  # noqa: E402

from egs.mini.words import read_deck  # noqa: E402
from k2d.data.kaldi.datadir import read_utterances  # noqa: E402
from k2d.models.codec import Window  # noqa: E402
from k2d.models.espnet_s2t.codec import S2TCodec  # noqa: E402
from k2d.models.espnet_s2t.pieces import pieces_of, train_pieces  # noqa: E402
from k2d.models.espnet_s2t.vocabulary import layout_of, preprocessor_conf, special_symbols, token_list  # noqa: E402
from k2d.train.batches import plain  # noqa: E402
from k2d.train.bucketing import LengthBatches  # noqa: E402
from k2d.train.chunk_writing import TableRequest, open_chunks  # noqa: E402

CHUNKS_PER_RECORDING, BATCH_SIZE = 120, 256
WINDOW = Window(30.0, 16000, 0.02)
MAX_TOKENS = 448


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--words", type=int, default=60, help="in a chunk (default: 60)")
    parser.add_argument("--without-lists", action="store_true", help="leave out the plain way, which takes longest")
    parser.add_argument("--part", choices=["table", "rank", "lists"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(_measured(arguments.part, arguments.folder)))
        return
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    with tempfile.TemporaryDirectory(prefix="k2d-bench-") as folder:
        _write_chunks(Path(folder, "kept"), arguments.chunks, arguments.words)
        (Path(folder) / "pieces.model").write_bytes(_pieces())
        parts = ("table", "rank") if arguments.without_lists else ("table", "rank", "lists")
        found = {part: _run(part, Path(folder)) for part in parts}
        size = sum(path.stat().st_size for path in (Path(folder) / "table").iterdir())
        print(f"on disk: {size / arguments.chunks:,.0f} bytes a chunk")
    batches = {json.dumps(figures["batches"]) for figures in found.values()}
    print(f"first batches: {'the same' if len(batches) == 1 else 'DIFFERENT'}")


def _run(part: str, folder: Path) -> dict[str, Any]:
    words = [sys.executable, __file__, "--part", part, "--folder", str(folder)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    print(
        f"{part}: {figures['wall_s']:.1f} s ({figures['cpu_s']:.1f} s of processor), "
        f"{figures['peak_mb']:,.0f} MB on top of {figures['imports_mb']:,.0f}",
        flush=True,
    )
    return figures


def _measured(part: str, folder: Path) -> dict[str, Any]:
    """Do what stage 10 does first, up to the numbers of the first batches."""
    codec = _codec((folder / "pieces.model").read_bytes())
    imports_mb = _status_mb("VmHWM")
    started, started_cpu = time.perf_counter(), time.process_time()
    if part == "lists":
        lengths = _lengths_from_lists(folder / "kept", codec)
    else:
        table = open_chunks(TableRequest({folder / "kept": frozenset()}, codec, MAX_TOKENS), folder / "table")
        lengths = table.lengths
    made = LengthBatches(lengths, BATCH_SIZE, (1, 0))
    batches = [made.batch(step).tolist()[:5] for step in range(3)]
    figures = {"wall_s": time.perf_counter() - started, "cpu_s": time.process_time() - started_cpu}
    return {**figures, "imports_mb": imports_mb, "peak_mb": _status_mb("VmHWM") - imports_mb, "batches": batches}


def _lengths_from_lists(kept: Path, codec: S2TCodec) -> np.ndarray[Any, Any]:
    chunks = [SimpleNamespace(row=row, previous=plain(row.text or "")) for row in read_utterances(kept)]
    fitting = [chunk for chunk in chunks if len(codec.ids(chunk.row.text)) + 5 < MAX_TOKENS]
    n_kept = len([chunk for chunk in read_utterances(kept) if chunk.recording_id])
    assert n_kept == len(chunks)
    lengths = np.array([len(codec.ids(chunk.row.text)) for chunk in fitting], dtype=np.int64)
    words = np.unique(np.concatenate([codec.ids(plain(chunk.row.text)) for chunk in fitting]))
    assert len(words)
    return lengths


# --- the data ---


def _write_chunks(folder: Path, n_chunks: int, n_words: int) -> None:
    folder.mkdir()
    names = ("segments", "text", "utt2spk")
    files = {name: (folder / name).open("w", encoding="utf-8") for name in names}
    for key, recording, start_s, label in _chunks(n_chunks, n_words):
        files["segments"].write(f"{key} {recording} {start_s:.2f} {start_s + 28:.2f}\n")
        files["text"].write(f"{key} {label}\n")
        files["utt2spk"].write(f"{key} {recording}\n")
    for file in files.values():
        file.close()
    n_recordings = -(-n_chunks // CHUNKS_PER_RECORDING)
    lines = (f"r{number:07} audio/lectures/r{number:07}.flac\n" for number in range(n_recordings))
    (folder / "wav.scp").write_text("".join(lines), encoding="utf-8")


def _chunks(n_chunks: int, n_words: int) -> Iterator[tuple[str, str, float, str]]:
    rng, words = Random(1), _words()
    for number in range(n_chunks):
        recording, place = divmod(number, CHUNKS_PER_RECORDING)
        said = rng.choices(words, k=rng.randint(n_words // 2, n_words + n_words // 2))
        cut = len(said) // 2
        label = f"<0.00>{' '.join(said[:cut])}<12.00><12.40>{' '.join(said[cut:])}<28.00>"
        yield f"r{recording:07}-{place:05}", f"r{recording:07}", 30.0 * place, label


def _words() -> list[str]:
    return [*read_deck("mandarin"), *read_deck("english")]


def _pieces() -> bytes:
    symbols = special_symbols(WINDOW)
    texts = [" ".join(Random(seed).sample(_words(), 20)) for seed in range(2000)]
    return train_pieces(texts, symbols, vocab_size=len(symbols) + 256 + 1000, model_type="unigram")


def _codec(model: bytes) -> S2TCodec:
    layout = layout_of({"preprocessor_conf": preprocessor_conf(WINDOW)})
    return S2TCodec(token_list(pieces_of(model), WINDOW), model, layout, "zho")


def _status_mb(name: str) -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[name].split()[0]) / 1024


if __name__ == "__main__":
    main()
