"""One table: ids, lines, encodings, order (bad inputs 3 to 14)."""

import os
import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.core.errors import FaultReport, Treatment
from k2d.data.kaldi.canonical_line import canonical_line
from k2d.data.kaldi.external_sort import sort_lines
from k2d.data.kaldi.ids import MAX_BYTES, id_fault
from k2d.data.kaldi.kinds import KINDS
from k2d.data.kaldi.tables import Table, open_table


class Opened:
    """A file that was read, with the faults that were reported."""

    def __init__(self, folder: Path, name: str, content: str | bytes) -> None:
        self.path = folder / name
        self.path.write_bytes(content.encode() if isinstance(content, str) else content)
        (folder / "scratch").mkdir()
        self.report = FaultReport()
        self.table: Table | None = open_table(self.path, KINDS[name], folder / "scratch", self.report)

    @property
    def lines(self) -> list[str]:
        assert self.table is not None
        return list(self.table.lines())

    @property
    def codes(self) -> dict[str, Treatment]:
        return {code: treatment for treatment, code in self.report.counts}

    def only_fault(self) -> str:
        (fault,) = self.report.kept
        return str(fault)


def test_a_canonical_file_is_read_in_place(tmp_path):
    opened = Opened(tmp_path, "text", "a 你好\nb\nc x y\n")
    assert opened.table.file == opened.path
    assert opened.codes == {}
    assert list(opened.table.rows()) == [("a", "你好"), ("b", ""), ("c", "x y")]


def test_duplicate_ids_are_refused(tmp_path):
    opened = Opened(tmp_path, "text", "b one\na x\nb two\na x\n")
    assert opened.codes["duplicate_id"] is Treatment.REJECT
    assert opened.codes["duplicate_line"] is Treatment.REJECT
    assert opened.lines == ["a x", "b one"]


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a named pipe"),
        (Path.mkdir, "a directory"),
        (lambda p: p.symlink_to("/dev/null"), "a character device"),
    ],
)
def test_other_kinds_of_files_are_named_by_their_kind(tmp_path, make, kind):
    """A pipe, as in `--ref <(…)`, has size 0 but is not empty. It can be read only once, and a table is read twice."""
    make(tmp_path / "text")
    report = FaultReport()
    assert open_table(tmp_path / "text", KINDS["text"], tmp_path, report) is None
    (fault,) = report.kept
    assert str(fault) == f"{tmp_path}/text: is {kind}, not a file; write the content to a file, and name that file"


def test_an_unsorted_file_is_read_in_c_order(tmp_path):
    opened = Opened(tmp_path, "text", "b 2\na_1 1\nB 3\n课 5\na-1 4\na 0\né 6\n")
    assert [line.split()[0] for line in opened.lines] == ["B", "a", "a-1", "a_1", "b", "é", "课"]
    assert opened.codes == {"unsorted": Treatment.NORMALISE}


def test_line_ends_are_normalised_and_counted(tmp_path):
    opened = Opened(tmp_path, "text", "a x\r\nb y\r\n\r\nc z")
    assert opened.lines == ["a x", "b y", "c z"]
    assert opened.report.counts == {
        (Treatment.NORMALISE, "crlf"): 3,
        (Treatment.NORMALISE, "blank_line"): 1,
        (Treatment.NORMALISE, "no_final_newline"): 1,
    }


def test_a_byte_order_mark_is_not_part_of_the_first_id(tmp_path):
    opened = Opened(tmp_path, "text", b"\xef\xbb\xbfa x\nb y\n")
    assert opened.lines == ["a x", "b y"]
    assert opened.codes == {"bom": Treatment.NORMALISE}


@pytest.mark.parametrize("n_lines_before", [1, 200_000])
def test_invalid_utf8_is_refused_with_its_byte_offset(tmp_path, n_lines_before):
    good = b"".join(b"u%06d hello\n" % i for i in range(n_lines_before))
    opened = Opened(tmp_path, "text", good + b"v a\xffb\n")
    assert opened.table is None
    expected = f"{opened.path}: invalid UTF-8 at byte offset {len(good) + 3} (0xff); save it as UTF-8"
    assert opened.only_fault() == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_refused_by_name(tmp_path, encoding):
    opened = Opened(tmp_path, "text", "utt1 hello\nutt2 world\n".encode(encoding))
    assert opened.table is None
    assert opened.only_fault() == f"{opened.path}: the file is UTF-16, not UTF-8; save it as UTF-8"


