"""Common Voice from a folder and from its archive, with the columns of several releases, including faults."""

import io
import logging
import tarfile

import numpy as np
import pytest
import soundfile

from egs.commonvoice.prepare import Options, prepare, variant
from k2d.core.errors import K2DError, UsageError
from k2d.data.corpus import Corpus

UP_TO_12 = "client_id path sentence up_votes down_votes age gender accents locale segment"
FROM_13 = "client_id path sentence up_votes down_votes age gender accents variant locale segment"
FROM_17 = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale segment"
)
HEADERS = {"up to 12": UP_TO_12, "13 to 16.1": FROM_13, "from 17": FROM_17}
SPEAKERS = ["5f" * 64, "0a" * 64]
SAID = {
    "train": [(0, "17383389", "他說：「好。"), (1, "17383390", 'a "quote that never ends')],
    "dev": [(1, "17383400", "今天天氣很好")],
    "test": [(0, "17383500", "第一句"), (1, "17383501", "It's 第二句"), (1, "17383502", "第三句")],
}


def mp3(duration_s, seed):
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).standard_normal(round(duration_s * 32_000)) * 0.1
    soundfile.write(buffer, noise, 32_000, format="MP3")
    return buffer.getvalue()


def table(header, rows):
    names = header.split()
    lines = ["\t".join(names)]
    for speaker, clip, sentence in rows:
        cells = {
            "client_id": SPEAKERS[speaker],
            "path": f"common_voice_zh-TW_{clip}.mp3",
            "sentence": sentence,
            "sentence_id": f"{int(clip):064x}",
            "up_votes": "2",
            "down_votes": "0",
            "locale": "zh-TW",
        }
        lines.append("\t".join(cells.get(name, "") for name in names))
    return "\n".join(lines) + "\n"


def write(root, header=FROM_13, durations="clip_durations.tsv", release="16.1-2023-12-06"):
    folder = root / f"cv-corpus-{release}" / "zh-TW"
    (folder / "clips").mkdir(parents=True)
    lengths = ["clip\tduration[ms]"]
    for split, rows in SAID.items():
        (folder / f"{split}.tsv").write_text(table(header, rows), encoding="utf-8")
        for n, (_, clip, _) in enumerate(rows):
            (folder / "clips" / f"common_voice_zh-TW_{clip}.mp3").write_bytes(mp3(0.5 + n / 4, n))
            lengths.append(f"common_voice_zh-TW_{clip}.mp3\t{500 + 250 * n}")
    if durations:
        (folder / durations).write_text("\n".join(lengths) + "\n")
    return folder


def packed(root, folder, name="cv-corpus-16.1-2023-12-06-zh-TW.tar.gz", **hostile):
    root.mkdir()
    with tarfile.open(root / name, "w:gz") as archive:
        archive.add(folder.parent, folder.parent.name)
        for member, kind in hostile.items():
            entry = tarfile.TarInfo(member.replace("UP", "..").replace("_", "/"))
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    return root


def prepared(root, tmp_path, **options):
    return list(prepare(root, Options(**options), 1, tmp_path / "store"))


def seen(rows):
    return [(split, row.id, row.speaker, row.text) for split, row in rows]


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_columns_of_every_generation_give_the_same(tmp_path, header):
    rows = prepared(write(tmp_path / "raw", header).parents[1], tmp_path)
    assert seen(rows)[:3] == [
        ("train", "cv-5f5f5f5f5f5f5f5f-common_voice_zh-TW_17383389", "cv-5f5f5f5f5f5f5f5f", "他說：「好。"),
        ("train", "cv-0a0a0a0a0a0a0a0a-common_voice_zh-TW_17383390", "cv-0a0a0a0a0a0a0a0a", 'a "quote that never ends'),
        ("dev", "cv-0a0a0a0a0a0a0a0a-common_voice_zh-TW_17383400", "cv-0a0a0a0a0a0a0a0a", "今天天氣很好"),
    ]
    assert len(rows) == 6


def test_folder_and_archive_give_the_same_with_any_root(tmp_path):
    folder = write(tmp_path / "raw")
    expected = seen(prepared(tmp_path / "raw", tmp_path))
    assert seen(prepared(folder, tmp_path)) == expected
    assert seen(prepared(folder.parent, tmp_path)) == expected
    archive = packed(tmp_path / "archive", folder)
    rows = prepared(archive, tmp_path)
    assert seen(rows) == expected
    unpacked = tmp_path / "store"
    assert all(row.audio.startswith(str(unpacked)) for _, row in rows)
    before = {path: path.stat().st_mtime_ns for path in unpacked.rglob("*")}
    prepared(archive, tmp_path)  # is not unpacked again
    assert {path: path.stat().st_mtime_ns for path in unpacked.rglob("*")} == before


@pytest.mark.parametrize("name", ["clip_durations.tsv", "times.txt", ""])
def test_the_publishers_durations_are_summed_if_there_are_any(tmp_path, caplog, name):
    write(tmp_path / "raw", durations=name)
    with caplog.at_level(logging.INFO):
        prepared(tmp_path / "raw", tmp_path)
    stated = f"{(0.5 + 0.75 + 1.0) / 3600:.2f} h by the publisher's table"
    assert (f"test.tsv lists 3 clips, {stated}" in caplog.text) == bool(name)
    assert "test.tsv lists 3 clips" in caplog.text


