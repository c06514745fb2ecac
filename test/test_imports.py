"""The import rule: stages -> everything else; among the rest only downward; pure rooms stay pure."""

import ast
import functools
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from k2d.core.layout import PROJECT_ROOT
from k2d.pipeline.stage_list import STAGES

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
    "study",
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
    "study": {"models", "decode", "train", "objectives"},
}
# Files that use what stands above their room, each with its reason.
HIGHER = {
    "k2d/decode/cli.py": "`transcribe` stops loops by the test of selection, and converts a model for CTranslate2",
    "k2d/plan/cli.py": "`plan` makes the job whose cost it states",
}
# A foreign library is imported by its one adapter alone.
ADAPTERS = {
    "espnet2": {"k2d/models/espnet_s2t/library.py", "k2d/export/espnet.py"},
    "lightning": {"k2d/train/lightning_parts.py"},
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
PURE_ROOMS = ("select", "score", "study", "objectives", "text")
EDGES = {
    "k2d/select/cli.py": "a verb",
    "k2d/select/sweep.py": "a verb",
    "k2d/select/chunk_reader.py": "reads data directories of chunks",
    "k2d/select/distance_workers.py": "measures in worker processes, and keeps the blocks of an interrupted run",
    "k2d/select/table_files.py": "alignments.tsv, distances.tsv and decisions.tsv",
    "k2d/score/cli.py": "a verb",
    "k2d/score/scored_files.py": "a hypothesis file against a reference file",
    "k2d/score/store.py": "a score on disk",
    "k2d/score/stored_systems.py": "finds scores below folders",
    "k2d/score/text_files.py": "Kaldi text files",
    "k2d/score/timing_files.py": "timing.json and speed.json",
    "k2d/study/cli.py": "a verb",
    "k2d/study/gathering.py": "reads chunks, windows, distances and truth",
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
    """All modules that a file imports, anywhere in it."""
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


@pytest.mark.slow
def test_imports_go_downward_only():
    strays, higher, n_checked = [], set(), 0
    for path in FILES:
        mine, name = room(path), path.relative_to(PROJECT_ROOT).as_posix()
        for module in imports(path):
            theirs = imported_room(module)
            if theirs is None or theirs == mine or module == "k2d.data.rows":  # all rooms speak of these rows
                continue
            n_checked += 1
            if ORDER.index(theirs) > ORDER.index(mine):
                higher.add(name)
                strays += [] if name in HIGHER else [f"{name} imports {module}, which stands above it"]
            elif theirs in FORBIDDEN.get(mine, set()) and name not in EDGES:
                strays.append(f"{name} imports {module}, which {mine} does without")
    assert strays == []
    assert sorted(set(HIGHER) - higher) == [], "these keep the order now"
    assert n_checked >= 20


def modules_of(*folders: Path) -> dict[str, Path]:
    """The modules below some folders, by their dotted names."""
    found = {}
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        parts = path.relative_to(PROJECT_ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_by(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """The modules that each of these imports: at its head, inside functions and for types alone."""
    found = {}
    for name, path in modules.items():
        words = []
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                words += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                words += [f"{node.module}.{alias.name}" for alias in node.names]
                words.append(node.module or "")
        beside = [f"{name.rpartition('.')[0]}.{word}" for word in words]  # scripts import what lies beside them
        found[name] = {word for word in [*words, *beside] if word in modules and word != name}
        packages = {word.rpartition(".")[0] for word in found[name]}
        found[name] -= {word for word in packages if word in modules and modules[word].name == "__init__.py"}
    return found


def circle_in(imported: Mapping[str, set[str]]) -> list[str]:
    """The modules of a circle, with the first one repeated at the end. Empty if there is no circle."""
    done: set[str] = set()

    def walk(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        circles = (walk(other, [*trail, name]) for other in sorted(imported[name]))
        found = next(filter(None, circles), [])
        done.add(name)
        return found

    return next(filter(None, (walk(name, []) for name in sorted(imported))), [])


def test_a_circle_of_imports_is_found_and_printed():
    assert circle_in({"a": {"b", "d"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.slow
@pytest.mark.parametrize("folders", [["k2d"], ["tools/bench"]], ids=str)
def test_no_circle_of_imports(folders):
    circle = circle_in(imported_by(modules_of(*(PROJECT_ROOT / folder for folder in folders))))
    assert " -> ".join(circle) == ""


def test_a_file_among_the_stages_is_a_stage():
    verbs = {stage.verb for stage in STAGES}
    assert {path.stem for path in (PACKAGE / "stages").glob("*.py")} - {"__init__"} == verbs


def test_no_file_repeats_the_name_of_its_folder():
    repeated = [
        path.relative_to(PROJECT_ROOT).as_posix()
        for path in FILES
        if path.parent != PACKAGE and f"{path.stem}_".startswith(f"{path.parent.name}_")
    ]
    assert repeated == []


def test_two_files_have_one_name_only_in_families_of_models():
    """`models/codec.py` defines the interface of codecs, and each family's folder has its own codec."""
    places: dict[str, list[str]] = {}
    for path in FILES:
        if path.name not in ("__init__.py", "cli.py") and PACKAGE / "models" not in path.parents:
            places.setdefault(path.name, []).append(path.relative_to(PROJECT_ROOT).as_posix())
    assert [found for found in places.values() if len(found) > 1] == []


def touches_the_outside(path: Path) -> list[str]:
    """The calls and imports with which a file could read, write or start a process."""
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


@pytest.mark.slow
def test_a_foreign_library_has_one_adapter():
    for path in FILES:
        name = str(path.relative_to(PROJECT_ROOT))
        for module in imports(path):
            allowed = ADAPTERS.get(module.split(".")[0])
            assert allowed is None or name in allowed, f"{name} imports {module}; only {allowed} may"
    assert len(FILES) >= 20


@pytest.mark.slow
def test_nothing_unsafe_is_imported_or_called():
    for path in FILES:
        assert not {"pickle", "dill", "marshal", "shelve"} & set(imports(path)), path
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                assert not (isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec")), path
                assert not any(k.arg == "shell" for k in node.keywords), path


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["config"],
        ["data", "--help"],
        ["stages"],
        ["fetch", "--list"],
        ["plan", "--conf", "conf/k2d_large_v2.yaml"],
    ],
)
@pytest.mark.slow
def test_light_verbs_import_nothing_heavy(words):
    """Commands that do not need torch, ESPnet or kaldiio do not import them, and print no messages about them."""
    code = (
        "import sys; from k2d.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'espnet2', 'espnet', 'kaldiio', 'transformers', 'matplotlib'} & set(sys.modules)\n"
        "print('heavy:', heavy or 'none', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == "heavy: none"


@pytest.mark.slow
def test_all_stage_modules_have_the_interface_and_are_light():
    built = [stage for stage in STAGES if stage.is_built]
    for stage in built:
        module = stage.load()
        assert isinstance(module.VERSION, int)
        assert callable(module.units)
        assert callable(module.make)
    code = "import sys; from k2d.pipeline.stage_list import STAGES; [s.load() for s in STAGES if s.is_built]; "
    code += "assert not {'torch', 'espnet2', 'kaldiio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True)
