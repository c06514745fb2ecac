"""A Whisper in all stages, from outside: loaded by stages 3 and 4, used for labels, and distilled."""

import json

import numpy as np
import pytest
from commands_here import ExperimentHere
from decoded_project import write_tables
from made_audio import write_audio
from whisper_made import write_hugging_face, write_openai
from whisper_tiny import talks, tiny_checkpoint, write_talks

from k2d.text.timestamps import strip_timestamps

CONF = """
max_bad: 0.5
corpora: {unlabelled: [lab/train]}
teacher: &whisper {family: whisper, checkpoint: models/teacher.pt, language: [zh]}
auxiliaries: {base: *whisper}
decode: {batch_size: 4}
select: {methods: {kd_all: {rule: none}}}
student: {decoder_layers: [1], freeze_positions: true}
distill: {heldout_share: 0.1, training: {steps: 2, batch_size: 2, evaluations: 1}}
"""
GUESSING = ["teacher.language=[]", "auxiliaries={}", "distill.keep_encoded=true"]


@pytest.fixture(scope="module")
def lab(shared_project):
    """The tiny Whisper that was trained on its recordings, and these recordings."""
    root = shared_project.root
    (root / "conf" / "x.yaml").write_text(CONF, encoding="utf-8")
    (root / "models").mkdir()
    (root / "models" / "teacher.pt").write_bytes(tiny_checkpoint().read_bytes())
    audio = {path.stem: path for path in write_talks(root / "audio")}
    write_tables(root / "data" / "lab" / "train", audio, {talk.id: talk.duration_s for talk in talks()})
    return shared_project


@pytest.fixture(scope="module")
def walked(lab):
    """The experiment x, up to its student."""
    for first, last in ((3, 6), (7, 9), (10, 10)):
        run(lab, first, last)
    return lab.root / "exp" / "x"


