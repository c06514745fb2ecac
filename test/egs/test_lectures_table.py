"""The metadata table of a folder of recordings: its columns, and faults in it."""

import pytest
from made_recordings import SRT, names, sound

from egs.lectures.options import Options
from egs.lectures.prepare import inventory, tables
from egs.lectures.table import inner_path
from k2d.core.errors import K2DError


def test_the_table_sets_course_speaker_date_language_and_split(root, rows):
    for name in ("a/one.wav", "a/two.wav", "three.wav"):
        sound(root / name)
    (root / "three.srt").write_text(SRT)
    (root / "metadata.tsv").write_text(
        "speaker\tpath\tcourse\tdate\tlanguage\tsplit\tremarks\n"
        'hyl\ta/one.wav\tML "2021"\t2021-03-05\tzh-TW\t\tgood\n'
        f"Prof. Lee\t{root}/three.wav\tML\t\t\ttest\t\n",
        encoding="utf-8",
    )
    found = rows()
    first, second = sorted(found["train"], key=lambda row: row.audio)
    assert (first.speaker, first.language) == ("hyl", "zh-TW")
    assert first.id.startswith("hyl-a-one-")
    assert second.speaker == second.id
    assert {row.speaker.rpartition("-")[0] for row in found["test"]} == {"Prof._Lee"}
    assert all(row.id.startswith(f"{row.speaker}-three-") for row in found["test"])
    found_values = {(name, value) for _, name, key, value in tables(root, Options()) if key in (first.id, second.id)}
    assert ("reco2date", "2021-03-05") in found_values
    assert ("reco2course", "a") in found_values
    assert ("reco2path", "a/one.wav") in found_values
    assert names(rows(Options(only_listed=True))["train"]) == {"one.wav"}


def test_a_changed_table_changes_the_inventory(root):
    sound(root / "a.wav")
    found = [inventory(root, Options(table=name)) for name in ("", "mine.csv")]
    (root / "mine.csv").write_text("path\na.wav\n")
    assert inventory(root, Options()) == found[0] == found[1]
    assert inventory(root, Options(table="mine.csv")) != found[1]


def test_a_csv_file_of_a_spreadsheet_is_read(root, rows):
    sound(root / "a, b.wav")
    (root / "metadata.csv").write_text('\ufeffpath,speaker\r\n"a, b.wav","Lee, ""H."" Y."\r\n', encoding="utf-8")
    assert rows()["train"][0].speaker.startswith("Lee_H._Y-")


def test_all_faults_of_a_table_are_reported_and_outside_paths_are_refused(root, rows, tmp_path):
    sound(root / "a.wav")
    sound(root / "b.wav")
    sound(tmp_path / "secret.wav")
    lines = ["../secret.wav", str(tmp_path / "secret.wav"), "nothing.wav", "a.wav", "a.wav"]
    (root / "metadata.tsv").write_text(
        "\n".join(
            ["path\tsplit\tdate\tlanguage", *lines, "b.wav\tbest\t\t", "b.wav\t\tlong ago\t", "b.wav\t\t\tchinese!"]
        )
    )
    with pytest.raises(K2DError) as caught:
        rows()
    message = str(caught.value)
    for words in (
        "metadata.tsv:2: '../secret.wav' leads out of the recordings' folder",
        f"metadata.tsv:3: '{tmp_path / 'secret.wav'}' leads out of",
        "metadata.tsv:4: 'nothing.wav' is no recording that is there",
        "metadata.tsv:6: 'a.wav' is named twice",
        "metadata.tsv:7: 'b.wav' has the split 'best', expected one of train, dev, test",
        "metadata.tsv:8: 'b.wav' has the date 'long ago'",
        "metadata.tsv:9: 'b.wav' has the language 'chinese!'",
    ):
        assert words in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file\tspeaker\na.wav\tx\n", "metadata.tsv:1: found the columns file, speaker, expected also path"),
        ("path\na.wav\textra\n", "metadata.tsv:2: found 2 fields, expected 1"),
        ("path\tsplit\na.wav\ttest\n", "a.wav: the table puts it into test, which needs captions"),
    ],
)
def test_an_unusable_table_is_reported_with_the_reason(root, rows, content, message):
    sound(root / "a.wav")
    (root / "metadata.tsv").write_text(content)
    with pytest.raises(K2DError, match=message):
        rows()


def test_a_requested_table_must_exist_inside_the_folder(root, rows):
    sound(root / "a.wav")
    for wrong in ("nothing.tsv", "../table.tsv", "/etc/passwd"):
        with pytest.raises(K2DError, match="table: found"):
            rows(Options(table=wrong))


def test_inner_paths(root):
    assert inner_path(root, f"{root}/../x") is None
    assert inner_path(root, "a/b.wav\0") is None
    assert inner_path(root, "") is None
