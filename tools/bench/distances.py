"""The speed of comparing two opinions on a chunk, relative to a plain implementation, and its memory.

    python tools/bench/distances.py [--pairs 200000]

Chunks have 100 to 150 tokens of Mandarin-English lectures; every fifth token of the auxiliary is an error. The speed is
that of new chunks with known words; the cold figure is that of a new process. The plain implementation uses jiwer,
pypinyin, a Counter of 6-grams, Whisper's own normaliser, and English phonemes from a dict. Both must find the same
distances. Then `--pairs` of them go through a worker into a sorted file, as in stage 8.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from random import Random

PROJECT_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT_ROOT))

from egs.mini.sentences import sentence  # noqa: E402
from egs.mini.words import COURSES, read_deck, read_grammar  # noqa: E402
from k2d.data.kaldi.external_sort import sort_lines  # noqa: E402
from k2d.select.distance_workers import TextPair, measured_lines  # noqa: E402
from k2d.select.distances import Comparer  # noqa: E402
from k2d.select.metrics import Measuring  # noqa: E402
from k2d.select.table_files import write_distances  # noqa: E402
from k2d.text.phonemes import Phonemiser  # noqa: E402
from k2d.text.tokenise import token_texts  # noqa: E402

WARM, TIMED, PLAIN, ROUNDS = 3000, 3000, 300, 3
ERRORS = 0.2

_BETWEEN_HAN = re.compile(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200_000, help="for the memory (default: 200,000)")
    parser.add_argument("--part", choices=["speed", "cold", "memory"], help="one part alone (each is a new process)")
    arguments = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "speed": _speed,
        "cold": _cold,
        "memory": lambda: _memory(arguments.pairs),
    }
    if arguments.part:
        parts[arguments.part]()
        return
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    for part in parts:
        subprocess.run([sys.executable, __file__, "--part", part, "--pairs", str(arguments.pairs)], check=True)


def pairs(seed: int) -> Iterator[TextPair]:
    """An endless stream of chunks with two opinions each."""
    rng = Random(seed)
    grammars = [read_grammar("everyday", "lecture", f"courses/{course}") for course in COURSES]
    words = [*read_deck("mandarin"), *read_deck("english")]
    number = 0
    while True:
        teacher = _chunk(grammars[number % len(grammars)], words, rng)
        auxiliary = _BETWEEN_HAN.sub("", " ".join(_with_errors(token_texts(teacher), words, rng)))
        yield TextPair(f"bench/train/{number:08}", f"r{number // 360}", 27.5, f"<0.00> {teacher} <27.50>", auxiliary)
        number += 1


def _chunk(grammar: Mapping[str, tuple[str, ...]], words: list[str], rng: Random) -> str:
    """Sentences of a lecture with other words between them, so that all chunks differ."""
    parts: list[str] = []
    wanted = rng.randint(100, 150)
    while len(token_texts(" ".join(parts))) < wanted:
        parts += [sentence(grammar, rng.choice(["mixed", "zh"]), rng), *rng.choices(words, k=3)]
    return " ".join(parts)


def _with_errors(tokens: list[str], words: list[str], rng: Random) -> Iterator[str]:
    for token in tokens:
        kind = rng.choice(["other", "lost", "more"]) if rng.random() < ERRORS else "right"
        if kind in ("right", "more"):
            yield token
        if kind in ("other", "more"):
            yield rng.choice(words)[:1] if kind == "other" and len(token) == 1 else rng.choice(words)


def _speed() -> None:
    chunks = list(islice(pairs(1), WARM + TIMED))
    comparer = Comparer(Measuring())
    plain = _plain_comparer()
    for pair in chunks[:WARM]:
        comparer.compare(pair.teacher, pair.auxiliary)
    unseen = chunks[WARM:]
    found = [comparer.compare(pair.teacher, pair.auxiliary) for pair in unseen[:PLAIN]]
    expected = [plain(pair.teacher, pair.auxiliary) for pair in unseen[:PLAIN]]
    differing = sum((f.loops_a, f.loops_b, f["mer"], f["per"]) != e for f, e in zip(found, expected, strict=True))
    print(f"the two implementations differ on {differing} of {PLAIN} chunks")
    rounds = [(_seconds(plain, unseen[:PLAIN]), _fresh_seconds(seed)) for seed in range(2, 2 + ROUNDS)]
    plain_s, ours_s = (min(column) for column in zip(*rounds, strict=True))
    print(f"plain: {1 / plain_s:,.0f} chunks/s, {1e6 * plain_s:,.0f} us each")
    print(f"k2d, unseen chunks, warm words: {1 / ours_s:,.0f} chunks/s, {1e6 * ours_s:,.0f} us each")
    print(f"ratio {plain_s / ours_s:.1f} (best of {ROUNDS} rounds each, in turns)")


def _fresh_seconds(seed: int) -> float:
    """Seconds per chunk, for new chunks with known words."""
    chunks = list(islice(pairs(seed), WARM + TIMED))
    comparer = Comparer(Measuring())
    _seconds(comparer.compare, chunks[:WARM])
    return _seconds(comparer.compare, chunks[WARM:])


def _seconds(compare: Callable[[str, str], object], chunks: list[TextPair]) -> float:
    started = time.perf_counter()
    for pair in chunks:
        compare(pair.teacher, pair.auxiliary)
    return (time.perf_counter() - started) / len(chunks)


def _plain_comparer() -> Callable[[str, str], tuple[bool, bool, float, float]]:
    """A plain implementation, as one would write it first."""
    import jiwer
    import opencc
    from pypinyin import Style, lazy_pinyin
    from whisper.normalizers import BasicTextNormalizer

    normalise, convert = BasicTextNormalizer(), opencc.OpenCC("t2s").convert
    token = re.compile(r"[\u4e00-\u9fff]|[a-z0-9]+")
    run = re.compile(r"[\u4e00-\u9fff]+|[a-z0-9]+")
    tones = str.maketrans("", "", "ˊˇˋ˙")
    phonemiser = Phonemiser()
    pronunciations: dict[str, list[str]] = {}

    def phonemes(text: str) -> list[str]:
        found: list[str] = []
        for part in run.findall(_BETWEEN_HAN.sub("", text)):
            if part.isascii():
                if part not in pronunciations:
                    pronunciations[part] = phonemiser.phonemes([part])
                found += pronunciations[part]
            else:
                found += "".join(lazy_pinyin(part, style=Style.BOPOMOFO)).translate(tones)
        return found

    def compare(teacher: str, auxiliary: str) -> tuple[bool, bool, float, float]:
        a, b = (convert(normalise(re.sub(r"<[0-9.]+>", " ", text))) for text in (teacher, auxiliary))
        loops = [max(Counter(text[i : i + 6] for i in range(len(text) - 5)).values()) > 5 for text in (a, b)]
        mer = jiwer.wer(" ".join(token.findall(b)), " ".join(token.findall(a)))
        per = jiwer.wer(" ".join(phonemes(b)), " ".join(phonemes(a)))
        return loops[0], loops[1], round(mer, 4), round(per, 4)

    return compare


def _cold() -> None:
    """The first chunks of a new process, which loads dictionaries and looks up every word."""
    chunks = list(islice(pairs(99), TIMED))
    started = time.perf_counter()
    comparer = Comparer(Measuring())
    comparer.compare(chunks[0].teacher, chunks[0].auxiliary)
    first_s = time.perf_counter() - started
    rest_s = _seconds(comparer.compare, chunks[1:])
    whole = TIMED / (first_s + rest_s * (TIMED - 1))
    print(f"cold: first chunk {first_s:.2f} s; the first {TIMED:,} chunks together {whole:,.0f} chunks/s")


def _memory(n_pairs: int) -> None:
    """Write the distances of many pairs into a sorted file and print the resident memory."""
    started = time.perf_counter()
    marks = {n_pairs * quarter // 4 for quarter in (1, 2, 3, 4)}

    def watched() -> Iterator[str]:
        lines = measured_lines(islice(pairs(7), n_pairs), Measuring(), nj=1, total=n_pairs)
        for number, line in enumerate(lines, 1):
            yield line
            if number in marks:
                workers = [process.pid for process in multiprocessing.active_children()]
                print(f"  {number:,} pairs: main {_resident_mb(os.getpid()):.0f} MB, ", end="")
                print(f"worker {sum(map(_resident_mb, filter(None, workers))):.0f} MB", flush=True)

    with tempfile.TemporaryDirectory(prefix="k2d-bench-") as folder:
        target = Path(folder, "distances.tsv")
        n_rows = write_distances(target, sort_lines(watched(), Path(folder)))
        n_bytes = target.stat().st_size
    seconds = time.perf_counter() - started
    print(f"{n_rows:,} pairs in {seconds:.0f} s (making them included), {n_bytes / n_rows:.0f} bytes a row on disk")


def _resident_mb(process_id: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{process_id}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


if __name__ == "__main__":
    main()
