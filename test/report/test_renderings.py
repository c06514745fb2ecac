"""The same content as Markdown and as HTML. Text from others is never used as markup."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from k2d.report.document import Bullets, Cell, Clip, Disagreement, Figure, Paragraph, Section, Stretch, Table, names
from k2d.report.markdown import markdown, table_markdown
from k2d.report.page import page, table_html

EVIL = '<script>alert("x")</script>|`*[a](javascript:x)'


class Reader(HTMLParser):
    """Collects the tags and the text of each table cell, as a browser would."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self._open = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in ("td", "th"):
            self.cells.append("")
            self._open = True

    def handle_endtag(self, tag):
        self._open = self._open and tag not in ("td", "th")

    def handle_data(self, data):
        if self._open:
            self.cells[-1] += data


def whole_report(text):
    table = Table(text, (text, "n"), ((Cell(text), Cell("1", best=True)),), notes=(text,))
    pair = Disagreement(text, text, (Stretch(text, False),), (), Clip(why_not=text))
    return [Section(text, (Paragraph(text, warning=True), Bullets((text,)), table, pair))]


def test_a_table_in_markdown():
    table = Table("MER", ("set", "system", "MER %"), (names("a", "t", "9.1"), (*names("a", "s"), Cell("8.0", True))), 2)
    assert table_markdown(table).splitlines() == [
        "| set | system | MER % |",
        "|---|---|--:|",
        "| a | t | 9.1 |",
        "| a | s | **8.0** |",
    ]


def test_the_same_cells_in_html():
    rows = (names("a", "t", "9.1"), (*names("a", "s"), Cell("8.0", True)), names("b", "t", "–"))
    read = Reader(table_html(Table("MER", ("set", "system", "MER %"), rows, 2)))
    assert read.cells == ["set", "system", "MER %", "a", "t", "9.1", "a", "s", "8.0", "b", "t", "–"]
    assert [attributes for tag, attributes in read.tags if tag == "tr"] == [{}, {}, {}, {"class": "new"}]
    assert sum(tag == "strong" for tag, _ in read.tags) == 1


def test_text_from_others_is_never_markup():
    read = Reader(page(EVIL, whole_report(EVIL)))
    assert "script" not in {tag for tag, _ in read.tags}
    assert read.cells[0] == EVIL
    written = markdown(EVIL, whole_report(EVIL))
    assert "<script" not in written
    assert r"\|\`\*\[a\](javascript:x)" in written


@given(st.text(max_size=30))
def test_any_text_can_be_in_a_table(text):
    assert Reader(table_html(Table("x", ("a",), ((Cell(text),),)))).cells[1] == text
    lines = table_markdown(Table("x", ("a",), ((Cell(text),),))).split("\n")
    assert len(lines) == 3  # a line break in a name does not break the table


def test_empty_sections_are_omitted_and_only_the_page_has_plots():
    sections = [
        Section("Empty", ()),
        Section("Plots", (Figure("<svg></svg>", "a plot"),)),
        Section("Text", (Paragraph("x"),)),
    ]
    assert markdown("T", sections) == "# T\n\n## Text\n\nx\n"
    html = page("T", sections)
    assert "Empty" not in html
    assert "<figcaption>a plot</figcaption>" in html


def test_the_page_needs_no_network():
    sound = Clip("data:audio/flac;base64,AAAA")
    html = page("T", [Section("S", (Disagreement("c1", "", (), (Stretch("好", True),), sound),))])
    read = Reader(html)
    policy = next(a["content"] for tag, a in read.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    fetched = [a[name] for tag, a in read.tags for name in ("src", "href") if name in a]
    assert fetched == ["#part-1", "data:audio/flac;base64,AAAA"]
    assert "http" not in html.replace("http-equiv", "")


def test_differences_are_marked_by_more_than_colour():
    html = page("T", [Section("S", (Disagreement("c", "", (Stretch("同", True), Stretch("異", False)), (), Clip()),))])
    assert "同 <mark>異</mark>" in html
    assert "mark { " in html
    assert "text-decoration: underline" in html
