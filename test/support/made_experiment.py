"""An artificial experiment for tests of the report: all stored files in their formats, with invented figures.

`python test/support/made_experiment.py FOLDER` writes one to look at, with its report.
"""

import json
import random
import sys
from pathlib import Path

from made_audio import speechlike, write_audio

SETS = {
    "mini/talk_dev": "dev",
    "mini/lectures_test": "in_domain",
    "mini/course_test": "in_domain",
    "mini/read_test": "out_domain",
    "mini/talk_test": "out_domain",
}
# system: share of errors, real-time factor, parameters
SYSTEMS = {
    "teacher": (1.0, 0.41, 3_500_000),
    "kd_all-s1": (0.93, 0.11, 2_100_000),
    "kd_ngram-s1": (0.89, 0.11, 2_100_000),
    "k2d_mer-s1": (0.86, 0.105, 2_100_000),
    "k2d_per-s1": (0.83, 0.108, 2_100_000),
    "k2d_composite-s1": (0.80, 0.107, 2_100_000),
}
METHODS = {"kd_all": "none", "kd_ngram": "trivial", "k2d_mer": "mer", "k2d_per": "per", "k2d_composite": "composite"}
KEPT = {"kd_all": 0.99, "kd_ngram": 0.95, "k2d_mer": 0.55, "k2d_per": 0.61, "k2d_composite": 0.74}
CONDITIONS = {"batch_size": 16, "threads": 2, "dtype": "fp32", "device": "cpu"}
CONF = """
corpora:
  labelled: [mini/pool]
  unlabelled: [mini/lectures]
  dev: [mini/talk_dev]
  in_domain: [mini/lectures_test, mini/course_test]
  out_domain: [mini/read_test, mini/talk_test]
auxiliaries: {base: {}}
select:
  methods:
    kd_all: {rule: none}
    kd_ngram: {rule: trivial}
    k2d_mer: {rule: mer}
    k2d_per: {rule: per}
    k2d_composite: {rule: composite}
"""


def figure(n: int, s: int, d: int, i: int) -> dict:
    return {"n": n, "s": s, "d": d, "i": i, "percent": round(100 * (s + d + i) / n, 4) if n else None}


