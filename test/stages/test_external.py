"""Stages 5 and 7 with transcripts of another system: what is read, what is refused, and the record of their source."""

import json
import re
import shutil

import pytest
from decoded_project import write_tables
from whisper_made import write_openai

from k2d.config import load_config
from k2d.core.errors import K2DError, MissingInput
from k2d.core.layout import PROJECT_ROOT
from k2d.core.stamp import read_stamp
from k2d.data.hypotheses import read_hypotheses
from k2d.pipeline.external_files import missing_labels
from k2d.pipeline.listing import progress_of, reads_of
from k2d.pipeline.rejected_items import read_rejected
from k2d.pipeline.runner import make_job, run_stage
from k2d.pipeline.stage_list import BY_VERB
from k2d.pipeline.unit_status import states
from k2d.pipeline.upstream import Upstream
from k2d.stages.decode import models

CONF = """
corpora: {{unlabelled: [lab/talks]}}
max_bad: 0.34
teacher: {{family: whisper, checkpoint: teacher.pt, language: [zh]}}
auxiliaries: {{ear: {{from: {root}/ear.jsonl}}}}
pseudo_label: {{from: {root}/labels.jsonl, made_by: Other-ASR 1.7B}}
select: {{methods: {{all: {{rule: none}}, near: {{rule: mer}}}}}}
distill: {{objective: {{ce: 1.0}}}}
"""
pytestmark = pytest.mark.usefixtures("forked_workers")

DURATIONS_S = {"r1": 12.0, "r2": 40.0, "r3": 9.0}
LABELS = {
    "r1": [(0.5, 2.0, "我們"), (3.0, 5.5, "so 好")],
    "r2": [(1.0, 4.0, "甲"), (4.5, 30.0, "乙 today")],
    "r3": [],
}
CHUNKS = {"r1-0000050-0000550": "我們 so 好", "r2-0000100-0003000": "甲 乙 today"}


def line(key, segments, **more):
    rows = [{"start_s": start, "end_s": end, "text": text} for start, end, text in segments]
    return json.dumps({"id": key, "segments": rows, **more}, ensure_ascii=False)


