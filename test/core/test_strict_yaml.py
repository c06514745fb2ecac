"""Bad input 53: YAML with tags, anchor bombs, duplicate keys, tabs."""

import pytest

from k2d.core.strict_yaml import Document, parse_value, read


def document(tmp_path, text: str | bytes) -> Document:
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, "c.yaml")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "c.yaml:1: tag tag:yaml.org,2002:python/object/apply:os.system is",
        ),
        ("a: 1\nb: !mine x\n", "c.yaml:2: tag !mine is not allowed"),
        ("a: 1\nb: 2\na: 3\n", "c.yaml:3: key a occurs twice, first in line 1; keep one"),
        ("s:\n  a: 1\n  a: 2\n", "c.yaml:3: key s.a occurs twice, first in line 2; keep one"),
        ("s:\n\ta: 1\n", "c.yaml:2: a tab is used for indentation; use spaces"),
        ("- a\n- b\n", "c.yaml: the top level is not a mapping"),
        ("a: [1, 2\nb: 3\n", "c.yaml:2: expected ',' or ']', but got ':'"),
        ("a: &x [*x]\n", "c.yaml:1: expands to more than 20,000 values, or refers to itself"),
        ("<<: {a: 1}\n", "c.yaml:1: a key is not a word"),
        (b"a: \xff\n", "c.yaml: byte 3 is not UTF-8"),
        ("a: 1\n".encode("utf-16"), "c.yaml: byte 0 is not UTF-8"),
    ],
)
def test_refused(tmp_path, text, fault):
    assert str(document(tmp_path, text).faults[0]).startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: " + "9" * 5_000, "c.yaml:2: a whole number of 5,000 digits, expected at most 18; write a smaller"),
        ("a: 1\nb: -" + "9" * 19, "c.yaml:2: a whole number of 19 digits, expected at most 18; write a smaller one"),
        ("a: 1\nb: " + "[" * 3_000, "c.yaml:2: values are nested more than 32 deep; correct the YAML here"),
        ("a: 1\nb: " + "[" * 33 + "]" * 33, "c.yaml:2: values are nested more than 32 deep; correct the YAML here"),
        ("\n".join(" " * n + "a:" for n in range(900)), "c.yaml:33: values are nested more than 32 deep; correct"),
        ("{a: " * 3_000 + "1" + "}" * 3_000, "c.yaml:1: values are nested more than 32 deep; correct the YAML here"),
    ],
    ids=["digits", "19", "open brackets", "33 brackets", "indented", "braces"],
)
def test_excessive_numbers_and_nesting_are_refused_with_their_line(tmp_path, text, fault):
    found = document(tmp_path, text).faults
    assert len(found) == 1
    assert str(found[0]).startswith(fault)


def test_nesting_by_aliases_counts(tmp_path):
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100))]
    (fault,) = document(tmp_path, "\n".join(lines)).faults
    assert str(fault) == "c.yaml:1: values are nested more than 32 deep; write them out, without anchors"


def test_the_largest_numbers_and_the_deepest_nesting_that_are_read(tmp_path):
    found = document(tmp_path, "a: " + "9" * 18 + "\nb: " + "[" * 30 + "]" * 30)
    assert found.faults == []
    assert found.data["a"] == 10**18 - 1


def test_an_anchor_bomb_is_refused_without_being_expanded(tmp_path):
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]  # 10^12 values
    (fault,) = document(tmp_path, "\n".join(lines)).faults
    assert fault.code == "yaml_bomb"


def test_a_huge_file_is_refused_without_reading_it(tmp_path):
    (fault,) = document(tmp_path, "a: 1\n" + "#" * (1 << 20)).faults
    assert fault.code == "too_large"


def test_each_key_has_its_line_number(tmp_path):
    found = document(tmp_path, "\ufeffa: 1\nb:\n  c: 2\n")
    assert found.data == {"a": 1, "b": {"c": 2}}
    assert found.lines == {("a",): 1, ("b",): 2, ("b", "c"): 3}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("no", "no"),
        ("010", 10),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("", None),
        ("~", None),
        ("-3", -3),
        ("1.5", 1.5),
        ("'1'", "1"),
        ("{a: [x, 2]}", {"a": ["x", 2]}),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)
