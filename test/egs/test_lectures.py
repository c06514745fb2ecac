"""A folder of one's own, as such folders are: names, formats, litter, tables, captions; every file is accounted for."""

import doctest
import importlib
import json
import logging
import os
import shutil
import subprocess

import pytest
import stand_in_ffmpeg
from made_audio import speechlike, write_audio

from egs.lectures.options import Options
from egs.lectures.prepare import prepare, tables
from egs.lectures.table import inner_path
from k2d.data.audio import probe, resolve
from k2d.data.kaldi.ids import id_fault
from k2d.faults import K2DError

SRT = "1\n00:00:00,200 --> 00:00:01,000\n我們用 <i>model</i>\n\n2\n00:00:01,200 --> 00:00:01,900\n對 OK\n"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "my recordings [2021] 課"


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def rows(root, store):
    """What the recipe gives, by split."""

    def run(options=None, nj=1):
        found = {}
        for split, row in prepare(root, options or Options(), nj, store):
            found.setdefault(split, []).append(row)
        return found

    return run


def sound(path, duration_s=2.0, rate_hz=16000, **how):
    return write_audio(path, speechlike(duration_s, rate_hz, seed=len(path.name)), rate_hz, **how)


def told(caplog):
    return [record.getMessage() for record in caplog.records]


def names(found):
    return {row.audio.rpartition("/")[2] for row in found}


def test_any_names_in_any_folders_become_ids_that_are_readable_and_sound(root, rows):
    paths = [
        "ML 2021/第1週/lecture (01) 🎉.wav",
        "ML 2021/第2週/lecture (01) 🎉.wav",
        "🎉.flac",
        "-n.mp3",
        'a b\'s "c".ogg',
    ]
    for path in paths:
        sound(root / path)
    found = rows()["train"]
    assert [row.id.rpartition("-")[0] for row in found] == [
        "n",
        "ML_2021-第1週-lecture_01",
        "ML_2021-第2週-lecture_01",
        "a_b_s_c",
        "recording",
    ]
    assert len({row.id for row in found}) == 5
    assert [id_fault(row.id) for row in found] == [""] * 5
    assert all(row.recording_id == row.speaker == row.id and row.text is None for row in found)
    assert sorted(str(root / path) for path in paths) == sorted(row.audio for row in found)


def test_an_id_does_not_depend_on_other_files_or_on_where_the_folder_is(root, rows, store, tmp_path):
    sound(root / "a/talk.wav")
    (before,) = rows()["train"]
    sound(root / "a/talk.flac")
    sound(root / "b/talk.wav")
    assert before in rows()["train"]
    shutil.copytree(root, tmp_path / "moved")
    moved = [row.id for _, row in prepare(tmp_path / "moved", Options(), 1, store)]
    assert moved == [row.id for row in rows()["train"]]


def test_formats_are_known_by_content_whatever_they_are_called(root, rows):
    sound(root / "a.flac", 2.5, 44100, format="FLAC")
    sound(root / "b.MP3", 2.5, 22050, format="MP3")
    sound(root / "c.opus", 2.5, 48000, format="OGG", subtype="OPUS")
    sound(root / "d.wav", 2.5, 8000, format="OGG", subtype="VORBIS")
    sound(root / "e.recording", 2.5, 16000, format="WAV")
    sound(root / "no suffix", 2.5, 16000, format="FLAC")
    found = rows()["train"]
    assert names(found) == {"a.flac", "b.MP3", "c.opus", "d.wav", "e.recording", "no suffix"}
    assert [probe(resolve(row.audio)).duration_s for row in found] == pytest.approx([2.5] * 6, abs=0.06)


