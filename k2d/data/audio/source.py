"""The source that a wav.scp value names, and the exception for all faults of audio."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import PROJECT_ROOT, no_file_kind, unicode_form

_ARK_OFFSET = re.compile(r"(?P<path>.+):(?P<offset>\d+)")
_ARK_RANGE = re.compile(r".+:\d+\[[^\]]*\]")

_OF_THE_NAME = {errno.ENAMETOOLONG, errno.EILSEQ}  # errors that are caused by a file's name


class Cause(Enum):
    """The cause of a fault: what must change before the audio can be used."""

    FILE = "the file"
    """Every try gives the same result: damaged, truncated, empty, of another format."""
    ABSENCE = "there is no such file"
    """A corpus may name files that it never had. A file that an earlier stage has read was lost: a mount, a
    deletion.
    """
    MACHINE = "the machine"
    """The system reported an error: disk, network, permissions, space. Another try may succeed."""


class AudioError(K2DError):
    """Audio that cannot be used. `reason` is for programs (and rejected.jsonl), the rest for people."""

    def __init__(self, reason: str, source: str, message: str, remedy: str = "", cause: Cause = Cause.FILE) -> None:
        super().__init__(reason, source, message, remedy, cause)  # these args make it picklable
        self.reason, self.source, self.message, self.remedy = reason, source, message, remedy
        self.cause = cause

    @property
    def is_passing(self) -> bool:
        """Whether another try may succeed with a file that was read before."""
        return self.cause is not Cause.FILE

    def __str__(self) -> str:
        text = f"{self.source}: {self.message} [{self.reason}]"
        return f"{text}; {self.remedy}" if self.remedy else text


@dataclass(frozen=True, slots=True)
class AudioSource:
    """An audio file, or (with an offset) the entry of a Kaldi archive that starts at that byte."""

    path: Path
    ark_offset: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.ark_offset is None else f"{self.path}:{self.ark_offset}"


def resolve(value: str, root: Path = PROJECT_ROOT) -> AudioSource:
    """The source of a wav.scp value. A relative path starts at `root`. Nothing is opened.

    `file:123` is byte 123 of an archive, unless a file with exactly that name exists.

    >>> resolve("wav/a b.flac", Path("/corpus")).path.as_posix()
    '/corpus/wav/a b.flac'
    >>> resolve("feats.ark:17", Path("/corpus")).ark_offset
    17
    """
    _refuse_what_is_no_path(value)
    path = root / value
    if os.path.lexists(path):
        return AudioSource(path)
    if _ARK_RANGE.fullmatch(value):
        raise AudioError(
            "ark_range",
            value,
            "a range of an archive entry is not read here",
            "name the entry without [...] and put the times into segments",
        )
    if entry := _ARK_OFFSET.fullmatch(value):
        return AudioSource(root / entry["path"], int(entry["offset"]))
    return AudioSource(path)


def _refuse_what_is_no_path(value: str) -> None:
    text = value.strip()
    if not text:
        raise AudioError("missing", repr(value), "no audio path is given", "give the path of an audio file")
    if text == "-" or text.startswith("|") or text.endswith("|"):
        raise AudioError(
            "pipe",
            value,
            "commands and standard input are not run or read",
            "write the command's output to a file and name that file",
        )
    if text.startswith("~"):
        raise AudioError("tilde", value, "`~` is not expanded", "write the path in full, or relative to the root")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise AudioError("bad_path", repr(value), "the path holds a control character", "rename the file")


def stat_regular(source: AudioSource) -> os.stat_result:
    """The facts of the file. Raises if it is not a regular file, without opening it."""
    try:
        facts = source.path.stat()
    except (OSError, ValueError) as error:
        raise _from_stat_error(error, source) from error
    if kind := no_file_kind(facts.st_mode):
        raise AudioError("not_regular_file", str(source), f"is {kind}, not a file", "name an audio file")
    return facts


def _from_stat_error(error: OSError | ValueError, source: AudioSource) -> AudioError:
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.ELOOP:
        return AudioError("not_regular_file", str(source), "symbolic links form a loop", "correct the link")
    if code in (errno.ENOENT, errno.ENOTDIR):
        if source.path.is_symlink():
            target = source.path.readlink()
            message = f"is a link to {target}, which does not exist"
            return AudioError("missing", str(source), message, "correct it", Cause.ABSENCE)
        if other := _look_alike(source.path):
            message = (
                f"there is no such file: the name is in Unicode form {unicode_form(str(source.path))}, "
                f"that of a file in {unicode_form(str(other))}"
            )
            remedy = "rename the file, or write its name as it is"
            return AudioError("missing", str(source), message, remedy, Cause.ABSENCE)
        root = "a relative one starts at the project root, or at `python -m k2d data validate --root DIR`"
        return AudioError("missing", str(source), "there is no such file", f"check the path; {root}", Cause.ABSENCE)
    return from_os_error(error, source)


def _look_alike(path: Path) -> Path | None:
    """A file whose path looks the same. macOS writes names in another Unicode form than keyboards do."""
    for form in ("NFC", "NFD"):
        for other in (
            path.with_name(unicodedata.normalize(form, path.name)),
            Path(unicodedata.normalize(form, str(path))),
        ):
            if other != path and other.is_file():
                return other
    return None


def from_os_error(error: OSError | ValueError, source: AudioSource) -> AudioError:
    """An AudioError for a failure of the operating system."""
    words = (error.strerror if isinstance(error, OSError) else None) or str(error)
    is_of_the_name = isinstance(error, ValueError) or error.errno in _OF_THE_NAME
    cause = Cause.FILE if is_of_the_name else Cause.MACHINE
    return AudioError("unreadable", str(source), f"cannot be read: {words}", "check permissions and the disk", cause)