@pytest.mark.parametrize(
    ("character", "name"), [("\0", "U+0000"), ("\x1b", "U+001B"), ("\x85", "U+0085"), ("\r", "U+000D")]
)
def test_control_characters_in_text_are_refused(tmp_path, character, name):
    opened = Opened(tmp_path, "text", f"a fine\nb x{character}y\n")
    assert opened.only_fault() == f"{opened.path}:2: control character {name} after the id; remove it"


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("a  x", "spacing", "the id and its value are not separated by one space"),
        ("a\tx", "spacing", "the id and its value are not separated by one space"),
        (" a x", "space_at_start", "white space before the id"),
        ("a x ", "space_at_end", "white space at the end of the line"),
        ("a x\t", "space_at_end", "white space at the end of the line"),
        ("a x  y", "word_spacing", "more than one space, or a tab, between words"),
        ("a x\ty", "word_spacing", "more than one space, or a tab, between words"),
    ],
)
def test_ascii_space_is_normalised_and_reported(tmp_path, line, code, message):
    opened = Opened(tmp_path, "text", f"{line}\nb z\n")
    assert [each.replace(" y", "") for each in opened.lines] == ["a x", "b z"]
    assert opened.report.counts == {(Treatment.NORMALISE, code): 1}
    assert opened.only_fault() == f"{opened.path}:1: {message}"


def test_an_empty_text_may_have_a_space_after_its_id(tmp_path):
    opened = Opened(tmp_path, "text", "a \nb\nc x\n")
    assert opened.lines == ["a", "b", "c x"]
    assert opened.report.counts == {(Treatment.NORMALISE, "space_at_end"): 1}


def test_all_faults_of_a_line_are_reported(tmp_path):
    opened = Opened(tmp_path, "text", " c\tx  y \n")
    assert opened.lines == ["c x y"]
    codes = {code for _, code in opened.report.counts}
    assert codes == {"space_at_start", "space_at_end", "spacing", "word_spacing"}


@pytest.mark.parametrize(
    ("space", "name"), [("\u3000", "U+3000 (IDEOGRAPHIC SPACE)"), ("\xa0", "U+00A0 (NO-BREAK SPACE)")]
)
def test_other_white_space_makes_a_bad_id(tmp_path, space, name):
    opened = Opened(tmp_path, "text", f"a x\nb{space}y\n")
    assert opened.codes == {"bad_id": Treatment.REJECT}
    assert f"text:2: the utterance id 'b{space}y' contains {name}; choose another id" in opened.only_fault().replace(
        repr(space)[1:-1], space
    )


def test_unicode_space_within_a_transcript_is_normalised(tmp_path):
    opened = Opened(tmp_path, "text", "a 你\u3000好\xa0吗\n")
    assert opened.lines == ["a 你 好 吗"]
    assert opened.codes == {"unicode_space": Treatment.NORMALISE}


def test_text_and_ids_are_read_in_nfc(tmp_path):
    opened = Opened(tmp_path, "text", "e\u0301 cafe\u0301\n")
    assert opened.lines == ["é café"]
    assert opened.report.counts == {(Treatment.NORMALISE, "nfc"): 2}


def test_ids_that_collide_in_nfc_are_refused(tmp_path):
    opened = Opened(tmp_path, "text", "e\u0301 one\né two\n")
    assert opened.codes["duplicate_id"] is Treatment.REJECT
    assert "compared in NFC" in str(opened.report.kept[-1])


def test_a_path_is_kept_byte_for_byte_though_ids_are_nfc(tmp_path):
    opened = Opened(tmp_path, "wav.scp", "e\u0301 /data/cafe\u0301  x/课 '😀\".wav\n")
    assert opened.lines == ["é /data/cafe\u0301  x/课 '😀\".wav"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("../x", "contains '/'"),
        ("a/b", "contains '/'"),
        ("..", "is '..'"),
        (".", "is '.'"),
        ("-rf", "starts with '-'"),
        ("a'b", 'contains "\'"'),
        ('a"b', "contains '\"'"),
        ("$(id)", "contains '$'"),
        ("`id`", "contains '`'"),
        ("a|b", "contains '|'"),
        ("a;b", "contains ';'"),
        ("a*", "contains '*'"),
        ("a\\b", "contains '\\\\'"),
        ("a\u200bb", "contains U+200B (ZERO WIDTH SPACE)"),
        ("x" * 300, "is 300 bytes long (at most 255)"),
        ("课" * 86, "is 258 bytes long (at most 255)"),
    ],
)
def test_the_grammar_of_ids(tmp_path, bad, reason):
    opened = Opened(tmp_path, "utt2spk", f"{bad} s\n")
    assert opened.codes == {"bad_id": Treatment.REJECT}
    assert reason in opened.only_fault()
    assert opened.lines == []


