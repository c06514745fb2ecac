"""Folders of yt-dlp and shards of YODAS2: licences, hostile files, and names that are never used as paths."""

import io
import json
import logging
import tarfile

import pytest
from made_audio import speechlike, write_audio

from egs.lectures.info import MAX_BYTES, Info, read_info
from egs.lectures.json_list import json_list
from egs.lectures.options import Options
from egs.lectures.prepare import inventory, prepare, tables
from k2d.core.errors import K2DError
from k2d.data.audio import probe, resolve
from k2d.data.kaldi.ids import id_fault

CC = "Creative Commons Attribution license (reuse allowed)"
YOUTUBE = "Standard YouTube License"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "raw"


@pytest.fixture
def rows(root, tmp_path, caplog):
    """The rows of the recipe by split. Its counts are in the log."""

    def run(options=None):
        found = {}
        with caplog.at_level(logging.INFO, "k2d"):
            for split, row in prepare(root, options or Options(), 1, tmp_path / "store"):
                found.setdefault(split, []).append(row)
        return found

    return run


def logged(caplog):
    return [record.getMessage() for record in caplog.records]


# --- yt-dlp -----------------------------------------------------------------------------------------------------


def video(root, name, **info):
    """A recording as yt-dlp writes it with --write-info-json."""
    path = write_audio(root / f"{name}.opus", speechlike(1.0, 48000), 48000, format="OGG", subtype="OPUS")
    if info:
        whole = {"id": name, "title": "../../etc", "_filename": "/etc/passwd", "formats": [{"url": "x"}] * 3, **info}
        path.with_suffix(".info.json").write_text(json.dumps(whole), encoding="utf-8")


def test_only_creative_commons_is_used_by_default(root, rows, caplog):
    video(root, "UC1/-aB_c", license=CC, channel_id="UC1", upload_date="20210305", language="zh-TW")
    video(root, "UC1/standard", license=YOUTUBE, channel_id="UC1")
    video(root, "UC1/none", license=None, channel_id="UC1")
    video(root, "UC1/no_info")
    video(root, "UC2/broken", license=CC)
    (root / "UC2/broken.info.json").write_text('{"license": "Creative')
    video(root, "mine/own recording")
    found = rows()["train"]
    assert [(row.speaker, row.language) for row in found if row.speaker == "UC1"] == [("UC1", "zh-TW")]
    assert found[0].id.startswith("UC1-UC1-aB_c-")
    assert len(found) == 2
    counted = "in 6 recordings = kept 2 + bad_info 1 (such as UC2/broken.opus) + licence 2 (such as UC1/none.opus)"
    assert f"lectures: {counted} + no_info 1 (such as UC1/no_info.opus)" in logged(caplog)
    values = {(name, value) for _, name, _, value in tables(root, Options())}
    assert {("reco2course", "UC1"), ("reco2date", "2021-03-05"), ("reco2path", "UC1/-aB_c.opus")} <= values
    assert len(rows(Options(licences="any"))["train"]) == 6


def test_captions_of_downloads_are_references_only_with_the_option(root, rows):
    video(root, "UC1/a", license=CC, channel_id="UC1")
    (root / "UC1/a.zh-TW.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:00.900\n大家好\n")
    assert set(rows()) == {"train"}
    (row,) = rows(Options(captions="all"))["test"]
    assert (row.text, row.speaker) == ("大家好", "UC1")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1, 2]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a": ' * 100_000, b"1" * 10_000],
    ids=["empty", "cut", "list", "null", "no utf-8", "deep list", "deep mapping", "long number"],
)
def test_a_deeply_nested_info_file_is_reported_without_a_crash(tmp_path, content):
    (tmp_path / "x.info.json").write_bytes(content)
    with pytest.raises(K2DError, match=r"x\.info\.json: "):
        read_info(tmp_path / "x.info.json")


