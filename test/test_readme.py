"""Everything that the pages name exists: commands, options, settings, files, links, stages and rooms."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from known_commands import exists, is_setting, named_commands, options_of, parser_of

from k2d.__main__ import main
from k2d.config.load import load_config
from k2d.core.layout import PROJECT_ROOT
from k2d.data.corpus import Corpus, known_corpora
from k2d.pipeline.stage_list import STAGES
from tools import readme_figures

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "conf/*.md", "egs/*.md", "egs/*/*.md", "tools/bench/*.md")
    for path in PROJECT_ROOT.glob(pattern)
    if path.name != "RESULTS.md"  # a published report
)
ROOMS = ("conf", "docs", "egs", "k2d", "test", "tools", "utils")
MADE_UP = ("egs/mycorpus", "test/egs/test_mycorpus")  # the corpus that egs/README.md adds
EXAMPLE = "NAME_OR_PATH"
_PATH = re.compile(rf"(?<![\w./~-])(?:\./|\.\./)*((?:{'|'.join(ROOMS)})/[\w./-]+|run\.sh|requirements\.lock)")
_TYPED = re.compile(r"(\w+=\S+ )*(?P<command>(\./|egs/\w+/)run\.sh|(\.venv/bin/)?python -m k2d) ?")
_SECTIONS = (
    "corpora",
    "prepare",
    "tokens",
    "teacher",
    "pseudo_label",
    "decode",
    "chunk",
    "select",
    "student",
    "distill",
    "score",
)
_DOTTED = re.compile(rf"`((?:{'|'.join(_SECTIONS)}|report|export)(?:\.[a-z_]+)+)(?:[:=][^`]*)?`")
_FILE = re.compile(r"\.(py|json|jsonl|html|md|yaml|tsv|txt|sh|svg)$")


class Command(NamedTuple):
    """A line in a page's block of commands, without its comment."""

    page: str
    words: tuple[str, ...]


def name(page: Path) -> str:
    return page.relative_to(PROJECT_ROOT).as_posix()


def blocks(page: Path) -> Iterator[str]:
    yield from re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands() -> Iterator[Command]:
    """The commands of this project. A line that ends in a backslash continues in the next one."""
    for page in PAGES:
        for line in "".join(blocks(page)).replace("\\\n", " ").splitlines():
            found = _TYPED.match(line)
            if found:
                words = shlex.split(line[found.start("command") :].replace("…", ""), comments=True)
                yield Command(name(page), tuple(words))


def of_module(command: Command) -> tuple[str, ...] | None:
    """The arguments of `python -m k2d`. None for another command."""
    if re.fullmatch(r"(\.venv/bin/)?python", command.words[0]) and command.words[1:3] == ("-m", "k2d"):
        return command.words[3:]
    return None


def is_run_sh(command: Command) -> bool:
    return re.fullmatch(r"\./run\.sh|egs/\w+/run\.sh", command.words[0]) is not None


MODULE_COMMANDS = [command for command in commands() if of_module(command)]
RUN_COMMANDS = [command for command in commands() if is_run_sh(command)]


def written(command: Command) -> str:
    return f"{command.page}: {' '.join(command.words)}"


# --- the README ---


def test_the_readme_is_short_and_has_the_two_commands():
    assert len(README.splitlines()) <= 150
    assert re.search(r"^\./run\.sh ", README, flags=re.MULTILINE)
    assert re.search(r"^make test ", README, flags=re.MULTILINE)
    assert "make test" in (PROJECT_ROOT / ".ci" / "run").read_text()


def test_its_tree_has_exactly_the_existing_rooms():
    (tree,) = re.findall(r"## The folders\n\n```\n(.*?)```", README, flags=re.DOTALL)
    rooms = re.findall(r"^( *)(\S+) ", tree, flags=re.MULTILINE)
    top = {name.rstrip("/") for indent, name in rooms if not indent}
    inside = {name.rstrip("/") for indent, name in rooms if indent}
    assert top == {"run.sh", *ROOMS}
    package = {path.name for path in (PROJECT_ROOT / "k2d").iterdir() if path.is_dir() and path.name[0] != "_"}
    assert inside == package