def some(n: int, share: float) -> dict:
    """Errors in this share of n tokens: half substitutions, a quarter each of the others."""
    errors = round(n * share)
    return figure(n, errors - 2 * (errors // 4), errors // 4, errors // 4)


def score(model: str, set_name: str, share: float = 0.1, **changes: object) -> dict:
    """A score.json."""
    n = 4000
    percent = some(n, share)["percent"]
    made = {
        "model": model,
        "set": set_name,
        "role": SETS.get(set_name, "out_domain"),
        "signature": "basic-1+t2s|tokens:default|beam:1|set:4f2a",
        "n_utterances": 320,
        "mer": some(n, share),
        "zh_split": some(3000, share * 0.9),
        "en_split": some(900, share * 1.6),
        "zh_joint": some(3000, share * 0.85),
        "en_joint": some(900, share * 1.5),
        "parts": {"mixed": some(2500, share * 1.1), "zh": some(1200, share * 0.8), "en": some(300, share)},
        "pier": some(700, share * 1.7),
        "switch": some(1100, share * 1.4),
        "interval": {"level": 0.95, "low": percent * 0.88, "high": percent * 1.13, "over": "recordings"},
        "terms": {
            "n": 700,
            "n_correct": round(700 * (1 - share * 1.7)),
            "low": 100 - 250 * share,
            "high": 100 - 80 * share,
        },
        "repetitions": round(200 * share),
        "empty": 1,
        "too_long": 2,
        "missing": [],
        "rtf": None,
    }
    return {**made, **changes}


def record(method: str, **changes: object) -> dict:
    """A record.json of 100 hours in 12,000 chunks."""
    share = KEPT.get(method, 0.5)
    chunks, hours = 12_000, 100.0
    kept = {"chunks": round(chunks * share), "hours": hours * share}
    lost = {"chunks": chunks - kept["chunks"], "hours": hours - kept["hours"]}
    parts = {"none": (1, 0, 0), "trivial": (0.1, 0.9, 0), "composite": (0.1, 0.2, 0.7)}
    reasons = zip(("empty_teacher", "loop", "distance"), parts.get(METHODS.get(method, ""), (0.1, 0, 0.9)), strict=True)
    dropped = {reason: amount(lost["chunks"] * part, lost["hours"] * part) for reason, part in reasons if part}
    made = {
        "method": method,
        "rule": METHODS.get(method, "composite"),
        "alpha": 0.4,
        "auxiliary": "base",
        "also": [],
        "settings": {"ngram": 6, "ngram_count": 5, "denominator": "validator", "script": "t2s"},
        "signature": "basic-1+t2s|phones:gruut-2.4.0|oov:letters",
        "in": {"chunks": chunks, "hours": hours},
        "kept": kept,
        "dropped": dropped,
        "by_course": {
            course: {"in": amount(part * chunks, part * hours), "kept": amount(part * chunks * s, part * hours * s)}
            for course, part, s in (("線性代數", 0.6, min(1, share * 1.1)), ("machine learning", 0.4, share * 0.85))
        },
        "loops": {"teacher": 410, "auxiliary": 280, "both": 35},
    }
    return {**made, **changes}


def amount(chunks: float, hours: float) -> dict:
    return {"chunks": round(chunks), "hours": hours}


def study(auxiliary: str = "base", **changes: object) -> dict:
    alphas = [n / 10 for n in range(1, 10)]
    kept = [0.1 + 0.09 * n for n in range(9)]
    of = {"alphas": alphas, "recall": [1 - a * 0.6 for a in alphas], "kept_share": kept}
    made = {
        "auxiliary": auxiliary,
        "bad_label_mer": 0.4,
        "n_chunks": 900,
        "n_bad": 63,
        "by_metric": {
            "mer": {**of, "max_recall": 0.91, "mean_recall": 0.69},
            "per": {**of, "max_recall": 0.86, "mean_recall": 0.66},
            "composite": {**of, "max_recall": 0.9, "mean_recall": 0.7},
        },
        "cost": {"audio_s": 3600.0, "runs_s": [300.0, 420.0], "batch_size": 16, "threads": 2, "dtype": "fp32"}
        | {"device": "cpu"},
    }
    return {**made, **changes}


def write_json(path: Path, content: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False))
    return path


def write_score(
    exp: Path, model: str, set_name: str, share: float = 0.1, *, speed: float | None = None, **changes: object
) -> Path:
    """With a speed: the real-time factor with which it was timed on the set, one recording at a time."""
    if speed is not None:
        write_speed(exp, model, set_name, speed)
    return write_json(exp / "score" / model / set_name / "score.json", score(model, set_name, share, **changes))


def write_speed(exp: Path, model: str, set_name: str, mean: float, way: str = "single", **changes: object) -> Path:
    """Add a model to stage 11's record of speed on a set: three runs, the middle one with the mean time."""
    path = exp / "speed" / set_name / "speed.json"
    found = json.loads(path.read_text()) if path.exists() else {"single": {}, "batched": {}}
    runs_s = [100 * mean * part for part in (0.95, 1.0, 1.05)]
    found[way][model] = {**CONDITIONS, "audio_s": 100.0, "runs_s": runs_s, **changes}
    return write_json(path, found)


def write_record(exp: Path, method: str, **changes: object) -> Path:
    return write_json(exp / "select" / method / "record.json", record(method, **changes))


_SIDES = ("loops_teacher", "loops_auxiliary", "n_teacher", "n_auxiliary")
DISTANCE_COLUMNS = ("id", "recording", "duration_s", *_SIDES, "mer", "per", "composite")


def write_distances(exp: Path, rows: list[tuple], auxiliary: str = "base") -> Path:
    path = exp / "select" / "distances" / auxiliary / "distances.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(map(str, row)) for row in (DISTANCE_COLUMNS, *rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_chunks(exp: Path, labels: dict[str, tuple[str, str]], audio: str, split: str = "mini/lectures") -> None:
    """Chunks of 10 s cut from one recording, with the teacher's label and the auxiliary's."""
    chunks, opinion = exp / "chunks" / split, exp / "opinions" / "base" / split
    chunks.mkdir(parents=True, exist_ok=True)
    opinion.mkdir(parents=True, exist_ok=True)
    (chunks / "wav.scp").write_text(f"r1 {audio}\n")
    (chunks / "text").write_text("".join(f"{key} <0.00>{pair[0]}<9.60>\n" for key, pair in labels.items()))
    (opinion / "text").write_text("".join(f"{key} <0.00>{pair[1]}<9.60>\n" for key, pair in labels.items()))
    spans = (f"{key} r1 {10 * n:.2f} {10 * n + 10:.2f}\n" for n, key in enumerate(labels))
    (chunks / "segments").write_text("".join(spans))


SENTENCES = (
    ("我們用 gradient descent 更新參數,learning rate 很重要", "我們用 gradient decent 更新參數 learning 很重要"),
    ("這個 model 的 loss 會慢慢 converge", "這個 model 的 lose 會慢慢 covered"),
    ("謝謝大家謝謝大家謝謝大家謝謝大家謝謝大家謝謝大家謝謝大家謝謝大家", "好 那我們今天就上到這裡"),
    ("接下來看 eigenvalue 跟 eigenvector 的關係", "接下來看 again value 跟 again vector 的關係啊啊啊啊啊啊啊啊"),
    ("字幕由志願者提供", "所以矩陣 A 是 invertible 的"),
    ("那個 GPU 的記憶體不夠,we need 80 GB", "那個 GPU 的記憶體不夠 we need eighty GB"),
)


def fabricate(exp: Path, *, n_chunks: int = 3000, n_with_audio: int = 36) -> None:
    """The whole experiment, the same each time."""
    chance = random.Random(7)
    base = dict(zip(SETS, (0.15, 0.13, 0.09, 0.11, 0.24), strict=True))
    for model, (share, speed, n_parameters) in SYSTEMS.items():
        for set_name, errors in base.items():
            noise = 1 + chance.uniform(-0.04, 0.04)
            write_score(exp, model, set_name, errors * share * noise, speed=speed * noise)
        write_json(exp / "models" / model / "params.json", {"total": n_parameters})
    for method in METHODS:
        write_record(exp, method)
    write_json(exp / "score" / "validator" / "base.json", study())
    audio = write_audio(exp / "lecture.flac", speechlike(10.0 * n_with_audio + 1))
    labels = {f"r1-{n:04d}": SENTENCES[n % len(SENTENCES)] for n in range(n_with_audio)}
    write_chunks(exp, labels, str(audio))
    rows = [made_row(f"mini/lectures/r1-{n:04d}", n, n < n_with_audio, chance) for n in range(n_chunks)]
    write_distances(exp, rows)


def made_row(key: str, n: int, has_audio: bool, chance: random.Random) -> tuple:
    """A line of distances.tsv. Chunks with audio have the largest distances."""
    mer = 1.2 + chance.random() if has_audio else min(1.0, chance.betavariate(1.6, 3.5))
    per = mer * chance.uniform(0.6, 1.0)
    loops = (int(n % 6 == 2), int(n % 6 == 3)) if has_audio else (0, int(chance.random() < 0.03))
    composite = 1.0 if loops[0] else 0.0 if loops[1] else min(1.0, per)
    n_teacher = 0 if not has_audio and chance.random() < 0.01 else 40
    return key, "r1", "10.00", *loops, n_teacher, 38, f"{mer:.4f}", f"{per:.4f}", f"{composite:.4f}"


def main(folder: Path) -> None:
    from k2d.config import load_config
    from k2d.pipeline.runner import make_job
    from k2d.stages.report import make, units

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made.yaml").write_text(CONF)
    job = make_job(load_config(folder / "made.yaml", [f"exp={folder / 'exp'}", "report.title=Made-up test data"]))
    fabricate(job.layout.exp)
    (folder / "report").mkdir(exist_ok=True)
    print(make(units(job)[0], job, folder / "report"))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
