"""A Hugging Face Hub on this machine: a data set's list of files, in pages, and the files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import pairwise
from urllib.parse import quote, urlsplit

from file_server import Served

PAGE = 3


def put_on_hub(served: Served, dataset: str, revision: str, files: Mapping[str, bytes]) -> str:
    """Serve a data set as the Hub does, large files (.parquet) with their SHA-256. Returns the address."""
    entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "data"}]
    for name, content in files.items():
        served.at[f"/datasets/{dataset}/resolve/{revision}/{quote(name)}"] = content
        entry = {"type": "file", "oid": "1" * 40, "size": len(content), "path": name}
        if name.endswith(".parquet"):
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
        entries.append(entry)
    tree = f"/api/datasets/{dataset}/tree/{revision}?recursive=true"
    pages = [entries[n : n + PAGE] for n in range(0, len(entries), PAGE)]
    addresses = [tree, *(f"{tree}&cursor={n}" for n in range(1, len(pages)))]
    for address, page in zip(addresses, pages, strict=True):
        served.at[address] = json.dumps(page).encode()
    for address, following in pairwise(addresses):
        served.links[address] = f'<{following}>; rel="next"'
    parts = urlsplit(served.url)
    return f"{parts.scheme}://{parts.netloc}"