def test_litter_is_left_out_and_counted_by_reason(root, rows, caplog):
    good = sound(root / "good.wav")
    for name in ("._good.wav", ".hidden.wav", ".Trash/x.wav", "@eaDir/x.wav", "__MACOSX/a/x.wav"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(good, root / name)
    for name in ("x.m4a.part", "x.webm.part-Frag3", "y.mp3.crdownload", "y.opus.ytdl", "slides.pdf", "notes", "a.jpg"):
        (root / name).write_bytes(b"\x1aE\xdf\xa3 whatever")
    (root / "notes").write_bytes(b"just words")
    (root / "link.wav").symlink_to(good)
    (root / "away").symlink_to(root.parent)
    (root / "nowhere.wav").symlink_to(root / "nothing")
    (root / "new\nline.wav").write_bytes(good.read_bytes())
    os.mkfifo(root / "pipe.wav")
    with caplog.at_level(logging.INFO, "k2d"):
        assert names(rows()["train"]) == {"good.wav"}
    (files,) = [line for line in told(caplog) if " files = " in line]
    assert files.startswith("lectures: in 18 files = kept 1 + apple_double 1 (such as ")
    for reason, n in {"half_download": 4, "hidden": 2, "link": 3, "no_audio": 3, "no_file": 1, "odd_name": 1,
                      "system_folder": 2}.items():  # fmt: skip
        assert f" + {reason} {n} (such as " in files


def test_links_are_followed_if_asked_and_a_loop_ends(root, rows, tmp_path, caplog):
    sound(tmp_path / "disk" / "far.wav")
    sound(root / "near.wav")
    (root / "far").symlink_to(tmp_path / "disk")
    (root / "loop").symlink_to(root)
    (root / "one.wav").symlink_to(tmp_path / "disk" / "far.wav")
    assert names(rows()["train"]) == {"near.wav"}
    with caplog.at_level(logging.INFO, "k2d"):
        assert names(rows(Options(follow_links=True))["train"]) == {"near.wav", "far.wav", "one.wav"}
    assert any("link_to_a_folder_seen 1" in line for line in told(caplog))


def test_what_is_named_as_audio_and_is_none_is_left_for_stage_1_to_tell(root, rows):
    sound(root / "good.wav")
    (root / "empty.wav").write_bytes(b"")
    (root / "page.mp3").write_text("<html>404</html>")
    assert names(rows()["train"]) == {"good.wav", "empty.wav", "page.mp3"}


def test_a_folder_that_cannot_be_read_is_told(root, rows, monkeypatch):
    sound(root / "a/x.wav")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(K2DError, match=r"these folders cannot be read.*\n.*/a: Permission denied"):
        rows()


# --- containers that need ffmpeg -------------------------------------------------------------------------------


def flac_bytes(tmp_path, duration_s=2.0):
    return sound(tmp_path / "made.flac", duration_s).read_bytes()


def test_containers_go_through_ffmpeg_once_and_are_kept_as_flac(root, rows, store, tmp_path, monkeypatch):
    calls = stand_in_ffmpeg.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    flac = flac_bytes(tmp_path)
    stand_in_ffmpeg.in_container(root / "a/-talk; touch pwned.m4a", flac)
    stand_in_ffmpeg.in_container(root / "b/talk.webm", flac, "matroska")
    sound(root / "c.wav")
    found = rows(nj=2)["train"]
    assert [row.audio.startswith(f"{store}/converted/") for row in found] == [True, True, False]
    assert [probe(resolve(row.audio)).duration_s for row in found] == [2.0] * 3
    asked = [line.split("\t") for line in calls.read_text().splitlines()]
    assert sorted(words[words.index("-f") + 1] for words in asked) == ["matroska", "mov"]
    assert all(words[words.index("-protocol_whitelist") + 1] == "file" and "-xerror" in words for words in asked)
    assert f"file:{root / 'a/-talk; touch pwned.m4a'}" in {words[words.index("-i") + 1] for words in asked}
    assert rows()["train"] == found
    assert len(calls.read_text().splitlines()) == 2
    stand_in_ffmpeg.in_container(root / "b/talk.webm", flac_bytes(tmp_path, 3.0), "matroska")
    assert [probe(resolve(row.audio)).duration_s for row in rows()["train"]] == [2.0, 3.0, 2.0]
    assert [path for path in store.rglob("*") if ".partial" in path.name] == []


def test_without_ffmpeg_it_says_which_files_need_it_and_how_to_get_it(root, rows, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    for n in range(7):
        stand_in_ffmpeg.in_container(root / f"talk{n}.m4a", b"")
    sound(root / "c.wav")
    found = rows()["train"]
    assert len(found) == 8
    (warning,) = [line for line in told(caplog) if "need ffmpeg" in line]
    assert warning.startswith("7 recordings need ffmpeg, which is not there; install it (apt install ffmpeg")
    assert "\n  talk4.m4a\n  … and 2 more" in warning


def test_what_ffmpeg_cannot_convert_or_finds_cut_off_is_told_with_its_words(root, rows, tmp_path, monkeypatch, caplog):
    stand_in_ffmpeg.install(tmp_path / "bin", stated_s=30.0)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    stand_in_ffmpeg.in_container(root / "broken.m4a", b"no audio")
    stand_in_ffmpeg.in_container(root / "cut.webm", flac_bytes(tmp_path), "matroska")
    found = rows()["train"]
    assert names(found) == {"broken.m4a", "cut.webm"}
    (warning,) = [line for line in told(caplog) if "could not be converted" in line]
    assert "broken.m4a: ffmpeg says: moov atom not found" in warning
    assert "cut.webm: holds 2.0 s of sound of the 30.0 s that it states" in warning


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg here")
@pytest.mark.parametrize("name", ["talk.m4a", "talk.webm", "talk.wma", "talk.aiff"])
def test_the_real_ffmpeg_if_it_is_here(root, rows, tmp_path, name):
    source = sound(tmp_path / "made.wav", 4.0)
    root.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(source), str(root / name)], check=True)
    (row,) = rows()["train"]
    assert row.audio.endswith(".flac")
    assert probe(resolve(row.audio)).duration_s == pytest.approx(4.0, abs=0.1)
    (root / name).write_bytes((root / name).read_bytes()[:9000])
    (row,) = rows()["train"]
    assert row.audio.endswith(name)