def test_speakers_with_equal_prefixes_are_not_joined(tmp_path):
    folder = write(tmp_path / "raw")
    alike = (folder / "test.tsv").read_text(encoding="utf-8").replace(SPEAKERS[1], "5f" * 8 + "0" * 112)
    (folder / "test.tsv").write_text(alike, encoding="utf-8")
    with pytest.raises(K2DError, match=r"test.tsv:3: two speakers begin alike, '5f5f.*' and '5f5f5f5f5f5f5f5f00"):
        prepared(tmp_path / "raw", tmp_path)


def replaced(name, old, new):
    def change(folder):
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            replaced("test.tsv", "\tsentence\t", "\ttext\t"),
            r"test.tsv:1: found the columns client_id, path, text, .*, exp",
        ),
        (
            replaced("test.tsv", "\t第一句\t", "\t第\t一句\t"),
            r"test.tsv:2: found 12 fields, expected 11 as in the header",
        ),
        (
            replaced("test.tsv", "common_voice_zh-TW_17383500", "../../x"),
            r"test.tsv:2: the path is '../../x.mp3', expect",
        ),
        (replaced("clip_durations.tsv", "\t500", "\t0.5 s"), r"clip_durations.tsv:2: found '0.5 s', expected millisec"),
        (lambda folder: (folder / "dev.tsv").unlink(), r"dev.tsv: cannot be read: No such file"),
        (
            lambda folder: (folder / "dev.tsv").write_bytes(b"client_id\tpath\tsentence\n\xff\t"),
            r"dev.tsv:2: byte 0 of ",
        ),
    ],
)
@pytest.mark.slow
def test_faults_of_a_table_are_reported(tmp_path, change, message):
    change(write(tmp_path / "raw"))
    with pytest.raises(K2DError, match=message):
        prepared(tmp_path / "raw", tmp_path)


def test_missing_files_are_reported(tmp_path):
    write(tmp_path / "raw")
    with pytest.raises(K2DError, match=r"found neither ja/clips/ nor cv-corpus-16\.1-\*/ja/clips/ nor cv-corpus-16"):
        prepared(tmp_path / "raw", tmp_path, language="ja")
    write(tmp_path / "raw", release="16.1-2023-12-07")
    with pytest.raises(K2DError, match=r"12-06/zh-TW and .*12-07/zh-TW, expected one"):
        prepared(tmp_path / "raw", tmp_path)


@pytest.mark.parametrize(
    ("member", "kind", "message"),
    [
        ("UP_x", tarfile.REGTYPE, "has '..' in its name"),
        ("_x", tarfile.REGTYPE, "has an absolute name"),
        ("x", tarfile.SYMTYPE, "link"),
        ("x", tarfile.CHRTYPE, "device"),
    ],
)
@pytest.mark.slow
def test_a_hostile_archive_is_refused_and_nothing_written(tmp_path, member, kind, message):
    root = packed(tmp_path / "archive", write(tmp_path / "raw"), **{member: kind})
    with pytest.raises(K2DError, match=message):
        prepared(root, tmp_path)
    assert not list((tmp_path / "store").rglob("*.tsv"))


def test_a_truncated_archive(tmp_path):
    root = packed(tmp_path / "archive", write(tmp_path / "raw"))
    (archive,) = root.iterdir()
    archive.write_bytes(archive.read_bytes()[:-500])
    with pytest.raises(K2DError, match=r"cv-corpus-16\.1-2023-12-06-zh-TW\.tar\.gz"):
        prepared(root, tmp_path)


def test_the_name_of_a_release_can_be_a_number():
    assert Corpus("commonvoice").options({"release": 17.0, "language": "zh-HK"}) == Options("zh-HK", "17.0")
    with pytest.raises(UsageError, match=r"prepare\.options\.commonvoice: language: found '\.\./x'"):
        Corpus("commonvoice").options({"language": "../x"})


def test_expected_counts_exist_for_a_language_and_a_release():
    assert variant(Options()) == "zh-TW-16.1"
    assert variant(Options(release="25.0")) == "zh-TW-25.0"
    assert variant(Options(splits=("test",))) is None


@pytest.mark.slow
def test_missing_and_empty_clips_are_rejected_and_other_counts_stop_the_stage(stage_1, tmp_path):
    folder = write(tmp_path / "raw")
    (folder / "clips" / "common_voice_zh-TW_17383501.mp3").unlink()
    (folder / "clips" / "common_voice_zh-TW_17383502.mp3").write_bytes(b"")
    done = stage_1("commonvoice", tmp_path / "raw", "max_bad=0.7")
    assert done.returncode == 1
    assert "test: in 3 utterances = kept 1 + empty_file 1 + missing 1" in done.stdout
    assert "test: 1 utterances (expected 4,976)" in done.stderr


@pytest.mark.slow
def test_a_duplicate_id_stops_stage_1(stage_1, tmp_path):
    folder = write(tmp_path / "raw")
    rows = (folder / "test.tsv").read_text(encoding="utf-8").splitlines()
    (folder / "test.tsv").write_text("\n".join([*rows, rows[-1]]) + "\n", encoding="utf-8")
    done = stage_1("commonvoice", tmp_path / "raw")
    assert done.returncode == 1
    assert "two utterances have the id 'cv-0a0a0a0a0a0a0a0a-common_voice_zh-TW_17383502'" in done.stderr


@pytest.mark.slow
def test_its_stages_run_up_to_the_report(walk, tmp_path):
    data = walk("commonvoice", packed(tmp_path / "archive", write(tmp_path / "raw")), ["test"])
    text = (data / "train" / "text").read_text(encoding="utf-8")
    assert 'a "quote that never ends' in text