def test_its_table_is_in_the_results():
    rates = readme_figures.rates_of((PROJECT_ROOT / "RESULTS.md").read_text(encoding="utf-8"))
    found = [
        [f"{readme_figures.tenths(rates[s][t].mean)}" for t in readme_figures.SETS] for s in readme_figures.SYSTEMS
    ]
    rows = re.findall(r"^\| [^|]+ \|((?: \**[\d.]+\** \|){4})$", README, flags=re.MULTILINE)
    assert [re.findall(r"[\d.]+", row) for row in rows] == found


def test_its_figures_equal_newly_drawn_ones():
    for file, content in readme_figures.figures().items():
        assert (PROJECT_ROOT / "docs" / "images" / file).read_text(encoding="utf-8") == content, (
            f"{file} is stale: python tools/readme_figures.py"
        )
    shown = {*readme_figures.STAGES, "1 prepare"}
    assert shown == {f"{stage.number} {stage.verb}" for stage in STAGES}


# --- the glossary of CONTRIBUTING.md ---

GLOSSARY = re.findall(
    r"^\| (\w+) \| (.+) \| `(\w+)` \| `([\w/.]+)` \|$",
    (PROJECT_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE,
)


def test_the_glossary_has_its_words():
    words = [word for word, *_ in GLOSSARY]
    assert len(words) == len(set(words)) >= 20
    assert {"recording", "chunk", "label", "opinion", "hypothesis", "auxiliary", "system", "unit", "stamp"} < set(words)


@pytest.mark.parametrize(("word", "type_", "file"), [(word, type_, file) for word, _, type_, file in GLOSSARY])
def test_a_word_has_its_type_in_its_file(word, type_, file):
    """A class, a function, a name of a type, or a field."""
    code = (PROJECT_ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^(class |def |    )?{type_}(\(|:| =)", code, flags=re.MULTILINE), (
        f"{word}: no {type_} in {file}"
    )


@pytest.mark.parametrize(
    ("name_", "file"),
    re.findall(r"`(\w+)`\s\(`(k2d/[\w/]+\.py)`\)", (PROJECT_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")),
)
def test_a_name_exists_in_the_file_that_is_named_with_it(name_, file):
    assert re.search(rf"^(class|def) {name_}\b", (PROJECT_ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE)


# --- all pages ---


def test_the_table_of_stages_matches_the_registry():
    page = (PROJECT_ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \| `(.+)` \|$", page, flags=re.MULTILINE)
    stages = [(int(number), verb, reads.replace("`", ""), writes) for number, verb, reads, writes in rows]
    assert stages == [(s.number, s.verb, s.reads, s.writes) for s in STAGES]


def test_every_page_of_docs_is_in_its_index():
    index = (PROJECT_ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (PROJECT_ROOT / "docs").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\((\w+\.md)\)", index)) == pages


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_a_file_and_a_heading(page):
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        target = (page.parent / link).resolve() if link else page
        assert target.exists(), f"{name(page)}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{name(page)}: {link}#{anchor}"


def slug(heading: str) -> str:
    """The anchor of a heading.

    >>> slug("Several processes, `GPUs` and machines")
    'several-processes-gpus-and-machines'
    """
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    code = [*re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)), *blocks(page)]
    found = {path.rstrip(".") for each in code for path in _PATH.findall(each) if "NAME" not in path}
    lacking = [path for path in found if not path.startswith(MADE_UP) and not (PROJECT_ROOT / path).exists()]
    assert lacking == []


@pytest.mark.parametrize("page", PAGES, ids=name)
@pytest.mark.slow
def test_settings_that_a_page_names_exist(page):
    found = {s for s in _DOTTED.findall(page.read_text(encoding="utf-8")) if not _FILE.search(s)}
    assert [setting for setting in found if not is_setting(setting)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_that_a_page_names_exist(page):
    for line in page.read_text(encoding="utf-8").splitlines():
        for command, options in named_commands(line):
            assert exists(command), f"{name(page)}: there is no verb {' '.join(command)!r}"
            assert set(options) <= options_of(*command), f"{name(page)}: {line}"


@pytest.mark.parametrize("command", MODULE_COMMANDS, ids=written)
def test_commands_are_accepted_by_their_parser(command):
    words = list(of_module(command) or ())
    if ">" in words:
        words = words[: words.index(">")]
    verb, *rest = words
    parser = parser_of(verb, *(word for word in rest if word.startswith("--")))
    options = parser.parse_intermixed_args(rest) if verb not in ("data",) else parser.parse_args(rest)
    conf = getattr(options, "conf", None)
    assert conf in (None, "FILE") or (PROJECT_ROOT / conf).is_file()


@pytest.mark.parametrize("command", RUN_COMMANDS, ids=written)
@pytest.mark.slow
def test_calls_of_run_sh_are_accepted(command):
    """Its options, its config, and every setting with its value."""
    words, settings, asked = list(command.words[1:]), [], {}
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            settings.append(word)
            continue
        option = word.removeprefix("--") if word != "-h" else "help"
        assert option in options_of("run.sh"), written(command)
        if f"--{option} " in run_sh_values():
            asked[option] = words.pop(0)
    corpus = asked.get("corpus") or Path(command.words[0]).parent.name
    conf = asked.get("conf") or (
        f"conf/{corpus}.yaml" if corpus and (PROJECT_ROOT / f"conf/{corpus}.yaml").exists() else ""
    )
    own = [s for s in settings if s.startswith("prepare.options.")]
    config = load_config(PROJECT_ROOT / (conf or "conf/mini.yaml"), [s for s in settings if EXAMPLE not in s])
    for given in {setting.split(".")[2] for setting in own}:
        assert given in known_corpora()
        Corpus(given).options(config.prepare.options[given])
    stages = [int(asked.get(option, 1)) for option in ("stage", "stop-stage")]
    assert all(1 <= stage <= len(STAGES) for stage in stages)


def run_sh_values() -> str:
    """Its options that take a value, each followed by a space."""
    header = (PROJECT_ROOT / "run.sh").read_text(encoding="utf-8").partition("set -euo")[0]
    return " ".join(re.findall(r"^#   (--[a-z-]+) [A-Z]+", header, flags=re.MULTILINE)) + " "


def test_the_pages_have_commands():
    assert len(MODULE_COMMANDS) > 15
    assert len(RUN_COMMANDS) > 20


LIGHT = {tuple(words) for c in MODULE_COMMANDS if (words := of_module(c)) and words[0] in ("plan", "config", "stages")}


@pytest.mark.parametrize("words", sorted(LIGHT), ids=" ".join)
def test_light_commands_run(words, capsys):
    assert main([word for word in words if word != "FILE"]) == 0
    assert capsys.readouterr().out


def test_the_commands_on_two_text_files_run(tmp_path, monkeypatch, capsys):
    """As docs/ shows them, with the files that they name."""
    monkeypatch.chdir(tmp_path)
    for file in ("teacher/text", "auxiliary/text", "data/x/text", "hyp/text"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("a 我们 用 gpu\nb 你好\n", encoding="utf-8")
    shown = {of_module(command) for command in MODULE_COMMANDS}
    for verb, option in (("distance", "--a"), ("score", "--ref")):
        (words,) = {words for words in shown if words and words[0] == verb and option in words}
        assert main(list(words[: words.index(">")] if ">" in words else words)) == 0
        assert capsys.readouterr().out
    assert (tmp_path / "scores" / "x" / "score.json").is_file()


@pytest.mark.parametrize("corpus", [c for c in known_corpora() if c != "TEMPLATE"])
def test_a_corpus_page_offers_a_download_only_where_there_is_one(corpus):
    page = (PROJECT_ROOT / "egs" / corpus / "README.md").read_text(encoding="utf-8")
    card = Corpus(corpus).card
    if re.search(rf"python -m egs\.{corpus}\.prepare --download", page):
        assert card.download or card.hub
        assert "download" in options_of("egs")
        assert importlib.util.find_spec(f"egs.{corpus}.prepare")


def test_the_examples_hold():
    assert slug("Several processes, `GPUs` and machines") == "several-processes-gpus-and-machines"
