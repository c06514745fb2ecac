"""Changes that change the digest of a recipe, so that its corpus is made again, and changes that do not."""

import ast
import shutil
from types import SimpleNamespace

import pytest

from k2d.config import load_config
from k2d.core.layout import PROJECT_ROOT, Layout
from k2d.core.stamp import Recipe, write_stamp
from k2d.data import corpus as corpus_module
from k2d.data.code_digest import code_digest, dump
from k2d.data.corpus import Corpus, known_corpora
from k2d.pipeline.job import Job
from k2d.pipeline.unit_status import state_of
from k2d.stages import prepare

PREPARE = '''"""Reads the lab."""
from __future__ import annotations
import json
from typing import TYPE_CHECKING
from egs.lab.markup import words
from k2d.data.raw.table import table_rows
from k2d.data.raw import download_command
from k2d.core.errors import K2DError
if TYPE_CHECKING:
    from k2d.data.rows import Utterance

class Options:
    size: int = 3
    """How many."""

def prepare(root, options, nj):
    """Yield all."""
    for row in table_rows(root):  # in order
        if not row: raise K2DError("x")
        yield json.dumps(words(row))

if __name__ == "__main__":
    raise SystemExit(download_command.main("lab"))
'''
FILES = {
    "egs/lab/prepare.py": PREPARE,
    "egs/lab/markup.py": "def words(row):\n    return row.lower()\n",
    "k2d/data/raw/table.py": "from k2d.data.raw.lines import raw_lines\ndef table_rows(root): return raw_lines(root)\n",
    "k2d/data/raw/lines.py": "from k2d.core.layout import shown\ndef raw_lines(root): return [shown(root)]\n",
    "k2d/data/raw/download_command.py": "def main(name): return 0\n",
    "k2d/data/raw/unused.py": "x = 1\n",
    "k2d/core/errors.py": "class K2DError(Exception): ...\n",
    "k2d/core/layout.py": "def shown(path): return str(path)\n",
}


@pytest.fixture
def digest(tmp_path):
    """The digest of the small project with some files replaced."""
    n = 0

    def of(changed=None, gone=()):
        nonlocal n
        n += 1
        root = tmp_path / str(n)
        for name, content in {**FILES, **(changed or {})}.items():
            if name not in gone:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content, encoding="utf-8")
        return code_digest(sorted((root / "egs" / "lab").glob("*.py")), root)

    return of


def replaced(name, *pairs):
    content = FILES[name]
    for old, new in pairs:
        assert old in content
        content = content.replace(old, new)
    return {name: content}


SAME = {
    "a comment": replaced("egs/lab/prepare.py", ("# in order", "# in the order of the table")),
    "no comment": replaced("egs/lab/prepare.py", ("  # in order", "")),
    "docstrings": replaced(
        "egs/lab/prepare.py", ('"""Reads the lab."""', ""), ("Yield all.", "Give it."), ("How many", "Size")
    ),
    "formatting": replaced("egs/lab/prepare.py", ("(root, options, nj)", "(\n  root, options, nj,\n)"), ('"x"', "'x'")),
    "a comment in a reader": replaced("k2d/data/raw/lines.py", ("def", "# reads\ndef")),
    "the order of imports": replaced("egs/lab/prepare.py", ("import json\n", ""), ("if TYPE", "import json\nif TYPE")),
    "names for types": replaced("egs/lab/prepare.py", ("import Utterance", "import Recording")),
    "how it is downloaded": replaced("egs/lab/prepare.py", ('main("lab")', 'main("lab", 2)')),
    "the downloader": {"k2d/data/raw/download_command.py": "def main(name): return 1\n"},
    "a module that is not reached": {"k2d/data/raw/unused.py": "x = 2\n"},
    "the words of errors": {"k2d/core/errors.py": "class K2DError(ValueError): ...\n"},
    "a module that moved": {
        "k2d/text/lines.py": FILES["k2d/data/raw/lines.py"],
        **replaced("k2d/data/raw/table.py", ("k2d.data.raw.lines", "k2d.text.lines")),
    },
    "a module that is imported whole from another room": {
        "k2d/text/table.py": FILES["k2d/data/raw/table.py"],
        **replaced("egs/lab/prepare.py", ("k2d.data.raw.table", "k2d.text.table")),
    },
}
DIFFERENT = {
    "the recipe": replaced("egs/lab/prepare.py", ("words(row)", "words(row.strip())")),
    "a default": replaced("egs/lab/prepare.py", ("int = 3", "int = 4")),
    "a type that options are checked by": replaced("egs/lab/prepare.py", ("size: int", "size: float")),
    "a module of the recipe": replaced("egs/lab/markup.py", ("lower", "upper")),
    "a reader": replaced("k2d/data/raw/table.py", ("return", "return 2 *")),
    "a reader that a reader uses": replaced("k2d/data/raw/lines.py", ("[shown(root)]", "[]")),
    "another reader of the same name": {
        "k2d/data/raw/other.py": "def table_rows(root): return []\n",
        **replaced("egs/lab/prepare.py", ("k2d.data.raw.table", "k2d.data.raw.other")),
    },
    "a foreign library": replaced("egs/lab/prepare.py", ("import json", "import simplejson as json")),
    "a string that is used": replaced("egs/lab/prepare.py", ('"x"', '"y"')),
}


