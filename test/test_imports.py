"""The import rule: stages -> everything else; among the rest only downward; pure rooms stay pure."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

from k2d.core.layout import PROJECT_ROOT
from k2d.pipeline.stage_list import ROAD

PACKAGE = PROJECT_ROOT / "k2d"

# Each room may import the rooms before it, and itself. `__main__` may import them all.
ORDER = [
    "core",
    "models",
    "objectives",
    "config",
    "text",
    "data",
    "decode",
    "select",
    "train",
    "score",
    "report",
    "export",
    "plan",
    "pipeline",
    "inference",
    "fitting",
    "stages",
    "__main__",
]
# What a room may not import although it stands before it.
FORBIDDEN = {
    "config": {"data"},
    "data": {"config"},
    "text": {"config"},
    "select": {"models", "decode", "data"},
    "objectives": {"models", "decode", "select", "data"},
    "score": {"models", "decode", "train", "objectives"},
}
# Verbs of the command line: they read files for the pure parts beside them.
SHELLS = {"__main__.py", "cli.py", "compare.py", "publish.py", "sweep.py"}
# A foreign library is imported by its one adapter alone.
ADAPTERS = {
    "espnet2": {"k2d/models/espnet_s2t/library.py", "k2d/export/espnet.py"},
    "whisper": {"k2d/models/whisper/library.py", "k2d/export/openai.py"},
    "transformers": {"k2d/export/huggingface.py", "k2d/export/request.py"},
    "ctranslate2": {"k2d/models/whisper/ctranslate2_engine.py", "k2d/export/ctranslate2.py"},
    "faster_whisper": {"k2d/export/ctranslate2.py"},
    "kaldiio": {"k2d/data/audio/ark.py"},
    "pyarrow": {"k2d/data/raw/parquet.py"},
    "opencc": {"k2d/text/script.py"},
    "pypinyin": {"k2d/text/mandarin.py"},
    "gruut": {"k2d/text/english.py"},
}


# These rooms compute: strings, counts and tensors in, figures out. Only the files named here open files or start
# processes; each says so by its name.
PURE_ROOMS = ("select", "score", "objectives", "text")
EDGES = {
    "k2d/select/cli.py": "a verb",
    "k2d/select/sweep.py": "a verb",
    "k2d/select/chunk_reader.py": "reads data directories of chunks",
    "k2d/select/distance_workers.py": "measures in worker processes, and keeps the blocks of an interrupted run",
    "k2d/select/table_files.py": "distances.tsv and decisions.tsv",
    "k2d/score/cli.py": "a verb",
    "k2d/score/scored_files.py": "a hypothesis file against a reference file",
    "k2d/score/store.py": "a score on disk",
    "k2d/score/stored_systems.py": "finds scores below folders",
    "k2d/score/text_files.py": "Kaldi text files",
    "k2d/score/timing_files.py": "timing.json and speed.json",
    # Prepared data are stamped with the code of k2d/text, so these stay where they are.
    "k2d/text/english.py": "gruut's lexicon and model",
    "k2d/text/g2p_cache.py": "pronunciations that are kept on disk",
    "k2d/text/lexicon.py": "the user's pronunciations",
    "k2d/text/phonemes.py": "the checksum of the user's pronunciations",
}
FILE_CALLS = {
    *("open", "read_text", "write_text", "read_bytes", "write_bytes", "mkdir", "touch", "unlink", "rmdir", "rename"),
    *("glob", "rglob", "iterdir", "exists", "is_file", "is_dir", "stat", "as_file"),
}
FILE_AND_PROCESS_MODULES = {
    *("os", "io", "shutil", "tempfile", "sqlite3", "socket", "urllib"),
    *("subprocess", "multiprocessing", "concurrent", "threading"),
    *("k2d.core.atomic", "k2d.core.file_calls", "k2d.core.programs"),
    *("k2d.core.workers", "k2d.core.worker_pool", "k2d.core.worker_process", "k2d.core.ddp_children"),
}


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else "__main__"


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> list[str]:
    """Every module that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.append(node.module or "")
    return found


def imported_room(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] != "k2d" or len(parts) == 1:
        return None
    return parts[1]


FILES = sorted(PACKAGE.rglob("*.py"))


def test_imports_go_downward_only():
    checked = 0
    for path in FILES:
        mine = room(path)
        if path.name in SHELLS:
            continue
        for module in imports(path):
            theirs = imported_room(module)
            if theirs is None or theirs == mine or module == "k2d.data.rows":  # rows are what all rooms speak of
                continue
            checked += 1
            assert ORDER.index(theirs) < ORDER.index(mine), f"{path}: {mine} may not import {module}"
            assert theirs not in FORBIDDEN.get(mine, set()), f"{path}: {mine} may not import {module}"
    assert checked >= 20


def touches_the_outside(path: Path) -> list[str]:
    """The calls and imports by which a file would read, write or start a process."""
    calls = [node.func for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    called = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
    modules = {module for module in imports(path) if {module, module.split(".")[0]} & FILE_AND_PROCESS_MODULES}
    return sorted((called & FILE_CALLS) | modules)


def test_pure_rooms_open_no_file_and_start_no_process():
    found = {}
    for path in FILES:
        if room(path) in PURE_ROOMS and (what := touches_the_outside(path)):
            found[path.relative_to(PROJECT_ROOT).as_posix()] = what
    strays = [f"{name}: {', '.join(what)}" for name, what in found.items() if name not in EDGES]
    assert strays == [], "move this into a file at the edge, and name it in EDGES"
    assert sorted(set(EDGES) - set(found)) == [], "these open nothing (any more), so they are no edge"


def test_a_foreign_library_has_one_adapter():
    for path in FILES:
        name = str(path.relative_to(PROJECT_ROOT))
        for module in imports(path):
            allowed = ADAPTERS.get(module.split(".")[0])
            assert allowed is None or name in allowed, f"{name} imports {module}; only {allowed} may"
    assert len(FILES) >= 20


def test_nothing_unsafe_is_imported_or_called():
    for path in FILES:
        assert not {"pickle", "dill", "marshal", "shelve"} & set(imports(path)), path
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                assert not (isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec")), path
                assert not any(k.arg == "shell" for k in node.keywords), path


@pytest.mark.parametrize(
    "words", [["--help"], ["config"], ["data", "--help"], ["stages"], ["plan", "--conf", "conf/k2d_large_v2.yaml"]]
)
def test_light_verbs_import_nothing_heavy(words):
    """No torch, espnet or kaldiio for what does not need them; nor noise about data that cannot be fetched."""
    code = (
        "import sys; from k2d.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'espnet2', 'espnet', 'kaldiio', 'transformers', 'matplotlib'} & set(sys.modules)\n"
        "print('heavy:', heavy or 'none', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == "heavy: none"


def test_every_stage_module_fits_the_road_and_is_light():
    built = [stage for stage in ROAD if stage.is_built]
    for stage in built:
        module = stage.load()
        assert isinstance(module.VERSION, int)
        assert callable(module.units)
        assert callable(module.make)
    code = "import sys; from k2d.pipeline.stage_list import ROAD; [s.load() for s in ROAD if s.is_built]; "
    code += "assert not {'torch', 'espnet2', 'kaldiio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True)
