"""The README says what is there: its commands, its table of stages, its tree."""

import re

from k2d.core.layout import PROJECT_ROOT
from k2d.pipeline.stage_list import ROAD

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")


def test_the_two_commands_are_there():
    assert re.search(r"^\./run\.sh ", README, flags=re.MULTILINE)
    assert re.search(r"^make test ", README, flags=re.MULTILINE)
    assert "make test" in (PROJECT_ROOT / ".ci" / "run").read_text()


def test_its_table_is_the_road():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \| `(.+)` \|$", README, flags=re.MULTILINE)
    told = [(int(number), verb, reads.replace("`", ""), writes) for number, verb, reads, writes in rows]
    assert told == [(s.number, s.verb, s.reads, s.writes) for s in ROAD]


def test_its_tree_names_every_room_and_no_other():
    (tree,) = re.findall(r"## The house\n\n```\n(.*?)```", README, flags=re.DOTALL)
    rooms = re.findall(r"^( *)(\S+) ", tree, flags=re.MULTILINE)
    top = {name.rstrip("/") for indent, name in rooms if not indent}
    inside = {name.rstrip("/") for indent, name in rooms if indent}
    assert top == {"run.sh", "conf", "egs", "k2d", "utils", "tools", "test"}
    package = {path.name for path in (PROJECT_ROOT / "k2d").iterdir() if path.is_dir() and path.name[0] != "_"}
    assert inside == package


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 4
    assert [link for link in links if not (PROJECT_ROOT / link).exists()] == []


def test_every_option_of_run_sh_that_it_shows_exists(project):
    shown = set(re.findall(r"\./run\.sh[^\n`]*?(--[a-z-]+)", README))
    known = project.run("-h").stdout
    assert shown
    assert [option for option in shown if option not in known] == []
