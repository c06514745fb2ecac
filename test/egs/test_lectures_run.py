"""egs/lectures/run.sh from outside: stage 1 on typical folders, and the stages up to the report."""

import json
import os

import pytest
import stand_in_ffmpeg
from made_recordings import SRT, flac_bytes, lines, sound


@pytest.mark.slow
def test_run_sh_accepts_root_with_special_characters(warm_project, tmp_path):
    root = tmp_path / "it's: my [rec] #1 課 $(touch pwned)"
    sound(root / "a b.wav")
    sound(root / "talk.flac")
    (root / "talk.srt").write_text(SRT)
    (root / "empty.mp3").write_bytes(b"")
    words = ("--root", root.name, "--stage", "1", "--stop-stage", "1")
    run_sh = str(warm_project.root / "egs/lectures/run.sh")
    stopped = warm_project.command(run_sh, *words, cwd=tmp_path)
    assert stopped.returncode == 1
    assert "empty_file 1, such as empty-" in stopped.stderr
    assert "--conf conf/lectures.yaml" in stopped.stderr  # how to go on
    done = warm_project.command(run_sh, *words, "max_bad=0.5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "in 4 utterances = kept 3 + empty_file 1" in done.stdout
    data = warm_project.root / "data" / "lectures"
    assert lines(data / "test" / "text")[0].endswith(" 我們用 model")
    (rejected,) = [json.loads(line) for line in lines(data / "train" / "rejected.jsonl")]
    assert rejected["source"] == f"{root}/empty.mp3"
    assert lines(data / "train" / "reco2path") == [f"{lines(data / 'train' / 'wav.scp')[0].split(' ')[0]} a b.wav"]
    assert warm_project.k2d("data", "validate", "--no-text", str(data / "train"), str(data / "test")).returncode == 0
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
def test_without_captions_the_report_names_the_missing_test_set(warm_project, root):
    """The plain command. Stages 2 to 10 and 14 need models and are tested elsewhere."""
    sound(root / "a.wav")
    words = (str(warm_project.root / "egs/lectures/run.sh"), "--root", str(root), "--nj", "1")
    done = warm_project.command(*words, "--stage", "1", "--stop-stage", "1")
    assert done.returncode == 0, done.stderr
    assert "in 1 utterances = kept 1" in done.stdout
    assert "scored" not in done.stdout
    done = warm_project.command(*words, "--stage", "11", "--stop-stage", "13")
    assert done.returncode == 0, done.stderr
    for verb in ("decode", "score"):
        assert f"nothing to {verb}: no set has the role dev, in_domain or out_domain" in done.stdout
    results = (warm_project.root / "exp/lectures/report/RESULTS.md").read_text(encoding="utf-8")
    assert "The config names no test set (corpora), so this report does not show how good they are." in results
    assert "There are no scores yet" not in results


@pytest.mark.slow
def test_for_a_folder_with_captions_the_settings_that_score_models_are_printed(warm_project, root):
    for name in ("a", "b", "c"):
        sound(root / f"{name}.wav")
    for name in ("a", "b"):
        (root / f"{name}.srt").write_text(SRT)
    words = (str(warm_project.root / "egs/lectures/run.sh"), "--root", str(root), "--nj", "1", "--stage", "1")
    done = warm_project.command(*words, "--stop-stage", "1")
    assert done.returncode == 0, done.stderr
    message = "lectures/test: 2 recordings with captions; to have models scored on it: "
    (output,) = [line.removeprefix(message) for line in done.stdout.splitlines() if line.startswith(message)]
    assert output == "corpora.in_domain=[lectures/test]"
    done = warm_project.command(*words[:-1], "11", "--stop-stage", "11", output)
    assert done.returncode == 3
    assert "exp/lectures/models/teacher" in done.stderr  # the set is there, the models are what is missing


@pytest.mark.slow
def test_files_added_to_the_folder_are_reported(warm_project, root):
    sound(root / "a.wav")
    sound(root / "b.wav")
    words = (str(warm_project.root / "egs/lectures/run.sh"), "--root", str(root), "--nj", "1", "--stage", "1")
    assert warm_project.command(*words, "--stop-stage", "1").returncode == 0
    (root / "notes.txt").write_text("of no concern")
    (root / "c.wav.part").write_bytes(b"half")
    again = warm_project.command(*words, "--stop-stage", "1")
    assert (again.returncode, "done already, skipped" in again.stdout) == (0, True)
    (root / "b.srt").write_text(SRT)
    refused = warm_project.command(*words, "--stop-stage", "1")
    assert refused.returncode == 1
    assert "setting raw: " in refused.stderr
    assert "2 files, " in refused.stderr
    assert "3 files, " in refused.stderr
    assert "--force" in refused.stderr
    forced = warm_project.command(*words, "--stop-stage", "1", "--force")
    assert forced.returncode == 0, forced.stderr
    assert len(lines(warm_project.root / "data/lectures/test/text")) == 2


@pytest.mark.slow
def test_a_config_that_needs_captions_is_refused_without_them(warm_project, root):
    sound(root / "a.wav")
    words = ("--corpus", "lectures", "--root", str(root), "--stage", "1", "--stop-stage", "1")
    stopped = warm_project.run(*words, "corpora.in_domain=[lectures/test]")
    assert stopped.returncode == 1
    assert "the config names lectures/test, and egs/lectures gave only train" in stopped.stderr
    assert "to continue without it: corpora.in_domain=[]" in stopped.stderr


@pytest.mark.slow
def test_from_a_folder_to_the_report(walk, root, tmp_path, monkeypatch):
    stand_in_ffmpeg.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    sound(root / "talk.wav", 6.0)
    stand_in_ffmpeg.in_container(root / "a/talk 課.m4a", flac_bytes(tmp_path, 5.0))
    for name in ("talk.srt", "a/talk 課.srt"):
        (root / name).write_text(SRT)
    sound(root / "long.wav", 3.0)
    data = walk("lectures", root, ["test"])
    assert len(lines(data / "test" / "text")) == 4
    assert len(lines(data / "train" / "wav.scp")) == 1
    assert any("/raw/lectures/converted/" in line for line in lines(data / "test" / "wav.scp"))
