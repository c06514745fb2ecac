"""Tables with a header give the same rows for any order, case and format. Faults have their place."""

import pytest

from k2d.core.errors import K2DError
from k2d.data.raw.table import table_rows


def rows(path, content, *wanted, **how):
    path.write_text(content, encoding="utf-8")
    return list(table_rows(path, wanted, **how))


def test_columns_are_found_by_name(tmp_path):
    expected = [(2, {"path": "a.wav", "text": "好"}), (4, {"path": "b.wav", "text": "OK"})]
    assert rows(tmp_path / "x.tsv", "path\ttext\na.wav\t好\n\nb.wav\tOK\n", "path", "text") == expected
    turned = rows(tmp_path / "y.csv", "\ufeffText, Path\r\n好,a.wav\r\n\r\nOK,b.wav\r\n", "path", "text")
    assert turned == expected


def test_a_quotation_mark_is_one_in_tsv_and_a_quote_in_csv(tmp_path):
    assert rows(tmp_path / "x.tsv", 'text\tn\n"說 so\t1\nhe" said""\t2\n', "text") == [
        (2, {"text": '"說 so', "n": "1"}),
        (3, {"text": 'he" said""', "n": "2"}),
    ]
    assert rows(tmp_path / "x.csv", 'text,n\n"a, ""b""",1\n', "text") == [(2, {"text": 'a, "b"', "n": "1"})]


def test_rows_may_end_early_where_people_write_them(tmp_path):
    found = rows(tmp_path / "x.tsv", "path\tcourse\na\n", "path", may_end_early=True)
    assert found == [(2, {"path": "a", "course": ""})]
    with pytest.raises(K2DError, match=r"x.tsv:2: found 1 fields, expected 2 as in the header; is the file whole\?"):
        rows(tmp_path / "x.tsv", "path\tcourse\na\n", "path")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "x.csv: found nothing, expected the columns path, text"),
        ("path,words\n", "x.csv:1: found the columns path, words, expected also text"),
        ('"path,text\n', "x.csv:1: unexpected end of data; write a row on one line, quotes doubled"),
        ("path,text,Text\n", "x.csv:1: found the columns path, text, text, expected text once"),
    ],
)
def test_a_bad_header_is_refused(tmp_path, content, message):
    with pytest.raises(K2DError) as caught:
        rows(tmp_path / "x.csv", content, "path", "text")
    assert str(caught.value).endswith(message)


def test_all_bad_rows_are_reported_together(tmp_path):
    with pytest.raises(K2DError) as caught:
        rows(tmp_path / "x.csv", 'path,text\na,b,c\n"open,b\nc,d\ne\n', "path")
    message = str(caught.value)
    assert "x.csv:2: found 3 fields, expected 2 as in the header" in message
    assert "x.csv:3: unexpected end of data; write a row on one line, quotes doubled" in message
    assert "x.csv:5: found 1 fields" in message