@pytest.mark.parametrize("changed", SAME.values(), ids=SAME)
def test_code_of_the_same_meaning_has_the_same_digest(digest, changed):
    assert digest(changed) == digest()


@pytest.mark.parametrize("changed", DIFFERENT.values(), ids=DIFFERENT)
def test_code_of_another_meaning_has_another_digest(digest, changed):
    assert digest(changed) != digest()


def test_exchanged_imports_change_the_digest(digest):
    """The same names and modules, but each name is imported from the other module."""
    code = "from k2d.data.raw.a import f\nfrom k2d.data.raw.b import f as g\ndef prepare(): return f(1) - g(1)\n"
    modules = {"k2d/data/raw/a.py": "def f(x): return x\n", "k2d/data/raw/b.py": "def f(x): return 2 * x\n"}
    turned = code.replace("raw.a", "raw.c").replace("raw.b", "raw.a").replace("raw.c", "raw.b")
    one = digest({**modules, "egs/lab/prepare.py": code})
    assert digest({**modules, "egs/lab/prepare.py": turned}) != one


def test_circular_and_relative_imports_are_followed_once(digest):
    circle = {
        "egs/lab/markup.py": "from . import prepare\nfrom .more import f\ndef words(row): return f(prepare)\n",
        "egs/lab/more.py": "def f(x): return x\n",
    }
    changed = {**circle, "egs/lab/more.py": "def f(x): return 2 * x\n"}
    assert digest(circle) != digest(changed)


def test_a_file_that_is_not_python_counts_as_it_is(digest):
    assert digest({"egs/lab/old.py": "print 1\n"}) != digest({"egs/lab/old.py": "print 2\n"})


# --- the same on every version of Python ---


def test_fields_that_a_version_of_python_lacks_make_no_difference():
    older, newer = ast.parse("def f(): return 1\nclass C: pass"), ast.parse("def f(): return 1\nclass C: pass")
    for node in older.body:
        node._fields = tuple(name for name in node._fields if name not in ("type_params", "type_comment"))
    for node in newer.body:
        node._fields = (*node._fields, "type_params")
        node.type_params = []
    assert dump(older) == dump(newer)
    newer.body[0].type_params = [ast.Name("T")]
    assert dump(older) != dump(newer)


def test_f_strings_are_equal_however_their_words_are_split():
    value = ast.FormattedValue(ast.Name("x"), -1)
    whole = ast.JoinedStr([ast.Constant("a b"), value])
    split = ast.JoinedStr([ast.Constant("a "), ast.Constant("b"), ast.Constant(""), value, ast.Constant("")])
    assert dump(whole) == dump(split)
    assert dump(whole) != dump(ast.JoinedStr([value, ast.Constant("a b")]))
    empty = ast.FormattedValue(ast.Name("x"), -1, ast.JoinedStr([]))
    assert dump(ast.JoinedStr([empty])) == dump(ast.JoinedStr([value]))


def test_constants_keep_their_type_and_do_not_follow_the_version_of_unicode():
    texts = ["1", "1.0", "True", "'1'", "b'1'", "None", "1j", "...", "'\\ufffe'"]
    assert len({dump(ast.parse(text, mode="eval")) for text in texts}) == len(texts)
    assert dump(ast.parse("'課'")).isascii()
    assert dump(ast.parse("u'a'")) == dump(ast.parse("'a'"))
    assert dump(ast.parse("return_ = None")) != dump(ast.parse("return_ = {}"))
    assert dump(ast.parse("{**a}")) != dump(ast.parse("{a: a}"))
    assert dump(ast.parse("{None: a}")) != dump(ast.parse("{**a}"))


