"""Convert recordings that libsndfile cannot read to FLAC once, with ffmpeg: m4a, webm, video, an MP3 without length.

For safety, ffmpeg gets a list of arguments, the name of the container (a disguised playlist could name other files),
the file protocol only, and a time limit of an hour. WAV, FLAC, MP3 and Ogg do not need ffmpeg.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from k2d.core.atomic import PARTIAL, sync_folder
from k2d.core.programs import Programs
from k2d.core.progress import track
from k2d.data.audio import RATE_HZ, AudioError, probe, resolve

LIMIT_S = 3600.0  # per recording; twelve hours of audio take a few minutes
SHOWN = 5
INSTALL = "install it (apt install ffmpeg, dnf install ffmpeg-free, brew install ffmpeg, conda install ffmpeg)"

STATE_LENGTH = ("mov", "matroska", "asf", "flv", "aiff", "caf", "w64")
LOST_SHARE, LOST_S = 0.05, 1.0  # if more of the stated length is missing, the file was cut off

_ERROR = re.compile(r"\[(?:error|fatal)\] (.+)")
_DURATION = re.compile(r"Duration: (\d{1,6}):(\d\d):(\d\d(?:\.\d+)?)")

log = logging.getLogger("k2d")


@dataclass(frozen=True, slots=True)
class _Job:
    programs: Programs
    program: str
    source: Path
    container: str
    target: Path


def convert(root: Path, containers: Mapping[str, str], store: Path, nj: int) -> dict[str, Path]:
    """The FLAC file of every recording (by path below the root) that was converted, now or in an earlier run.

    The other recordings stay unchanged: stage 1 rejects them with their reasons.
    """
    targets = {name: _target(root / name, store) for name in containers}
    to_do = [name for name, target in targets.items() if not target.exists()]
    program = shutil.which("ffmpeg")
    if to_do and program is None:
        log.warning("%s", _lacking(to_do))
    elif program is not None:
        programs = Programs()
        jobs = [_Job(programs, program, root / name, containers[name], targets[name]) for name in to_do]
        problems = _run(jobs, programs, nj)
        _tell([f"{name}: {problem}" for name, problem in zip(to_do, problems, strict=True) if problem])
    return {name: target for name, target in targets.items() if target.exists()}


def _target(source: Path, store: Path) -> Path:
    """A file named by path, size and modification time, so that a changed file is converted again."""
    facts = source.stat()
    digest = hashlib.sha256(f"{source}\0{facts.st_size}\0{facts.st_mtime_ns}".encode(errors="replace")).hexdigest()
    return store / "converted" / digest[:2] / f"{digest[:32]}.flac"


def _run(jobs: Sequence[_Job], programs: Programs, nj: int) -> Iterator[str]:
    """The fault of each conversion, empty if it succeeded. Threads are used, as ffmpeg is a process of its own."""
    with ThreadPoolExecutor(nj) as pool:
        try:
            yield from track(pool.map(_convert, jobs), "converting with ffmpeg", len(jobs), "recordings")
        except BaseException:  # interrupted: the pool waits for its threads, and the threads wait for ffmpeg
            pool.shutdown(wait=False, cancel_futures=True)
            programs.end()
            raise


def _convert(job: _Job) -> str:
    job.target.parent.mkdir(parents=True, exist_ok=True)
    partial = job.target.with_name(f".{job.target.name}.{os.getpid()}{PARTIAL}")
    try:
        problem = _call(job, partial)
        if not problem:
            _sync(partial)
            partial.replace(job.target)
            sync_folder(job.target.parent)
        return problem
    finally:
        partial.unlink(missing_ok=True)


def _call(job: _Job, target: Path) -> str:
    # One thread per file, because `nj` files are converted in parallel. With -xerror, a damaged file fails as a whole.
    words = [job.program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info", "-threads", "1", "-xerror"]
    words += ["-protocol_whitelist", "file", "-f", job.container, "-i", f"file:{job.source}"]
    words += ["-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-ac", "1", "-ar", str(RATE_HZ)]
    words += ["-c:a", "flac", "-sample_fmt", "s16", "-f", "flac", "-y", f"file:{target}"]
    try:
        done = job.programs.run(words, LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"ffmpeg took longer than {LIMIT_S:g} s and was stopped"
    except OSError as error:
        return f"ffmpeg cannot be run: {error.strerror}"
    said = done.stderr.decode(errors="replace")
    if done.returncode:
        return f"ffmpeg says: {_first_error(said) or f'exit code {done.returncode}'}"
    try:
        made_s = probe(resolve(str(target))).duration_s
    except AudioError as error:
        return f"ffmpeg made no audio that can be read: {error.message}"
    stated_s = _stated_s(said) if job.container in STATE_LENGTH else None
    if stated_s is not None and made_s < (1 - LOST_SHARE) * stated_s - LOST_S:
        return f"holds {made_s:.1f} s of sound of the {stated_s:.1f} s that it states: cut off, or partly silent"
    return ""


def _first_error(said: str) -> str:
    """
    >>> _first_error("[info] Input #0\\n[mov,mp4 @ 0x55] [error] moov atom not found\\n[fatal] Error opening input\\n")
    'moov atom not found'
    """
    found = _ERROR.search(said)
    return found[1].strip()[:200] if found else ""


def _stated_s(said: str) -> float | None:
    """The length that the container's header states.

    >>> _stated_s("[info]   Duration: 01:00:02.50, start: 0.000000"), _stated_s("[info]   Duration: N/A, start: 0.0")
    (3602.5, None)
    """
    found = _DURATION.search(said)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _lacking(names: Sequence[str]) -> str:
    shown = "".join(f"\n  {name}" for name in names[:SHOWN])
    more = f"\n  … and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{len(names):,} recordings need ffmpeg, which is not there; {INSTALL} and run again:{shown}{more}"


def _tell(problems: Sequence[str]) -> None:
    if problems:
        more = f"\n  … and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
        log.warning("%d recordings could not be converted:\n  %s%s", len(problems), "\n  ".join(problems[:SHOWN]), more)
