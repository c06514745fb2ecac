"""Stamps: equal recipes are done, differences are described, and damage is found."""

import hashlib
import json
import os

import pytest

from k2d.core import hashing
from k2d.core.errors import K2DError
from k2d.core.stamp import (
    Recipe,
    damaged_files,
    differences,
    fingerprint,
    inspect_path,
    maker_of,
    read_stamp,
    recorded_fingerprint,
    write_stamp,
)

RECIPE = Recipe("select", 1, {"alpha": 0.4, "methods": {"a": {"rule": "per"}}}, {"chunks/x": "11", "opinions/x": "22"})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out" / "kept").mkdir(parents=True)
    (tmp_path / "out" / "kept" / "text").write_text("a hello\n")
    (tmp_path / "out" / "record.json").write_text("{}\n")
    return tmp_path / "out"


def test_a_stamp_is_read_back_as_it_was_written(folder):
    written = write_stamp(folder, RECIPE, {"n_in": 1}, {"at": "now"})
    assert read_stamp(folder) == written
    assert sorted(written.files) == ["kept/text", "record.json"]
    assert written.recipe.identity == RECIPE.identity


def test_a_folder_without_a_stamp_has_none(folder):
    assert read_stamp(folder) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"recipe": 1}', "\x00\x00\x00"])
def test_a_broken_stamp_never_counts_as_done(folder, text):
    (folder / "stamp.json").write_text(text)
    with pytest.raises(K2DError, match="not a stamp of this toolkit"):
        read_stamp(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"files": []},
        {"files": {"kept/text": {"size_bytes": "8", "mtime_ns": 1, "sha256": "0"}}},
        {"files": {"kept/text": 7}},
        {"counts": None},
        {"made": []},
        {"made": {"duration_s": "long"}},
        {"recipe": {"stage": "select", "version": 1, "settings": {}, "inputs": None}},
        {"recipe": {"stage": "select", "version": "1", "settings": {}, "inputs": {}}},
        {"recipe": {"stage": "select", "version": 1, "settings": [], "inputs": {}}},
        {"recipe": {"stage": "select", "version": 1, "settings": {}, "inputs": {"chunks": 5}}},
        {"recipe": {"stage": ["select"], "version": 1, "settings": {}, "inputs": {}}},
        {"recipe": {"stage": "select", "version": 1, "settings": {"text": "\ud800"}, "inputs": {}, "more": 1}},
    ],
)
def test_a_stamp_of_wrong_types_is_reported_without_a_crash(folder, change):
    write_stamp(folder, RECIPE, {}, {})
    raw = json.loads((folder / "stamp.json").read_text())
    (folder / "stamp.json").write_text(json.dumps({**raw, **change}))
    with pytest.raises(K2DError, match="not a stamp of this toolkit"):
        read_stamp(folder)
    assert fingerprint(folder / "kept")


@pytest.mark.parametrize("depth", [600, 5_000])  # too deep for what is done with settings, and for reading JSON
def test_a_stamp_nested_too_deeply_is_reported_without_a_crash(folder, depth):
    nested = '{"a": ' * depth + "1" + "}" * depth
    write_stamp(folder, RECIPE, {}, {})
    text = (folder / "stamp.json").read_text()
    (folder / "stamp.json").write_text(text.replace('"per"', nested))
    with pytest.raises(K2DError, match=r"not a stamp of this toolkit \(it is nested too deeply\)"):
        read_stamp(folder)
    assert fingerprint(folder / "kept")


def test_a_lone_surrogate_in_a_stamp_causes_no_crash(folder):
    write_stamp(folder, RECIPE, {}, {})
    text = (folder / "stamp.json").read_text()
    (folder / "stamp.json").write_text(text.replace('"per"', r'"\ud800"'))
    assert read_stamp(folder).recipe.settings["methods"]["a"]["rule"] == "\ud800"
    assert fingerprint(folder / "kept")


def test_a_folder_with_an_unreadable_stamp_has_another_fingerprint(folder):
    plain = fingerprint(folder / "kept")
    write_stamp(folder, RECIPE, {}, {})
    made = fingerprint(folder / "kept")
    (folder / "stamp.json").write_bytes(bytes(500))
    assert len({plain, made, fingerprint(folder / "kept")}) == 3


def test_each_difference_is_reported():
    new = Recipe(
        "select",
        2,
        {"alpha": 0.3, "methods": {"a": {"rule": "mer"}, "b": {"rule": "none"}}},
        {"chunks/x": "99", "y": "1"},
    )
    assert differences(RECIPE, new) == [
        "code of stage select: version 1 -> 2",
        "setting alpha: 0.4 -> 0.3",
        'setting methods.a.rule: "per" -> "mer"',
        'setting methods.b: null -> {"rule": "none"}',
        "input chunks/x has changed",
        "input opinions/x is gone",
        "input y is new",
    ]
    assert differences(RECIPE, RECIPE) == []


def test_a_tuple_equals_the_stored_list(folder):
    made = Recipe("select", 1, {"steps": ("tags",), "none": ()}, {})
    write_stamp(folder, made, {}, {})
    assert differences(read_stamp(folder).recipe, made) == []
    assert read_stamp(folder).recipe.identity == made.identity


def test_the_identity_does_not_depend_on_the_order_of_settings():
    turned = Recipe("select", 1, dict(reversed(RECIPE.settings.items())), dict(reversed(RECIPE.inputs.items())))
    assert turned.identity == RECIPE.identity