def test_the_text_of_a_tree_is_equal_in_python_3_10_to_3_13():
    """If it changes, all corpora are made again, so a change must be intended."""
    code = (
        'async def f(x: int = 3, /, *, y=None) -> str:\n    match x:\n        case [1, *_]: return f"{x!r:>{y}} 課"\n'
    )
    arguments = (
        "arguments(defaults=[int 3],kw_defaults=[NoneType None],kwonlyargs=[arg(arg='y')],"
        "posonlyargs=[arg(annotation=Name(id='int'),arg='x')])"
    )
    text = (
        "JoinedStr[FormattedValue(conversion=114,format_spec=JoinedStr['>',FormattedValue(conversion=-1,"
        "value=Name(id='y'))],value=Name(id='x')),' \\u8ab2']"
    )
    pattern = "MatchSequence(patterns=[MatchValue(value=int 1),MatchStar()])"
    match = f"Match(cases=[match_case(body=[Return(value={text})],pattern={pattern})],subject=Name(id='x'))"
    function = f"AsyncFunctionDef(args={arguments},body=[{match}],name='f',returns=Name(id='str'))"
    assert dump(ast.parse(code)) == f"Module(body=[{function}])"


# --- corpora ---


@pytest.mark.slow
def test_every_corpus_has_a_digest_of_its_own():
    digests = {name: Corpus(name).code() for name in known_corpora()}
    assert len(set(digests.values())) == len(digests) >= 9
    assert all(len(digest) == 16 for digest in digests.values())
    listed = {name: code for name, (*_, code) in corpus_module._FORMER.items()}
    changed = {name for name, code in listed.items() if digests[name] != code}
    assert changed == set(), "same data as before: list the present digest last in _FORMER; else remove the entry"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """The template in a project of its own, in this process."""
    made = Corpus("TEMPLATE")
    for name in ("egs/TEMPLATE", "k2d/data"):
        shutil.copytree(PROJECT_ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(corpus_module, "PROJECT_ROOT", tmp_path)
    made.folder = tmp_path / "egs" / "TEMPLATE"
    return made


def test_the_card_and_comments_do_not_change_the_digest_but_a_table_does(lab):
    before = lab.code()
    (lab.folder / "README.md").write_text("more words\n")
    (lab.folder / "corpus.yaml").write_text("name: TEMPLATE\nexpected: {default: {train: {utterances: 3}}}\n")
    (lab.folder / ".prepare.py.swp").write_bytes(b"\0")
    assert lab.code() == before
    (lab.folder / "words.txt").write_text("one\n")
    assert lab.code() != before


def test_readers_of_the_project_change_the_digest(lab):
    before = lab.code()
    reader = lab.folder.parents[1] / "k2d" / "data" / "raw" / "lines.py"
    reader.write_text("# words\n" + reader.read_text(encoding="utf-8"), encoding="utf-8")
    assert lab.code() == before
    reader.write_text(reader.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
    assert lab.code() != before


def test_data_with_a_digest_by_bytes_are_done(lab, tmp_path, monkeypatch):
    """After the recipe is edited, one line reports it."""
    raw = tmp_path / "raw"
    raw.mkdir()
    monkeypatch.setattr(prepare, "Corpus", lambda name: lab)
    config = load_config(PROJECT_ROOT / "conf" / "mini.yaml", [f"prepare.roots.TEMPLATE={raw}"])
    places = Layout(tmp_path / "data", tmp_path / "exp")
    made = tmp_path / "data" / "TEMPLATE"
    made.mkdir(parents=True)
    (by_bytes,) = lab.former_codes()
    settings = {"corpus": "TEMPLATE", "root": str(raw), "options": {}, "recipe": by_bytes}
    write_stamp(made, Recipe("prepare", 1, settings, {}), {}, {})
    stage = SimpleNamespace(verb="prepare", load=lambda: prepare)

    def state():
        job = Job(config, places, corpus="TEMPLATE")
        (unit,) = prepare.units(job)
        return state_of(stage, unit, job)

    assert state().is_done
    recipe = lab.folder / "prepare.py"
    recipe.write_text(recipe.read_text(encoding="utf-8") + "\n# words\n", encoding="utf-8")
    assert state().changes == (f'setting recipe: "{by_bytes}" -> "{lab.code()}"',)
    (made / "stamp.json").unlink()
    write_stamp(made, Recipe("prepare", 1, {**settings, "recipe": lab.code()}, {}), {}, {})
    recipe.write_text(recipe.read_text(encoding="utf-8") + "\n# more words\n", encoding="utf-8")
    assert state().is_done


def test_digests_of_earlier_versions_that_made_the_same_data_are_known(lab, monkeypatch):
    monkeypatch.setattr(corpus_module, "_FORMER", {"TEMPLATE": ("of before", "of later", lab.code())})
    assert {"of before", "of later"} <= set(lab.former_codes())
    assert lab.code() not in lab.former_codes()
    recipe = lab.folder / "prepare.py"
    recipe.write_text(recipe.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
    assert not {"of before", "of later"} & set(lab.former_codes())