# --- captions ---------------------------------------------------------------------------------------------------


def test_recordings_with_captions_are_the_test_set_cut_at_its_cues(root, rows, caplog):
    for name in ("a/talk.wav", "b/talk.wav", "b/other.wav", "c.flac"):
        sound(root / name)
    (root / "a/talk.srt").write_text(SRT)
    (root / "b/talk.en.vtt").write_text("WEBVTT\n\n00:00.0 --> 00:01.0\nenglish\n")
    (root / "b/talk.zh-TW.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:01.000\n中文\n")
    (root / "b/lost.srt").write_text(SRT)
    with caplog.at_level(logging.INFO, "k2d"):
        found = rows()
    assert names(found["train"]) == {"other.wav", "c.flac"}
    said = [(row.recording_id.rpartition("-")[0], row.start_s, row.end_s, row.text) for row in found["test"]]
    assert said == [
        ("a-talk", 0.2, 1.0, "我們用 model"),
        ("a-talk", 1.2, 1.9, "對 OK"),
        ("b-talk", 0.5, 1.0, "中文"),
    ]
    assert found["test"][0].id == f"{found['test'][0].recording_id}-0000020-0000100"
    assert "lectures: in 4 caption files = kept 2 + not_used 2 (such as b/lost.srt)" in told(caplog)
    assert "lectures: in 3 captions = kept 3" in told(caplog)


def test_captions_in_a_folder_of_their_own(root, rows):
    sound(root / "audio/a/talk.wav")
    (root / "refs/audio/a").mkdir(parents=True)
    (root / "refs/audio/a/talk.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:01.000\n中文\n")
    assert set(rows(Options(captions_folder="refs"))) == {"test"}
    assert set(rows(Options(captions="none", captions_folder="refs"))) == {"train"}
    for wrong in ("nowhere", "../refs", "/etc"):
        with pytest.raises(K2DError, match="captions_folder"):
            rows(Options(captions_folder=wrong))