def test_a_huge_info_file_is_not_read(tmp_path):
    with (tmp_path / "x.info.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(K2DError, match=r"has 67,108,865 bytes, expected at most"):
        read_info(tmp_path / "x.info.json")


def test_values_of_wrong_types_count_as_unknown(tmp_path):
    odd = {"license": [CC], "channel_id": 7, "channel": {"x": 1}, "uploader": "a\nb\x00 c", "upload_date": "2021-3-5"}
    (tmp_path / "x.info.json").write_text(json.dumps(odd))
    assert read_info(tmp_path / "x.info.json") == Info(channel="a b\0 c")


def test_names_in_info_files_become_valid_ids(root, rows):
    for n, channel in enumerate(["../../etc", "a b\0c", "李老師 (NTU)", "x" * 400, "-rf", "🎉"]):
        video(root, f"v{n}", license=CC, channel_id=channel)
    found = rows()["train"]
    assert [id_fault(row.id) for row in found] == [""] * 6
    assert [id_fault(row.speaker) for row in found] == [""] * 6
    assert len({row.speaker for row in found}) == 6
    assert all(row.id.startswith(f"{row.speaker}-") for row in found)
    assert all(id_fault(value) == "" for _, name, _, value in tables(root, Options()) if name == "reco2course")


# --- YODAS2 -----------------------------------------------------------------------------------------------------


def shard(place, number, videos, texts=None, evil=None):
    """A shard as on the Hub: whole videos at 24 kHz, their lengths in seconds, their captions in centiseconds."""
    for kind in ("audio", "duration", "text"):
        (place / kind).mkdir(parents=True, exist_ok=True)
    with tarfile.open(place / "audio" / f"{number}.tar.gz", "w:gz") as tar:
        for key, seconds in videos.items():
            made = write_audio(place / "made.wav", speechlike(seconds, 24000), 24000).read_bytes()
            info = tarfile.TarInfo(f"{number}/{key}.wav")
            info.size = len(made)
            tar.addfile(info, io.BytesIO(made))
        if evil:
            info = tarfile.TarInfo(evil)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    (place / "made.wav").unlink(missing_ok=True)
    (place / "duration" / f"{number}.txt").write_text("".join(f"{key} {s:.2f}\n" for key, s in videos.items()))
    (place / "text" / f"{number}.json").write_text(json.dumps(texts or [], ensure_ascii=False), encoding="utf-8")


VIDEOS = {"-aB_c-9": 2.0, "Zz-00001-00000000-00000100": 1.5, "plain": 1.0}
TEXTS = [
    {
        "audio_id": "-aB_c-9",
        "text": {"-aB_c-9-00000-00000020-00000100": "大家好", "-aB_c-9-00001-00000100-00000190": "OK"},
    },
    {
        "audio_id": "Zz-00001-00000000-00000100",
        "text": {"Zz-00001-00000000-00000100-00000-00000000-00000120": "我們", "odd": "x"},
    },
    {"audio_id": "plain", "text": {"plain-00000-00000000-00000050": "[音樂]"}},
]


@pytest.mark.parametrize("where", ["", "zh000", "data/zh000"])
@pytest.mark.slow
def test_shards_in_any_folder_are_unpacked_once(root, rows, tmp_path, where):
    shard(root / where, "00000000", VIDEOS, TEXTS)
    shard(root / where, "00000001", {"other": 1.0})
    found = rows()["train"]
    assert [round(probe(resolve(row.audio)).duration_s, 2) for row in found] == [2.0, 1.5, 1.0, 1.0]
    assert [id_fault(row.id) for row in found] == [""] * 4
    assert all(row.audio.startswith(str(tmp_path / "store" / "yodas2")) for row in found)
    before = {row.audio: probe(resolve(row.audio)).mtime_ns for row in found}
    assert rows()["train"] == found
    assert {row.audio: probe(resolve(row.audio)).mtime_ns for row in found} == before
    assert list(tables(root, Options())) == []


def test_captions_of_shards_are_references_with_the_option(root, rows, caplog):
    shard(root, "00000000", VIDEOS, TEXTS)
    found = rows(Options(captions="all"))
    assert [(row.start_s, row.end_s, row.text) for row in found["test"]] == [
        (0.2, 1.0, "大家好"),
        (1.0, 1.9, "OK"),
        (0.0, 1.2, "我們"),
    ]
    assert [row.recording_id.rpartition("-")[0].endswith("plain") for row in found["train"]] == [True]
    counted = "lectures: in 5 captions = kept 3 + bad_times 1 (such as Zz-00001-00000000-00000100) + no_words 1"
    assert any(line.startswith(counted) for line in logged(caplog))


def test_a_video_without_audio_is_passed_to_stage_1_and_audio_without_a_line_is_counted(root, rows, caplog):
    shard(root, "00000000", {"a": 1.0, "b": 1.0})
    (root / "duration/00000000.txt").write_text("a 1.00\nghost 3.00\n")
    found = rows()["train"]
    assert [resolve(row.audio).path.exists() for row in found] == [True, False]
    assert "lectures: in 3 videos = kept 2 + no_duration_stated 1 (such as 00000000: b)" in logged(caplog)


@pytest.mark.parametrize("evil", ["../../evil", "/tmp/evil", "00000000/plain.wav"])
@pytest.mark.slow
def test_a_hostile_shard_is_refused_as_a_whole(root, rows, tmp_path, evil):
    shard(root, "00000000", {"plain": 1.0}, evil=evil)
    with pytest.raises(K2DError, match=r"00000000\.tar\.gz: nothing of it was unpacked, because"):
        rows()
    assert list((tmp_path / "store").rglob("*.wav")) == []


@pytest.mark.slow
def test_a_truncated_or_duplicate_shard_is_reported(root, rows):
    shard(root / "zh000", "00000000", VIDEOS)
    path = root / "zh000/audio/00000000.tar.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-2000])
    with pytest.raises(K2DError, match="is damaged, cut off"):
        rows()
    path.write_bytes(whole)
    shard(root / "zh000", "00000001", {"plain": 1.0})
    with pytest.raises(K2DError, match="the video 'plain' is in another shard too"):
        rows()


@pytest.mark.parametrize("line", ["a", "a one", "a 1.0\na 2.0", " 3.0"])
@pytest.mark.slow
def test_bad_durations_are_reported_with_their_line(root, rows, line):
    shard(root, "00000000", {"a": 1.0})
    (root / "duration/00000000.txt").write_text(f"b 1.0\n{line}\n")
    with pytest.raises(K2DError, match=r"00000000\.txt:[23]: found '.*', expected a new video and its seconds"):
        rows()


def test_a_requested_layout_that_is_missing_is_reported(root, rows):
    root.mkdir()
    with pytest.raises(K2DError, match="expected shards of YODAS2"):
        rows(Options(layout="yodas2"))


def test_another_shard_changes_the_inventory_and_other_files_do_not(root):
    shard(root / "zh000", "00000000", {"a": 1.0})
    before = inventory(root, Options())
    (root / "zh000" / "notes.txt").write_text("of no concern")
    (root / "zh000/audio/00000001.tar.gz.part").write_bytes(b"half")
    assert inventory(root, Options()) == before
    shard(root / "zh000", "00000001", {"b": 1.0})
    assert before.startswith("3 files, ")
    assert inventory(root, Options()).startswith("6 files, ")


# --- the list of texts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_a_list_is_read_item_by_item_with_any_block_size(tmp_path, monkeypatch, size):
    monkeypatch.setattr("egs.lectures.json_list.READ_CHARACTERS", size)
    items = [{"a": '課"]'}, [1, [2]], 12345, "x,]", None, -1.5e3]
    for text in (json.dumps(items), json.dumps(items, indent=2, ensure_ascii=False), "\ufeff " + json.dumps(items)):
        (tmp_path / "x.json").write_text(text, encoding="utf-8")
        assert list(json_list(tmp_path / "x.json")) == items
    (tmp_path / "x.json").write_text(" [ ] ")
    assert list(json_list(tmp_path / "x.json")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 0: the file ends within the list"),
        ("{}", "character 0: found '{', expected a list"),
        ('[{"a": 1}, {"a"', "is it whole"),
        ("[1", "the file ends within the list; is it whole"),
        ("[1 2]", "character 3: found '2', expected a comma"),
        ("[1, oops]", "character 4: Expecting value"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_a_bad_list_is_reported_with_its_place(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(K2DError, match=message):
        list(json_list(tmp_path / "x.json"))


def test_an_endless_item_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("egs.lectures.json_list.MAX_ITEM_CHARACTERS", 1000)
    monkeypatch.setattr("egs.lectures.json_list.READ_CHARACTERS", 100)
    (tmp_path / "x.json").write_text('["' + "x" * 100_000)
    with pytest.raises(K2DError, match="an item has no end within 1,000 characters"):
        list(json_list(tmp_path / "x.json"))
