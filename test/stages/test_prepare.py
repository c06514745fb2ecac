"""Stage 1 from outside: the data of a corpus become data directories, and are checked and counted."""

import json
import shutil

import numpy as np
import pytest
import soundfile


@pytest.fixture
def corpus(warm_project, tmp_path, monkeypatch):
    """A copy of the template on a small raw corpus: 20 utterances in `train`."""
    folder = warm_project.root / "egs" / "lab"
    shutil.copytree(warm_project.root / "egs" / "TEMPLATE", folder)
    for path in folder.iterdir():
        if path.is_file():
            path.write_text(path.read_text(encoding="utf-8").replace("TEMPLATE", "lab"), encoding="utf-8")
    root = tmp_path / "raw"
    (root / "train").mkdir(parents=True)
    for n in range(20):
        soundfile.write(root / "train" / f"u{n:02d}.wav", np.sin(np.arange(8000 + n)), 16000)
    write_table(root, range(20))
    warm_project.environment["lab_ROOT"] = str(root)
    return root


def write_table(root, numbers, name="train"):
    lines = [f"{'train'}/u{n:02d}.wav\tspk{n % 3}\t第 {n} 句 OK" for n in numbers]
    (root / f"{name}.tsv").write_text("\n".join(["path\tspeaker\ttext", *lines]) + "\n", encoding="utf-8")


def prepare(warm_project, *words):
    """The last setting counts: the mini recipe allows more bad items than these tests."""
    return warm_project.run("--corpus", "lab", "--stage", "1", "--stop-stage", "1", "--nj", "2", "max_bad=0.01", *words)


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_it_writes_the_data_of_the_corpus(warm_project, corpus):
    done = prepare(warm_project)
    assert done.returncode == 0, done.stderr
    assert "in 20 utterances = kept 20" in done.stdout
    folder = warm_project.root / "data" / "lab" / "train"
    assert lines(folder / "text")[:2] == ["spk0-u00 第 0 句 OK", "spk0-u03 第 3 句 OK"]
    assert lines(folder / "reco2dur")[0] == "spk0-u00 0.5"
    assert len(lines(folder / "wav.scp")) == 20
    assert not (folder / "rejected.jsonl").exists()
    assert [path.name for path in (warm_project.root / "data").iterdir() if path.suffix == ".partial"] == []


@pytest.mark.slow
def test_bad_audio_is_rejected_with_a_reason_and_too_much_of_it_stops_the_stage(warm_project, corpus):
    (corpus / "train" / "u05.wav").write_bytes(b"")
    (corpus / "train" / "u06.wav").write_text("<html>not found</html>")
    (corpus / "train" / "u07.wav").unlink()
    stopped = prepare(warm_project)
    assert stopped.returncode == 1
    assert "train: 3 of 20 items are bad, more than max_bad (1.0%):" in stopped.stderr
    for reason in ("empty_file 1, such as spk2-u05", "not_audio 1, such as spk0-u06", "missing 1, such as spk1-u07"):
        assert reason in stopped.stderr
    assert not (warm_project.root / "data" / "lab").exists()

    went_on = prepare(warm_project, "max_bad=0.2")
    assert went_on.returncode == 0, went_on.stderr
    assert "in 20 utterances = kept 17 + empty_file 1 + missing 1 + not_audio 1" in went_on.stdout
    folder = warm_project.root / "data" / "lab" / "train"
    rejected = [json.loads(line) for line in lines(folder / "rejected.jsonl")]
    assert "AudioError" not in "".join(row["detail"] for row in rejected)  # words for people
    assert {row["id"]: row["reason"] for row in rejected} == {
        "spk2-u05": "empty_file",
        "spk0-u06": "not_audio",
        "spk1-u07": "missing",
    }
    assert len(lines(folder / "text")) == 17


@pytest.mark.slow
def test_counts_that_differ_from_the_card_stop_the_stage_unless_allowed(warm_project, corpus):
    card = warm_project.root / "egs" / "lab" / "corpus.yaml"
    promised = "{train: {utterances: 21, hours: 0.01}, test: {utterances: 1, hours: 1.0}}"
    card.write_text(card.read_text().replace("expected: {}", f"expected: {{default: {promised}}}"))
    stopped = prepare(warm_project)
    assert stopped.returncode == 1
    assert "test: is missing" in stopped.stderr
    assert "train: 20 utterances (expected 21), 0.00 h (expected 0.01)" in stopped.stderr
    assert "--allow-count-mismatch" in stopped.stderr
    allowed = prepare(warm_project, "--allow-count-mismatch")
    assert allowed.returncode == 0
    assert "train: 20 utterances (expected 21)" in allowed.stdout