def test_every_caption_file_that_cannot_be_used_is_told(root, rows):
    for name in ("a", "b", "c"):
        sound(root / f"{name}.wav")
    (root / "a.srt").write_bytes("00:01.0 --> 00:02.0\n大家好".encode("big5"))
    (root / "b.vtt").write_text("<html>")
    (root / "c.vtt").write_text("WEBVTT\n\n00:00.0 --> 00:01.0\n[音樂]\n")
    with pytest.raises(K2DError) as caught:
        rows()
    for words in ("a.srt: byte", "b.vtt: found no line such as", "c.vtt: nothing is said in it"):
        assert words in str(caught.value)


@pytest.mark.parametrize(("by", "n_dev"), [("recording", 3), ("course", 5)])
def test_a_share_of_the_test_recordings_is_for_tuning(root, rows, by, n_dev):
    for n in range(10):
        sound(root / f"course{n // 5}/talk{n}.wav", 0.5)
        (root / f"course{n // 5}/talk{n}.srt").write_text("00:00.0 --> 00:00.4\n好\n")
    found = rows(Options(dev_share=0.3, dev_by=by))
    assert (len(found["dev"]), len(found["test"])) == (n_dev, 10 - n_dev)
    courses = {split: {row.id.partition("-")[0] for row in found[split]} for split in found}
    assert by == "recording" or not courses["dev"] & courses["test"]
    assert rows(Options(dev_share=0.3, dev_by=by)) == found


# --- the table --------------------------------------------------------------------------------------------------


def test_the_table_tells_course_speaker_date_language_and_split(root, rows):
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
    told = {(name, value) for _, name, key, value in tables(root, Options()) if key in (first.id, second.id)}
    assert ("reco2date", "2021-03-05") in told
    assert ("reco2course", "a") in told
    assert ("reco2path", "a/one.wav") in told
    assert names(rows(Options(only_listed=True))["train"]) == {"one.wav"}


def test_a_csv_as_spreadsheets_write_it(root, rows):
    sound(root / "a, b.wav")
    (root / "metadata.csv").write_text('\ufeffpath,speaker\r\n"a, b.wav","Lee, ""H."" Y."\r\n', encoding="utf-8")
    assert rows()["train"][0].speaker.startswith("Lee_H._Y-")


def test_all_faults_of_a_table_are_told_and_it_never_leads_outside(root, rows, tmp_path):
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
def test_a_table_that_is_no_use_says_why(root, rows, content, message):
    sound(root / "a.wav")
    (root / "metadata.tsv").write_text(content)
    with pytest.raises(K2DError, match=message):
        rows()


def test_a_table_that_is_asked_for_must_be_there_and_inside(root, rows):
    sound(root / "a.wav")
    for wrong in ("nothing.tsv", "../table.tsv", "/etc/passwd"):
        with pytest.raises(K2DError, match="table: found"):
            rows(Options(table=wrong))


@pytest.mark.parametrize("name", ["convert", "info", "names", "table", "yodas2"])
def test_examples(name):
    result = doctest.testmod(importlib.import_module(f"egs.lectures.{name}"))
    assert result.failed == 0
    assert result.attempted >= 1


def test_inner_paths(root):
    assert inner_path(root, f"{root}/../x") is None
    assert inner_path(root, "a/b.wav\0") is None
    assert inner_path(root, "") is None


