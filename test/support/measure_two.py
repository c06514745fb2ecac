"""Measures held-out recordings in several processes: measure_two.py FOLDER RANK N_PROCESSES"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import torch
import torch.distributed as dist

from k2d.data.rows import Hypothesis, Segment
from k2d.decode import long_recordings
from k2d.decode.options import Options
from k2d.decode.sources import Source
from k2d.fitting.checkpoint_metric import Held, measure_on

WORDS = ["我們", "today", "去", "park", "玩", "hello", "world"]


def held(n=7):
    """Recordings of many lengths. The hypothesis of each lacks some of its words and has other ones."""
    sources = [Source(f"r{k}", f"r{k}.wav", 10.0 * (k % 4 + 1)) for k in range(n)]
    return Held(sources, {f"r{k}": " ".join(WORDS[k % 3 :] * (k % 4 + 1)) for k in range(n)})


def hypothesis_of(source):
    number = int(source.id[1:])
    return " ".join(WORDS[number % 5 :] + ["park"] * (number % 2))


def main(folder, rank, n_processes):
    torch.set_num_threads(1)
    if n_processes != "1":
        store = f"file://{Path(folder).resolve()}/store"
        dist.init_process_group("gloo", init_method=store, rank=int(rank), world_size=int(n_processes))
    decoded = []

    def decode(_recogniser, sources, _options, is_loop=None):
        for source in sources:
            decoded.append(source.id)
            segment = Segment(0.0, 1.0, hypothesis_of(source))
            yield Hypothesis(source.id, source.duration_s, (segment,), ())

    with patch.object(long_recordings, "decode_recordings", decode):
        figure = measure_on(held(), Options())(SimpleNamespace(device=torch.device("cpu")))
    Path(folder, f"{rank}.json").write_text(json.dumps({"figure": figure, "decoded": decoded}))
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