def test_damage_is_found_and_a_new_time_is_no_damage(folder):
    stamp = write_stamp(folder, RECIPE, {}, {})
    assert damaged_files(folder, stamp) == []
    os.utime(folder / "record.json", (1, 1))
    assert damaged_files(folder, stamp) == []
    (folder / "record.json").write_text("{ }")
    (folder / "kept" / "text").unlink()
    (folder / "kept" / "more").write_text("")
    assert damaged_files(folder, stamp) == ["kept/text is missing", "kept/more was added", "record.json was edited"]


def test_content_replaced_by_zeros_of_the_same_size_is_found(folder):
    stamp = write_stamp(folder, RECIPE, {}, {})
    (folder / "kept" / "text").write_bytes(b"\x00" * len("a hello\n"))
    assert damaged_files(folder, stamp) == ["kept/text was edited"]


def test_a_fingerprint_changes_with_the_content_and_with_the_maker(folder):
    plain = fingerprint(folder / "kept")
    assert plain == fingerprint(folder / "kept")
    write_stamp(folder, RECIPE, {}, {})
    made = fingerprint(folder / "kept")
    assert made != plain
    write_stamp(folder, Recipe("select", 2, RECIPE.settings, RECIPE.inputs), {}, {})
    remade = fingerprint(folder / "kept")
    assert remade != made  # the same files, made in another way
    (folder / "kept" / "text").write_text("a hello there\n")
    assert fingerprint(folder / "kept") != remade


def test_file_names_that_are_not_utf8_cause_no_crash(folder):
    (folder / os.fsdecode(b"caf\xe9")).write_text("latin-1")
    assert fingerprint(folder) != fingerprint(folder / "kept")


def digest(value):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def of_text(text):
    return hashlib.sha256(text.encode()).hexdigest()


def recorded(path):
    return recorded_fingerprint(path, maker_of(path))


def verified(path):
    return inspect_path(path, maker_of(path), verify=True)


def test_the_value_of_a_fingerprint_has_not_changed(folder):
    """Existing experiments have such values: the identity of the stage, and the hash of each file by its name."""
    text, record = of_text("a hello\n"), of_text("{}\n")
    assert fingerprint(folder) == digest({"maker": "", "content": {"kept/text": text, "record.json": record}})
    made = write_stamp(folder, RECIPE, {}, {}).recipe.identity
    assert made == "b32fc6eeb207f866f11c996ef2910eefb365e5bc549970f160f498baba9ba778"
    for path, content in (
        (folder, {"kept/text": text, "record.json": record}),
        (folder / "kept", {"text": text}),
        (folder / "kept" / "text", {"": text}),
    ):
        expected = digest({"maker": made, "content": content})
        assert [fingerprint(path), verified(path).fingerprint, recorded(path)] == [expected] * 3


def test_stamped_files_are_read_again_only_if_they_changed_or_to_verify_them(folder, monkeypatch):
    stamp = write_stamp(folder, RECIPE, {}, {})
    found = []
    read = hashing.read_sha256
    monkeypatch.setattr(hashing, "read_sha256", lambda path: (found.append(path.name), read(path))[1])

    paths = [folder, folder / "kept", folder / "kept" / "text"]
    before = [fingerprint(path) for path in paths]
    assert damaged_files(folder, stamp) == []
    assert found == []

    os.utime(folder / "record.json")  # a mere touch: read, and found to be the same
    assert fingerprint(folder) == before[0]
    assert found == ["record.json"]

    del found[:]
    assert [verified(path).fingerprint for path in paths] == before
    assert sorted(found) == ["record.json", "text", "text", "text"]


def test_only_verifying_finds_a_change_without_a_new_size_or_time(folder):
    stamp = write_stamp(folder, RECIPE, {}, {})
    whole, path = fingerprint(folder), folder / "kept" / "text"
    path.write_bytes(b"A hello\n")
    os.utime(path, ns=(stamp.files["kept/text"].mtime_ns,) * 2)
    assert (fingerprint(folder), damaged_files(folder, stamp)) == (whole, [])
    assert verified(folder).fingerprint != whole
    assert verified(folder).damage == ("kept/text was edited",)


def test_a_file_added_to_an_empty_folder_is_found(tmp_path):
    stamp = write_stamp(tmp_path, RECIPE, {}, {})
    (tmp_path / "more").write_text("")
    assert damaged_files(tmp_path, stamp) == ["more was added"]


def test_damage_below_one_folder(folder):
    write_stamp(folder, RECIPE, {}, {})
    (folder / "record.json").write_text("edited")
    kept = folder / "kept"
    assert inspect_path(kept, maker_of(kept)).damage == ()
    (kept / "text").write_text("edited")
    (kept / "more").write_text("")
    assert inspect_path(kept, maker_of(kept)).damage == ("kept/more was added", "kept/text was edited")
    (kept / "text").unlink()
    assert inspect_path(kept, maker_of(kept)).damage == ("kept/text is missing", "kept/more was added")


def test_files_without_a_stamp_have_no_recorded_fingerprint_and_no_damage(folder):
    assert recorded(folder) is None
    assert inspect_path(folder, None).damage == ()
    write_stamp(folder, RECIPE, {}, {})
    (folder / "later").mkdir()
    (folder / "later" / "file").write_text("")
    assert recorded(folder / "later") is None
    assert recorded(folder / "later" / "file") is None
    before = recorded(folder / "kept")
    (folder / "kept" / "text").write_text("edited")
    assert recorded(folder / "kept") == before != fingerprint(folder / "kept")


def test_a_new_section_is_reported_in_one_line():
    before = Recipe("teacher", 1, {"seed": 1}, {})
    after = Recipe("teacher", 1, {"seed": 1, "decode": {f"option_{n}": n for n in range(40)}}, {})
    (line,) = differences(before, after)
    assert line.startswith('setting decode: null -> {"option_0": 0, "option_1": 1')
    assert line.endswith("…")
    assert len(line) < 130