def test_white_space_within_an_id(tmp_path):
    assert id_fault("a b") == "contains U+0020 (SPACE)"
    assert id_fault("a\nb") == "contains U+000A"
    assert id_fault("") == "is ''"


@pytest.mark.parametrize(
    "good", ["a", "sw02001-A_000098-001156", "01nc.01@x#y=z+1,2:3~%^", "課堂-é", "x" * 255, "课" * 85]
)
def test_good_ids(tmp_path, good):
    assert len(good.encode()) <= MAX_BYTES
    opened = Opened(tmp_path, "utt2spk", f"{good} s\n")
    assert opened.codes == {}
    assert opened.lines == [f"{good} s"]


def test_ids_equal_up_to_case_are_two_ids(tmp_path):
    opened = Opened(tmp_path, "text", "Utt1 x\nutt1 y\n")
    assert opened.codes == {}
    assert opened.lines == ["Utt1 x", "utt1 y"]


@pytest.mark.parametrize("symbol", ["<s>", "</s>", "#0"])
def test_kaldis_own_symbols_are_refused_as_words(tmp_path, symbol):
    opened = Opened(tmp_path, "text", f"a x\nb {symbol} y\nc <0.00> x#0y <2.40>\n")
    assert opened.only_fault() == f"{opened.path}:2: the transcript has Kaldi's own symbol {symbol}; remove it"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("utt2dur", ["1", "0.01", "3600.5", "1e-05"], ["0", "0.00", "-1", "nan", "inf", "1,5", "", "1 2"]),
        ("utt2num_frames", ["1", "100"], ["0", "1.5", "-3", "many"]),
        ("spk2gender", ["m", "f"], ["x", "male", ""]),
        ("spk2warp", ["0.51", "1", "1.0", "1.49", ".75"], ["0.5", "0.50", "1.5", "2", "0.4", "-1"]),
        ("reco2file_and_channel", ["sw02 A", "sw02 B", "sw02 1"], ["sw02 C", "sw02", "sw02 A B"]),
        ("utt2spk", ["spk"], ["", "two words"]),
        ("segments", ["r 0 1", "r 0.5 1.25"], ["r 0", "r 0 1 2", "r -1 1", "r 0 nan", "r 0 inf", "r 0 1,5", "r x 1"]),
        ("utt2source", ["r 0 1", "r 0.5 1 2 3.25"], ["r", "r 0", "r 0 1 2", "r 0 1,5", "r -1 1", ""]),
        ("wav.scp", ["a b.wav", "x.ark:123", "a~b.wav"], ["", "~/x.wav", "sox x.wav -t wav - |", "|cat"]),
    ],
)
def test_values_of_each_kind(name, good, bad):
    """Among them times, pipes and Kaldi's checks of durations, warps, channels and genders."""
    assert [value for value in good if KINDS[name].problem(value)] == []
    assert [value for value in bad if not KINDS[name].problem(value)] == []


def test_the_fast_and_the_slow_reading_agree(tmp_path):
    """The slow reading changes no line that the fast scan accepts."""
    lines = [f"{key} {value}" for key in ("a", "é课", "x" * 64) for value in ("x", "你好 😀", "<0.00> a <1.20>")]
    for line in lines:
        assert canonical_line(line, KINDS["text"]) == (line, [])


WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n"), max_size=12)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=20))
@pytest.mark.slow
def test_cleaning_twice_equals_cleaning_once(pairs):
    for key, value in pairs:
        for kind in (KINDS["text"], KINDS["wav.scp"], KINDS["utt2spk"]):
            once, _ = canonical_line(f"{key} {value}", kind)
            if once is not None:
                twice, findings = canonical_line(once, kind)
                assert twice == once
                assert all(found.treatment is not Treatment.NORMALISE for found in findings)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n"), max_size=5), max_size=60))
def test_the_external_sort_is_the_order_of_bytes(tmp_path_factory, lines):
    scratch = tmp_path_factory.mktemp("sort")
    ordered = list(sort_lines(lines, scratch, chunk_characters=7, max_open=2))
    assert [line.encode() for line in ordered] == sorted(line.encode() for line in lines)
    assert list(scratch.iterdir()) == []


def test_the_external_sort_keeps_few_files_open(tmp_path):
    lines = ["".join(random.Random(i).choices(string.ascii_letters, k=8)) for i in range(2000)]
    assert list(sort_lines(lines, tmp_path, chunk_characters=100, max_open=3)) == sorted(lines)