def run(lab, first, last, *words, conf="x"):
    stages = ("--stage", str(first), "--stop-stage", str(last), "--nj", "1")
    done = lab.run("--conf", f"conf/{conf}.yaml", *stages, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def here(tmp_path):
    """An experiment without recordings: what stage 3 takes or refuses."""
    found = ExperimentHere(tmp_path)
    found.conf.write_text(CONF.replace("models/", f"{tmp_path}/"), encoding="utf-8")
    return found


@pytest.mark.slow
def test_from_checkpoint_to_a_student_that_openai_whisper_loads(walked):
    import whisper

    hypotheses = [
        json.loads(line) for line in (walked / "pseudo" / "lab" / "train" / "hyp.jsonl").open(encoding="utf-8")
    ]
    (long,) = (one for one in hypotheses if one["id"] == "long")
    (spoken,) = (talk.sentences for talk in talks() if talk.id == "long")
    assert [s["text"] for s in long["segments"]] == [each.text for each in spoken]
    assert {s["language"] for s in long["segments"]} == {"zh"}
    files = (walked / "models" / name / "model.pt" for name in ("teacher", "kd_all-s1"))
    teacher, student = (whisper.load_model(str(file), device="cpu") for file in files)
    assert (teacher.dims.n_text_layer, student.dims.n_text_layer) == (2, 1)
    assert student.decoder.positional_embedding.equal(teacher.decoder.positional_embedding)
    assert student.encoder.conv1.weight.equal(teacher.encoder.conv1.weight)
    assert not student.decoder.blocks[0].mlp[0].weight.equal(teacher.decoder.blocks[1].mlp[0].weight)


@pytest.mark.slow
def test_another_systems_labels_teach_a_student_and_its_opinions_select(lab):
    """All stages from outside. The labels are the recordings' own words, and one recording has none."""
    conf = CONF.replace("auxiliaries: {base: *whisper}", "auxiliaries: {other: {from: opinions.text}}")
    conf = conf.replace("{kd_all: {rule: none}}", "{near: {rule: mer}}").replace("distill: {", f"distill: {{{CE}, ")
    (lab.root / "conf" / "other.yaml").write_text(f"pseudo_label: {{from: labels.jsonl, made_by: Other}}\n{conf}")
    known = [talk for talk in talks() if talk.id != "pause"]
    lines = [{"id": t.id, "segments": [_segment(spoken) for spoken in t.sentences]} for t in known]
    (lab.root / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "in 4 recordings = kept 3 + no_transcript 1" in run(lab, 3, 6, conf="other").stdout
    exp = lab.root / "exp" / "other"
    labels = [line.split(" ", 1) for line in (exp / "chunks/lab/train/text").read_text(encoding="utf-8").splitlines()]
    opinions = [f"{key} {'' if n == 0 else strip_timestamps(text)}" for n, (key, text) in enumerate(labels)]
    (lab.root / "opinions.text").write_text("".join(f"{' '.join(o.split())}\n" for o in opinions), encoding="utf-8")
    run(lab, 7, 14, "export.formats=[huggingface]", conf="other")
    kept = json.loads((exp / "select/near/record.json").read_text())
    assert (kept["kept"]["chunks"], kept["in"]["chunks"]) == (len(labels) - 1, len(labels))
    message = "The labels are not the teacher's: Other made them, and they were read from labels.jsonl."
    assert message in (exp / "report/RESULTS.md").read_text()
    assert message in (exp / "export/near-s1/huggingface/README.md").read_text()
    listed = lab.run("--conf", "conf/other.yaml", "--list").stdout
    assert "long recordings, labels.jsonl" in listed
    assert "chunks, opinions.text" in listed


CE = "objective: {ce: 1.0}"


def _segment(spoken):
    return {"start_s": spoken.start_s, "end_s": spoken.end_s, "text": spoken.text}


@pytest.mark.slow
def test_a_teacher_that_guesses_its_language_teaches_it(lab):
    """And that there is none where nobody speaks."""
    audio = lab.root / "audio" / "quiet.wav"
    write_audio(audio, 0.01 * np.random.default_rng(0).standard_normal(16_000 * 33).astype(np.float32))
    write_tables(lab.root / "data" / "lab" / "quiet", {"quiet": audio}, {"quiet": 33.0})
    (lab.root / "data" / "lab" / "quiet" / "text").write_text("quiet\n")
    done = run(lab, 3, 10, "name=guess", "corpora.nonspeech=[lab/quiet]", *GUESSING)
    exp = lab.root / "exp" / "guess"
    kept = [line.split()[1] for line in (exp / "select/kd_all/kept/lab/train/segments").read_text().splitlines()]
    assert f"models/kd_all-s1: in {len(kept) + 2} chunks" in done.stdout
    guessed = (exp / "chunks" / "lab" / "train" / "utt2lang").read_text().splitlines()
    assert {line.split()[1] for line in guessed} == {"zh", "en"}
    kept = exp / "select" / "kd_all" / "kept" / "lab" / "train" / "utt2lang"
    assert kept.read_text().splitlines() == guessed
    assert (exp / "models" / "kd_all-s1" / "model.pt").is_file()


@pytest.mark.slow
def test_a_student_that_learns_the_vocabulary_in_use_is_an_ordinary_one(lab, walked):
    """Only the rows of the embedding that are in use change, and the record names them."""
    import whisper

    from k2d.models.registry import load_recogniser

    in_use = ["distill.vocabulary=in_use", "distill.sampled_tokens=50", "distill.previous_text_probability=0.5"]
    another = ["select.methods={kd_all: null, in_use: {rule: none}}", "distill.keep_encoded=true"]
    done = run(lab, 8, 10, *another, *in_use)
    models = walked / "models"
    start, student = (
        whisper.load_model(str(models / name / "model.pt"), device="cpu").decoder.token_embedding.weight
        for name in ("student_init", "in_use-s1")
    )
    has_changed_V = (start != student).any(dim=1)
    record = json.loads((models / "in_use-s1" / "training.json").read_text())["vocabulary"]
    assert record["in_use"] == record["of_labels"] + record["special"] + record["sampled"]
    assert (record["tokens"], record["special"], record["sampled"]) == (51_865, 1608, 50)
    assert has_changed_V.sum() == record["in_use"]
    assert has_changed_V[50_257:].all()
    codec = load_recogniser(models / "teacher", family="whisper", languages=("zh",)).codec
    spoken = {token for talk in talks() for each in talk.sentences for token in codec.ids(each.text)}
    assert has_changed_V[sorted(spoken)].all()
    assert f"training on {record['in_use']:,} of 51,865 tokens" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_hugging_face_folder_is_used_directly(here):
    import whisper

    write_hugging_face(here.root / "huggingface", language="<|zh|>")
    done = here.k2d("teacher", f"teacher.checkpoint={here.root / 'huggingface'}", "teacher.language=[]")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = here.exp / "models" / "teacher"
    assert json.loads((folder / "whisper.json").read_text())["language"] == "zh"
    assert whisper.load_model(str(folder / "model.pt"), device="cpu").dims.n_text_layer == 3


@pytest.mark.slow
def test_a_published_checkpoint_that_cannot_be_fetched_is_reported_with_a_remedy(here, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    kept = here.root / "kept"
    done = here.k2d("teacher", "teacher.checkpoint=large-v2", f"teacher.cache={kept}")
    assert done.returncode == 1
    assert "Whisper large-v2: no source could be used:" in done.stderr
    assert f"fetch it where there is a network and put it as {kept / 'large-v2.pt'} (" in done.stderr


@pytest.mark.slow
def test_transcribe_recognises_a_whisper_by_its_files(lab):
    words = ["--model", "models/teacher.pt", "--language", "zh", "--format", "json", "audio/short.wav"]
    done = lab.k2d("transcribe", *words)
    assert done.returncode == 0, done.stderr
    (spoken,) = (talk.sentences for talk in talks() if talk.id == "short")
    assert [s["text"] for s in json.loads(done.stdout)["segments"]] == [each.text for each in spoken]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["teacher.checkpoint=large-v9"], "large-v9 is not there; expected a model folder or a file of one, or one of"),
        (["teacher.checkpoint=null"], "teacher: expected teacher.model (a config under conf/models/, to train it) or"),
    ],
)
@pytest.mark.slow
def test_a_missing_whisper_is_refused_at_once(here, settings, message):
    done = here.k2d("teacher", *settings)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.slow
def test_a_broken_checkpoint_is_refused_with_its_fault(here):
    path = write_openai(here.root / "teacher.pt")
    path.write_bytes(path.read_bytes()[:-100])
    done = here.k2d("teacher")
    assert done.returncode == 1
    assert f"{path}: cannot be read as weights: truncated" in done.stdout + done.stderr
