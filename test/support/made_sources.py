"""Tables of sources, and packages with parts of a checkpoint, for tests of fetching."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from file_server import Served

from k2d.models.published.table import Table, read_table

REVISION = "0123456789abcdef0123456789abcdef01234567"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pinned(content: bytes, **more: Any) -> dict[str, Any]:
    return {"size": len(content), "sha256": sha256(content), **more}


def address(served: Served, path: str) -> str:
    """The address of a path on the server."""
    parts = urlsplit(served.url)
    return f"{parts.scheme}://{parts.netloc}{path}"


def at_address(served: Served, name: str, content: bytes, title: str = "the maker") -> dict[str, Any]:
    """A source of a single file, which is served."""
    served.at[f"/weights/{name}"] = content
    return {"title": title, "files": {name: pinned(content, url=address(served, f"/weights/{name}"))}}


def on_hub(served: Served, repository: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """A source on a Hub, which is served: let HF_ENDPOINT name it."""
    for name, content in files.items():
        served.at[f"/{repository}/resolve/{REVISION}/{name}"] = content
    folder = repository.partition("/")[2]
    listed = {name: pinned(content) for name, content in files.items()}
    return {"title": "the Hub", "hub": repository, "revision": REVISION, "folder": folder, "files": listed}


def in_packages(files: Mapping[str, bytes], wheels: list[tuple[str, bytes, dict[str, str]]]) -> dict[str, Any]:
    """A source of packages: the name, content and members of each wheel."""
    packages = [
        {"name": name, "version": "1.0.0", "members": members, **pinned(content)} for name, content, members in wheels
    ]
    listed = {name: pinned(content) for name, content in files.items()}
    return {"title": "the index", "folder": "of-packages", "files": listed, "packages": packages}


def made_wheel(name: str, members: Mapping[str, bytes]) -> bytes:
    """A wheel that pip accepts, version 1.0.0."""
    made, module = io.BytesIO(), name.replace("-", "_")
    info = f"{module}-1.0.0.dist-info"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return made.getvalue()


def made_tgz(members: Mapping[str, bytes]) -> bytes:
    """An archive as npm's registry has them."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def wheel_file(name: str) -> str:
    return f"{name.replace('-', '_')}-1.0.0-py3-none-any.whl"


def put_on_index(served: Served, name: str, wheel: bytes) -> None:
    """Serve a wheel as a package index does."""
    served.at[f"/files/{wheel_file(name)}"] = wheel
    link = f'<a href="/files/{wheel_file(name)}#sha256={sha256(wheel)}">{wheel_file(name)}</a>'
    served.types[f"/simple/{name}/"] = "text/html"
    served.at[f"/simple/{name}/"] = f"<!DOCTYPE html><html><body>{link}</body></html>".encode()


def write_table(path: Path, checkpoints: Mapping[str, Any]) -> Path:
    """Write a table as JSON, which is YAML as well."""
    path.write_text(json.dumps(checkpoints), encoding="utf-8")
    return path


def made_table(path: Path, *sources: dict[str, Any], **more: Any) -> Table:
    """A table with one checkpoint, `base`."""
    return read_table(write_table(path, {"base": {"sources": list(sources), **more}}))