# --- from outside -----------------------------------------------------------------------------------------------


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_run_sh_takes_a_folder_with_root_and_a_name_full_of_traps(project, tmp_path):
    root = tmp_path / "it's: my [rec] #1 課 $(touch pwned)"
    sound(root / "a b.wav")
    sound(root / "talk.flac")
    (root / "talk.srt").write_text(SRT)
    (root / "empty.mp3").write_bytes(b"")
    words = ("--root", root.name, "--stage", "1", "--stop-stage", "1")
    run_sh = str(project.root / "egs/lectures/run.sh")
    stopped = project.command(run_sh, *words, cwd=tmp_path)
    assert stopped.returncode == 1
    assert "empty_file 1, such as empty-" in stopped.stderr
    assert "--conf conf/lectures.yaml" in stopped.stderr  # how to go on
    done = project.command(run_sh, *words, "max_bad=0.5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "in 4 utterances = kept 3 + empty_file 1" in done.stdout
    data = project.root / "data" / "lectures"
    assert lines(data / "test" / "text")[0].endswith(" 我們用 model")
    (rejected,) = [json.loads(line) for line in lines(data / "train" / "rejected.jsonl")]
    assert rejected["source"] == f"{root}/empty.mp3"
    assert lines(data / "train" / "reco2path") == [f"{lines(data / 'train' / 'wav.scp')[0].split(' ')[0]} a b.wav"]
    assert project.k2d("data", "validate", "--no-text", str(data / "train"), str(data / "test")).returncode == 0
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
def test_a_folder_without_captions_needs_no_test_set_and_its_report_says_so(project, root):
    """The plain command. Stages 2 to 10 and 14 need models, and are walked elsewhere."""
    sound(root / "a.wav")
    words = (str(project.root / "egs/lectures/run.sh"), "--root", str(root), "--nj", "1")
    done = project.command(*words, "--stage", "1", "--stop-stage", "1")
    assert done.returncode == 0, done.stderr
    assert "in 1 utterances = kept 1" in done.stdout
    assert "scored" not in done.stdout
    done = project.command(*words, "--stage", "11", "--stop-stage", "13")
    assert done.returncode == 0, done.stderr
    for verb in ("decode", "score"):
        assert f"nothing to {verb}: no set has the role dev, in_domain or out_domain" in done.stdout
    results = (project.root / "exp/lectures/report/RESULTS.md").read_text(encoding="utf-8")
    assert "No set is named to test on (corpora): nothing here says how good the models are." in results
    assert "No scores are there yet" not in results


@pytest.mark.slow
def test_captions_are_told_of_with_what_has_models_scored_on_them(project, root):
    for name in ("a", "b", "c"):
        sound(root / f"{name}.wav")
    for name in ("a", "b"):
        (root / f"{name}.srt").write_text(SRT)
    words = (str(project.root / "egs/lectures/run.sh"), "--root", str(root), "--nj", "1", "--stage", "1")
    done = project.command(*words, "--stop-stage", "1")
    assert done.returncode == 0, done.stderr
    told = "lectures/test: 2 recordings with captions; to have models scored on it: "
    (said,) = [line.removeprefix(told) for line in done.stdout.splitlines() if line.startswith(told)]
    assert said == "corpora.in_domain=[lectures/test]"
    done = project.command(*words[:-1], "11", "--stop-stage", "11", said)
    assert done.returncode == 3
    assert "exp/lectures/models/teacher" in done.stderr  # the set is there, the models are what is missing


@pytest.mark.slow
def test_a_config_that_counts_on_captions_is_told_that_there_are_none(project, root):
    sound(root / "a.wav")
    words = ("--corpus", "lectures", "--root", str(root), "--stage", "1", "--stop-stage", "1")
    stopped = project.run(*words, "corpora.in_domain=[lectures/test]")
    assert stopped.returncode == 1
    assert "the config names lectures/test, and egs/lectures gave only train" in stopped.stderr
    assert "to go on without it: corpora.in_domain=[]" in stopped.stderr


@pytest.mark.slow
def test_from_a_folder_to_the_report(walk, root, tmp_path, project):
    stand_in_ffmpeg.install(tmp_path / "bin")
    project.environment["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    sound(root / "talk.wav", 6.0)
    stand_in_ffmpeg.in_container(root / "a/talk 課.m4a", flac_bytes(tmp_path, 5.0))
    for name in ("talk.srt", "a/talk 課.srt"):
        (root / name).write_text(SRT)
    sound(root / "long.wav", 3.0)
    data = walk("lectures", root, ["test"])
    assert len(lines(data / "test" / "text")) == 4
    assert len(lines(data / "train" / "wav.scp")) == 1
    assert any("/raw/lectures/converted/" in line for line in lines(data / "test" / "wav.scp"))