class Lab:
    """Three recordings, a tiny Whisper as the teacher, and another system's transcripts."""

    def __init__(self, root, checkpoint):
        self.root, self.exp = root, root / "exp" / "x"
        self.labels, self.opinions = root / "labels.jsonl", root / "ear.jsonl"
        self.pseudo, self.chunks = self.exp / "pseudo/lab/talks", self.exp / "chunks/lab/talks"
        audio = {key: root / "audio" / f"{key}.wav" for key in DURATIONS_S}
        write_tables(root / "data/lab/talks", audio, DURATIONS_S)
        (self.exp / "models/teacher").mkdir(parents=True)
        shutil.copy(checkpoint, self.exp / "models/teacher/model.pt")
        (root / "x.yaml").write_text(CONF.format(root=root), encoding="utf-8")
        self.write(self.labels, [line(*item) for item in LABELS.items()])
        self.write(self.opinions, [json.dumps({"id": key, "text": text}) for key, text in CHUNKS.items()])

    def write(self, path, lines):
        path.write_text("".join(f"{each}\n" for each in lines), encoding="utf-8")

    def job(self, *overrides, **how):
        places = [f"exp={self.root / 'exp'}", f"data={self.root / 'data'}"]
        return make_job(load_config(self.root / "x.yaml", [*places, *overrides]), **how)

    def run(self, *verbs, overrides=(), **how):
        for verb in verbs:
            run_stage(BY_VERB[verb], self.job(*overrides, **how))

    def refusal(self, *lines, verb="pseudo_label", overrides=(), kind=K2DError):
        self.write(self.labels if verb == "pseudo_label" else self.opinions, lines)
        with pytest.raises(kind) as caught:
            self.run(verb, overrides=overrides)
        return str(caught.value)

    def record(self, folder):
        return json.loads((folder / "record.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_openai(tmp_path_factory.mktemp("teacher") / "model.pt")


@pytest.fixture
def lab(tmp_path, checkpoint):
    return Lab(tmp_path, checkpoint)


@pytest.mark.slow
def test_labels_from_a_file_pass_through_the_same_stages(lab):
    lab.run("pseudo_label", "chunk", "second_opinion", "select")
    labels_by_id = {each.recording_id: each for each in read_hypotheses(lab.pseudo / "hyp.jsonl")}
    assert {key: [(s.start_s, s.end_s, s.text) for s in each.segments] for key, each in labels_by_id.items()} == LABELS
    assert {key: each.duration_s for key, each in labels_by_id.items()} == DURATIONS_S
    assert (lab.pseudo / "text").read_text(encoding="utf-8") == "r1 我們 so 好\nr2 甲 乙 today\nr3\n"
    assert (lab.chunks / "text").read_text(encoding="utf-8").splitlines() == [
        "r1-0000050-0000550 <0.00>我們<1.50><2.50>so 好<5.00>",
        "r2-0000100-0003000 <0.00>甲<3.00><3.50>乙 today<29.00>",
    ]
    opinions = lab.exp / "opinions/ear/lab/talks/text"
    assert opinions.read_text(encoding="utf-8").splitlines() == [" ".join(item) for item in CHUNKS.items()]
    kept = json.loads((lab.exp / "select/near/record.json").read_text())["kept"]["chunks"]
    assert kept == 2


def test_the_records_and_the_list_name_the_source(lab):
    lab.run("pseudo_label", "chunk", "second_opinion")
    record = lab.record(lab.pseudo)
    assert (record["from"], record["made_by"]) == (str(lab.labels), "Other-ASR 1.7B")
    assert (record["window_s"], record["n_segments"], record["n_without_text"]) == (30.0, 4, 1)
    assert record["longest_segment_s"] == 25.5
    stamp = read_stamp(lab.pseudo)
    assert (stamp.counts["n_in"], stamp.counts["kept"], stamp.counts["dropped"]) == (3, 3, {})
    opinions = lab.record(lab.exp / "opinions/ear/lab/talks")
    assert opinions == {"from": str(lab.opinions), "made_by": "ear", "n_texts": 2, "n_empty": 0}
    job = lab.job()
    reads = [reads_of(BY_VERB[verb], job) for verb in ("pseudo_label", "second_opinion")]
    assert reads == [f"long recordings, {lab.labels}", f"chunks, {lab.opinions}"]
    assert progress_of(BY_VERB["pseudo_label"], job, Upstream(job)).startswith("done")


def test_another_content_of_the_file_is_another_unit(lab):
    lab.run("pseudo_label")
    (state,) = states(BY_VERB["pseudo_label"], lab.job())
    assert state.is_done
    lab.write(lab.labels, [line("r1", [(0.5, 2.0, "他們")]), line("r2", []), line("r3", [])])
    (state,) = states(BY_VERB["pseudo_label"], lab.job())
    assert not state.is_done
    assert str(lab.labels) in state.changes[0]
    (other,) = states(BY_VERB["pseudo_label"], lab.job("pseudo_label.from=null", "pseudo_label.made_by=null"))
    assert any("setting labels" in change for change in other.changes)


def test_auxiliaries_from_a_file_have_no_model(lab):
    assert states(BY_VERB["auxiliary"], lab.job()) == []
    assert list(models(lab.job())) == ["teacher"]


def test_lines_may_have_any_order_and_all_fields_of_stage_5(lab):
    windows = [{"start_s": 0.0, "advance_s": 30.0, "n_tokens": 9, "ended": "end", "moved_by": "window"}]
    lines = [line("r3", []), line("r2", LABELS["r2"], duration_s=40.2, windows=windows), line("r1", LABELS["r1"]), ""]
    lab.write(lab.labels, ["\ufeff" + lines[0], *lines[1:]])
    lab.run("pseudo_label")
    found = list(read_hypotheses(lab.pseudo / "hyp.jsonl"))
    assert [each.recording_id for each in found] == ["r1", "r2", "r3"]
    assert [(each.duration_s, len(each.windows)) for each in found] == [(12.0, 0), (40.0, 1), (9.0, 0)]


def test_a_recording_without_a_line_is_dropped_and_counted(lab):
    lab.write(lab.labels, [line("r1", LABELS["r1"]), line("r2", LABELS["r2"])])
    lab.run("pseudo_label")
    assert read_stamp(lab.pseudo).counts["dropped"] == {"no_transcript": 1}
    assert [(each.id, each.reason) for each in read_rejected(lab.pseudo)] == [("r3", "no_transcript")]
    message = lab.refusal(line("r1", LABELS["r1"]), overrides=["name=y"], kind=K2DError)
    assert "models/teacher" in message  # another experiment has no teacher yet


def test_too_many_recordings_without_a_line_stop_the_stage(lab):
    message = lab.refusal(line("r1", LABELS["r1"]))
    assert "2 of 3 items are bad, more than max_bad (34.0%)" in message
    assert "no_transcript 2, such as r2:" in message
    assert not lab.pseudo.exists()


BAD_LINES = {
    '{"id": "r1"': "labels.jsonl:1: Expecting ',' delimiter",
    '["r1"]': 'labels.jsonl:1: expected a JSON object, found ["r1"]',
    '{"segments": []}': "labels.jsonl:1: id: expected a string, found none",
    '{"id": "../r1", "segments": []}': "labels.jsonl:1: id: '../r1' contains '/'",
    '{"id": "r1", "text": "so"}': "labels.jsonl:1: segments: the field is missing",
    '{"id": "r1", "segments": [{"start": 0}]}': "labels.jsonl:1: segments[0].end_s: the field is missing",
    line("r1", [(0, "1", "so")]): 'labels.jsonl:1: segments[0].end_s: expected a number, found "1"',
    line("r1", [(0, 1, None)]): "labels.jsonl:1: segments[0].text: expected a string, found null",
    line("r1", [(0, float("nan"), "so")]): "labels.jsonl:1: NaN is not a number in JSON",
    '{"id": "r1", "segments": [{"start_s": 0, "end_s": 1e999, "text": "so"}]}': "a time is not a finite number",
    '{"id": "r1", "segments": [{"start_s": 0, "end_s": 1, "text": "\\ud800"}]}': "half of a surrogate pair",
    line("r1", [(0, 1, "<|zh|><|NEUTRAL|>so")]): "a text contains '<|zh|>'; expected words only; remove such marks",
    line("r1", [], duration_s=13.0): "duration_s: found 13, the recording 'r1' lasts 12.00 s; transcribe the audio",
    line("r9", []): "labels.jsonl:1: 'r9' is not a recording of these data; expected ids of their wav.scp",
}


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_file_with_a_bad_line_is_refused(lab, bad):
    message = lab.refusal(bad, line("r2", LABELS["r2"]))
    assert BAD_LINES[bad] in message
    assert "has 1 fault, so nothing was read from it:" in message
    assert "docs/recognisers.md" in message
    assert not lab.pseudo.exists()


def test_all_faults_of_a_file_are_reported_together(lab):
    message = lab.refusal("nonsense", line("r0", []), line("r1", []), line("r1", []), line("r9", []))
    assert "has 4 faults" in message
    places = ["labels.jsonl:1: Expecting value", "jsonl:2: 'r0' is no", "jsonl:4: 'r1' has a line already", "jsonl:5: "]
    assert all(place in message for place in places)


BAD_SEGMENTS = {
    (5.0, 5.0, "so"): "bad_times",
    (11.0, 13.0, "so"): "beyond_the_end",
    (0.0, 1.5, "so"): "overlaps",
    (6.0, 7.0, " "): "empty",
    (6.0, 7.0, "so <1.20> 好"): "stray_timestamp",
}


@pytest.mark.parametrize("bad", BAD_SEGMENTS)
def test_many_segments_that_stage_6_would_reject_are_reported_at_once(lab, bad):
    lines = [line("r1", [(0.5, 2.0, "我們"), bad]), line("r2", []), line("r3", [])]
    message = lab.refusal(*lines)
    assert "1 of 2 segments cannot be in a chunk, more than max_bad (34.0%):" in message
    assert f"  {BAD_SEGMENTS[bad]} 1, such as r1#0001: segment 1" in message


def test_few_bad_segments_are_counted_by_stage_6(lab):
    lines = [line("r1", [*LABELS["r1"], (5.4, 5.4, "錯")]), line("r2", LABELS["r2"]), line("r3", [])]
    lab.write(lab.labels, lines)
    lab.run("pseudo_label", "chunk")
    assert lab.record(lab.pseudo)["for_no_chunk"] == {"bad_times": 1}
    assert read_stamp(lab.chunks).counts["dropped"] == {"bad_times": 1}


def test_a_text_for_a_whole_recording_must_fit_into_the_window(lab):
    whole = [line(key, [(0.0, seconds, "so")]) for key, seconds in DURATIONS_S.items()]
    message = lab.refusal(*whole, overrides=["max_bad=0.3"])
    assert "too_long 1, such as r2#0000" in message
    assert "a text must fit into the teacher's window of 30 s, because K2D does not align text with audio" in message
    lab.write(lab.labels, whole)
    lab.run("pseudo_label", "chunk")  # the two short ones can be learned from
    assert [each.split(" ")[0] for each in (lab.chunks / "text").read_text().splitlines()] == [
        "r1-0000000-0001200",
        "r3-0000000-0000900",
    ]


def test_a_file_without_any_text_is_refused(lab):
    assert "no recording has a text" in lab.refusal(*(line(key, []) for key in DURATIONS_S))


def test_a_missing_file_is_reported_before_any_work(lab):
    lab.labels.unlink()
    expected = f"pseudo_label.from: {lab.labels} is not there; expected transcripts, as docs/recognisers.md has them"
    with pytest.raises(MissingInput) as caught:
        lab.run("pseudo_label")
    assert str(caught.value) == expected
    job = lab.job()
    assert progress_of(BY_VERB["pseudo_label"], job, Upstream(job)) == f"cannot tell: {expected}"
    assert list(missing_labels(job.config)) == [expected]  # stage 3 reports it before it trains
    assert list(missing_labels(lab.job("pseudo_label={from: null, made_by: null}").config)) == []


def test_labels_need_a_language_if_the_teacher_has_none(lab):
    message = lab.refusal(line("r1", LABELS["r1"]), line("r2", []), line("r3", []), overrides=["teacher.language=[]"])
    assert (
        'a segment names no language, and teacher.language is empty; give each segment one ("language": "zh")'
        in message
    )
    segments = [{"start_s": 0, "end_s": 1, "text": "so", "language": "mandarinish"}]
    message = lab.refusal(json.dumps({"id": "r1", "segments": segments}), overrides=["teacher.language=[]"])
    assert "labels.jsonl:1: language: the teacher does not support 'mandarinish'; give each segment one" in message
    segments = [{"start_s": 0, "end_s": 1, "text": "so", "language": "en"}]
    lab.write(lab.labels, [json.dumps({"id": "r1", "segments": segments}), line("r2", []), line("r3", [])])
    lab.run("pseudo_label", "chunk", overrides=["teacher.language=[]"])
    assert (lab.chunks / "utt2lang").read_text() == "r1-0000000-0000100 en\n"


def test_missing_durations_are_read_from_the_audio(lab):
    (lab.root / "data/lab/talks/reco2dur").unlink(missing_ok=True)
    (lab.root / "data/lab/talks/utt2dur").unlink(missing_ok=True)
    from made_audio import speechlike, write_audio

    for key in DURATIONS_S:
        write_audio(lab.root / "audio" / f"{key}.wav", speechlike(3.0))
    lab.write(lab.labels, [line(key, [(0.0, 2.5, "so")]) for key in DURATIONS_S])
    lab.run("pseudo_label")
    assert {each.duration_s for each in read_hypotheses(lab.pseudo / "hyp.jsonl")} == {3.0}


@pytest.mark.slow
def test_the_page_shows_files_that_work(tmp_path, checkpoint):
    """docs/recognisers.md: the labels, and opinions of just the chunks that they give."""
    page = (PROJECT_ROOT / "docs" / "recognisers.md").read_text(encoding="utf-8")
    page = page.partition("\n## Labels from another system\n")[2].partition("\n## ")[0]
    labels, opinions = re.findall(r"^```json\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    (settings,) = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    lab = Lab(tmp_path, checkpoint)
    lengths_s = {"talk1": 10.0, "talk2": 12.4, "talk3": 5.0}
    write_tables(lab.root / "data/lab/pages", {key: lab.root / f"{key}.wav" for key in lengths_s}, lengths_s)
    (lab.root / "transcripts").mkdir()
    for name, text in (("labels", labels), ("opinions", opinions)):
        (lab.root / "transcripts" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    head = "corpora: {unlabelled: [lab/pages]}\nteacher: {family: whisper, checkpoint: teacher.pt, language: [zh]}\n"
    methods = "select: {methods: {near: {rule: mer, alpha: 0.5}}}\n"
    placed = settings.replace("transcripts/", f"{lab.root}/transcripts/")
    (lab.root / "x.yaml").write_text(head + methods + placed, encoding="utf-8")
    lab.run("pseudo_label", "chunk", "second_opinion", "select")
    kept = (lab.exp / "select/near/kept/lab/pages/text").read_text(encoding="utf-8").splitlines()
    assert kept == [
        "talk1-0000050-0000900 <0.00>講 loss<1.50><1.90>好<8.50>",
        "talk2-0000000-0001240 <0.00>okay 那我們開始<12.40>",
    ]


# --- second opinions ---


@pytest.fixture
def chunked(lab):
    lab.run("pseudo_label", "chunk")
    return lab


def test_opinions_may_be_a_kaldi_text(chunked):
    text = chunked.root / "ear.text"
    chunked.write(text, [f"{key} {words}" for key, words in reversed(CHUNKS.items())])
    chunked.run("second_opinion", overrides=[f"auxiliaries.ear.from={text}"])
    found = (chunked.exp / "opinions/ear/lab/talks/text").read_text(encoding="utf-8").splitlines()
    assert found == [" ".join(item) for item in CHUNKS.items()]


def test_a_chunk_without_a_line_has_an_empty_opinion_and_is_counted(chunked):
    first, second = CHUNKS
    chunked.write(chunked.opinions, [json.dumps({"id": second, "text": ""})])
    chunked.run("second_opinion", overrides=["max_bad=0.5"])
    folder = chunked.exp / "opinions/ear/lab/talks"
    assert (folder / "text").read_text() == f"{first}\n{second}\n"
    assert [(each.id, each.reason) for each in read_rejected(folder)] == [(first, "no_opinion")]
    assert chunked.record(folder)["n_empty"] == 1


BAD_OPINIONS = {
    '{"id": "r1-0000050-0000550"}': "text: expected a string, found null",
    '{"id": "r1-0000050-0000550", "text": "so", "txt": 1}': "txt: unknown field, expected id and text",
    '{"id": "r1", "text": "so"}': "'r1' is not one of the chunks; expected ids of the chunks that stage 6 wrote",
    '{"id": "r1-0000050-0000550", "text": "<|zh|>so"}': "contains '<|zh|>'; expected words only",
    '{"id": "r1-0000050-0000550", "text": "so\\ud800"}': "is not Unicode: it contains half of a surrogate pair",
    '{"id": "r1-0000050-0000550", "text": "<0.00>so"}': "contains a timestamp; expected words only",
}


@pytest.mark.parametrize("bad", BAD_OPINIONS)
def test_a_file_with_a_bad_opinion_is_refused(chunked, bad):
    message = chunked.refusal(bad, verb="second_opinion")
    assert f"ear.jsonl:1: {BAD_OPINIONS[bad]}" in message or BAD_OPINIONS[bad] in message
    assert not (chunked.exp / "opinions").exists() or not list((chunked.exp / "opinions").glob("ear/lab/[!.]*"))
