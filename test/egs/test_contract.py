"""Each folder under egs/ follows the contract of egs/README.md, whose four commands work."""

import os
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from commands_here import ExperimentHere, k2d

from k2d.core.layout import PROJECT_ROOT
from k2d.data.corpus import Corpus, known_corpora
from tools.corpus_table import table_of, with_table

FOLDERS = sorted(path.name for path in (PROJECT_ROOT / "egs").iterdir() if path.is_dir() and path.name[0] not in "_.")


def test_all_folders_are_tested():
    assert set(FOLDERS) == set(known_corpora())
    assert {"TEMPLATE", "mini"} <= set(FOLDERS)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_follows_the_contract(name):
    corpus = Corpus(name)
    folder = corpus.folder
    assert callable(corpus.module.prepare)
    assert corpus.card.licence
    assert corpus.card.source
    assert corpus.card.languages
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# ")
    run = (folder / "run.sh").read_text(encoding="utf-8").splitlines()
    assert run == [
        "#!/usr/bin/env bash",
        "set -euo pipefail",
        f'exec "$(dirname "${{BASH_SOURCE[0]}}")/../../run.sh" --corpus {name} "$@"',
    ]
    assert os.access(folder / "run.sh", os.X_OK)


def test_the_table_of_corpora_is_made_from_their_cards():
    readme = (PROJECT_ROOT / "egs" / "README.md").read_text(encoding="utf-8")
    made = with_table(readme, [Corpus(name).card for name in FOLDERS])
    assert made == readme, "egs/README.md is stale; run: python tools/corpus_table.py"
    assert [name for name in FOLDERS if f"| `{name}` |" not in readme] == []


def test_a_new_corpus_has_a_row_from_its_card():
    card = replace(Corpus("ascend").card, name="mycorpus", root_variable="mycorpus_ROOT", title="Lectures of mine")
    command = "`mycorpus_ROOT=… egs/mycorpus/run.sh --stage 1 --stop-stage 1`"
    splits = "`train`, `validation`, `test`, `test_long`"
    row = f"| `mycorpus` | Lectures of mine | zh, en | CC-BY-SA-4.0 | {splits} | {command} |"
    assert list(table_of([card]))[-1] == row


def raw_corpus(root):
    (root / "train").mkdir(parents=True)
    lines = ["path\tspeaker\ttext"]
    for n in range(3):
        soundfile.write(root / "train" / f"u{n}.flac", np.full(16000 * (n + 1), 0.1), 16000)
        lines.append(f'train/u{n}.flac\tspk{n % 2}\t這個 model "{n}')
    (root / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_a_corpus_is_added_in_the_four_commands_of_the_readme(warm_project, tmp_path):
    """The commands are run unchanged, except for the paths of the raw corpus and of Python."""
    readme = (PROJECT_ROOT / "egs" / "README.md").read_text(encoding="utf-8")
    block = re.search(r"four commands\n\n```\n(.*?)```", readme, flags=re.DOTALL)
    assert block is not None
    commands = block.group(1).strip().splitlines()
    assert len(commands) == 4
    raw_corpus(tmp_path / "raw")
    files = [path for path in warm_project.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    before = {path: path.read_bytes() for path in files}
    script = "\n".join(["set -e", *commands]).replace("/path/to/the/raw/corpus", str(tmp_path / "raw"))
    done = warm_project.command("bash", "-c", script.replace(".venv/bin/python", '"$K2D_PYTHON"'))
    assert done.returncode == 0, done.stderr
    assert "data/mycorpus: in 3 utterances = kept 3" in done.stdout
    assert re.search(r"^train +0\.00 +0\.00 +3 +3 +2 +2\.0$", done.stdout, flags=re.MULTILINE)
    text = (warm_project.root / "data/mycorpus/train/text").read_text(encoding="utf-8")
    assert text == 'spk0-u0 這個 model "0\nspk0-u2 這個 model "2\nspk1-u1 這個 model "1\n'
    changed = [path for path, content in before.items() if path.read_bytes() != content]
    assert changed == []
    assert warm_project.k2d("data", "validate", "data/mycorpus/train").returncode == 0


@pytest.mark.slow
def test_for_an_unprepared_corpus_the_command_is_printed(tmp_path):
    """This is tested for a corpus under egs/ and for an unknown one."""
    conf = "corpora: {out_domain: [ascend/test_long, nowhere/test]}\nteacher: {checkpoint: made}\n"
    experiment = ExperimentHere(tmp_path)
    experiment.conf.write_text(conf)
    (experiment.exp / "models" / "teacher").mkdir(parents=True)
    done = experiment.k2d("decode")
    assert done.returncode == 3
    assert f"{tmp_path}/data/ascend/test_long/wav.scp" in done.stderr
    words = ["--conf", str(experiment.conf), f"exp={tmp_path / 'exp'}", f"data={tmp_path / 'data'}"]
    command = shlex.join(["egs/ascend/run.sh", *words, "--stage", "1", "--stop-stage", "1"])
    assert f"ascend is prepared by: ASCEND_ROOT=/path/to/it {command}" in done.stderr
    assert "nowhere is not a corpus under egs/: add it (egs/README.md)" in done.stderr


@pytest.mark.slow
def test_for_the_papers_config_the_source_of_each_corpus_is_printed(tmp_path, monkeypatch):
    for name in FOLDERS:
        monkeypatch.setenv(f"{name.upper()}_ROOT", "")
    words = ("--conf", "conf/k2d_large_v2.yaml", f"data={tmp_path / 'data'}", f"exp={tmp_path / 'exp'}")
    done = k2d("prepare", *words)
    assert done.returncode == 2
    for name in ("lectures", "ntuml2021", "commonvoice", "ascend"):
        assert f"{name}: where is the raw corpus? set {name.upper()}_ROOT, or prepare.roots.{name}=" in done.stderr