@pytest.mark.slow
def test_edited_code_of_a_recipe_is_noticed_and_edited_comments_are_not(warm_project, corpus):
    prepare(warm_project)
    (warm_project.root / "egs" / "lab" / "README.md").write_text("# lab\nmore words\n")
    recipe = warm_project.root / "egs" / "lab" / "prepare.py"
    recipe.write_text(recipe.read_text() + "# more words\n")
    assert "done already, skipped" in prepare(warm_project).stdout
    recipe.write_text(recipe.read_text().replace('["text"])', '["text"].upper())'))
    refused = prepare(warm_project)
    assert refused.returncode == 1
    assert "setting recipe: " in refused.stderr
    assert prepare(warm_project, "--force").returncode == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: write_table(root, [1, 1]), "two utterances have the id 'spk1-u01'"),
        (
            lambda root: (root / "train.tsv").write_text("a\tb\n"),
            "train.tsv:1: found the columns a, b, expected also path",
        ),
        (lambda root: (root / "train.tsv").unlink(), "gave no utterances"),
        (lambda root: write_table(root, [1], name="tr ain"), "prepare.py gave the split 'tr ain'"),
        (lambda root: write_table(root, [1], name="x\u0000".strip("\0") + ";rm"), "prepare.py gave the split 'x;rm'"),
    ],
)
@pytest.mark.slow
def test_faults_of_a_corpus_are_explained(warm_project, corpus, change, message):
    change(corpus)
    done = prepare(warm_project)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (warm_project.root / "data" / "lab").exists()


@pytest.mark.slow
def test_the_root_must_be_given_and_exist(warm_project, corpus):
    without = prepare(warm_project, "prepare.roots.lab=/no/such/folder")
    assert without.returncode == 2
    assert "the raw corpus /no/such/folder is not a folder" in without.stderr
    del warm_project.environment["lab_ROOT"]
    unknown = prepare(warm_project)
    assert unknown.returncode == 2
    assert "lab: where is the raw corpus? set lab_ROOT, or prepare.roots.lab=/path/to/it" in unknown.stderr


@pytest.mark.slow
def test_options_for_a_corpus_without_any_are_refused(warm_project, corpus):
    done = prepare(warm_project, "prepare.options.lab.size=3")
    assert done.returncode == 2
    assert "prepare.options.lab: found size, expected nothing" in done.stderr


@pytest.mark.slow
def test_segments_are_compared_with_the_audio(warm_project, corpus):
    """An end slightly beyond the recording's is clamped, and an utterance far beyond it is rejected."""
    recipe = warm_project.root / "egs" / "lab" / "prepare.py"
    code = recipe.read_text().replace(
        'return Utterance(utterance_id, utterance_id, str(root / path), row["speaker"], row["text"])',
        'end = {"u01": 0.9, "u02": 5.0}.get(path.stem, 0.4)\n'
        '    reco = utterance_id + "-r"\n'
        '    return Utterance(utterance_id, reco, str(root / path), row["speaker"], row["text"], 0.1, end)',
    )
    recipe.write_text(code)
    stopped = prepare(warm_project)
    assert stopped.returncode == 1
    assert "segment_beyond_end 1, such as spk2-u02" in stopped.stderr
    done = prepare(warm_project, "max_bad=0.05")
    assert done.returncode == 0, done.stderr
    folder = warm_project.root / "data" / "lab" / "train"
    segments = dict(line.split(" ", 1) for line in lines(folder / "segments"))
    assert len(segments) == 19
    assert segments["spk0-u00"] == "spk0-u00-r 0.1 0.4"
    assert segments["spk1-u01"] == "spk1-u01-r 0.1 0.5000625"  # its 8,001 samples
    durations = dict(line.split(" ") for line in lines(folder / "utt2dur"))
    assert float(durations["spk1-u01"]) == pytest.approx(0.4000625, abs=1e-6)
