"""Stage 6 on artificial hypotheses: its output for each reading of the duration, rejected segments, and stops."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile
from commands_here import ExperimentHere

from k2d.config import load_config
from k2d.core.errors import K2DError, MissingInput, UsageError
from k2d.data.hypotheses import hypothesis_line
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import AudioLevel, Checks
from k2d.data.rows import Hypothesis, Segment
from k2d.inference.hypothesis_folder import DecodingTally
from k2d.pipeline.rejected_items import read_rejected
from k2d.pipeline.runner import make_job, run_stage
from k2d.pipeline.stage_list import BY_VERB
from k2d.select.chunk_reader import Chunks
from k2d.stages.second_opinion import chunk_items

pytestmark = pytest.mark.usefixtures("forked_workers")

DURATION_S = 12.0
N_SAMPLES = round(DURATION_S * 16_000)
HEARD = {
    "r1": [(0.5, 2.0, "我們", -0.2), (3.0, 5.5, "so 好", -0.4), (5.5, 9.0, "再見", -0.3, True)],
    "r2": [(1.0, 4.0, "甲"), (4.0, 4.0, "錯"), (4.5, 6.0, "乙"), (6.0, 7.0, " ")],
    "r3": [],
}


def ramp(n):
    """Samples whose values give their place in the n-th recording."""
    return (np.arange(N_SAMPLES) + n).astype(np.int16)


class Lab:
    """A data directory of three recordings, and the teacher's hypotheses for two of them."""

    def __init__(self, folder):
        self.folder, self.data, self.pseudo = folder, folder / "data/lab/talks", folder / "exp/x/pseudo/lab/talks"
        self.chunks = folder / "exp/x/chunks/lab/talks"
        for each in (self.data, self.pseudo):
            each.mkdir(parents=True)
        (folder / "x.yaml").write_text("corpora: {unlabelled: [lab/talks]}\nmax_bad: 0.5\n")
        self.write_data(["r0", *HEARD])
        self.write_hypotheses(HEARD)
        (self.pseudo / "record.json").write_text('{"window_s": 6.0}')

    def write_data(self, recordings):
        self.audio = {key: self.folder / f"{key}, 課.wav" for key in recordings}
        for n, path in enumerate(self.audio.values()):
            soundfile.write(path, ramp(n), 16_000, subtype="PCM_16")
        (self.data / "wav.scp").write_text("".join(f"{key} {path}\n" for key, path in self.audio.items()))
        (self.data / "utt2spk").write_text("".join(f"{key} {key}\n" for key in self.audio))
        (self.data / "reco2course").write_text("r0 algebra\nr1 音樂 history\n")

    def write_hypotheses(self, by_recording):
        lines = (
            hypothesis_line(Hypothesis(key, DURATION_S, tuple(Segment(*row) for row in rows), ()))
            for key, rows in by_recording.items()
        )
        (self.pseudo / "hyp.jsonl").write_text("".join(f"{line}\n" for line in lines))

    def job(self, *overrides, **how):
        places = [f"exp={self.folder / 'exp'}", f"data={self.folder / 'data'}"]
        return make_job(load_config(self.folder / "x.yaml", [*places, *overrides]), **how)

    def chunk(self, *overrides, **how):
        job = self.job(*overrides, **how)
        job.layout.exp.mkdir(exist_ok=True)
        run_stage(BY_VERB["chunk"], job)
        return self.chunks

    def lines(self, name):
        return (self.chunks / name).read_text(encoding="utf-8").splitlines()


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


def assert_valid(folder, audio=AudioLevel.HEADER):
    found = validate(folder, Checks(audio=audio))
    assert found.report.lines() == []
    return found


@pytest.mark.slow
def test_chunks_are_lines_in_segments_over_the_recordings(lab):
    folder = lab.chunk()
    assert_valid(folder)
    assert lab.lines("segments") == [
        "r1-0000050-0000550 r1 0.5 5.5",
        "r1-0000550-0000900 r1 5.5 9.0",
        "r2-0000100-0000400 r2 1.0 4.0",
        "r2-0000450-0000600 r2 4.5 6.0",
    ]
    assert lab.lines("text")[:2] == [
        "r1-0000050-0000550 <0.00>我們<1.50><2.50>so 好<5.00>",
        "r1-0000550-0000900 <0.00>再見<3.50>",
    ]
    assert lab.lines("wav.scp") == [f"r1 {lab.audio['r1']}", f"r2 {lab.audio['r2']}"]
    assert lab.lines("utt2spk")[0] == "r1-0000050-0000550 r1"
    assert lab.lines("spk2utt")[1] == "r2 r2-0000100-0000400 r2-0000450-0000600"
    assert lab.lines("reco2dur") == ["r1 12.0", "r2 12.0"]
    assert lab.lines("utt2logprob") == ["r1-0000050-0000550 -0.33", "r1-0000550-0000900 -0.30"]
    assert lab.lines("reco2course") == ["r1 音樂 history"]
    assert not (folder / "audio").exists()
    assert not list(folder.glob(".*"))


def test_rejected_segments_are_reported_and_the_counts_add_up(lab):
    folder = lab.chunk()
    assert [(each.id, each.reason) for each in read_rejected(folder)] == [
        ("r2#0001", "bad_times"),
        ("r2#0003", "empty"),
    ]
    stamp = json.loads((folder / "stamp.json").read_text())
    assert stamp["counts"] == {
        "n_in": 7,
        "kept": 5,
        "dropped": {"bad_times": 1, "empty": 1},
        "what": "segments",
    }
    record = json.loads((folder / "record.json").read_text())
    assert record["reading"] == "our reading of the paper: last end minus first start"
    assert (record["duration"], record["max_s"]) == ("span", 6.0)
    assert record["recordings"] == {"in": 3, "with_chunks": 2}
    assert record["segments"] == {"in": 7, "kept": 5, "moved": 0}
    assert record["chunks"] == {"n": 4, "hours": round(13.0 / 3600, 6), "with_loop": 1, "continued": 0}
    assert record["rejected"] == {"bad_times": 1, "empty": 1}
    by_length = {key: n for key, n in record["chunks_by_length"].items() if n}
    assert by_length == {"from 1.2 s": 1, "from 3 s": 2, "from 4.8 s": 1}


def test_stage_8_reads_the_output_of_this_stage(lab, tmp_path):
    chunks = Chunks("lab/talks", lab.chunk(), tmp_path / "scratch")
    pairs = list(chunks.pairs(None))
    assert [(pair.recording, pair.duration_s) for pair in pairs] == [("r1", 5.0), ("r1", 3.5), ("r2", 3.0), ("r2", 1.5)]
    assert [label.mean_logprob for label in chunks.labels(str)] == [-0.33, -0.30, None, None]
    assert [chunks.courses()("x", key) for key in ("r1", "r2")] == ["音樂 history", "(none)"]


@pytest.mark.parametrize(
    ("teacher", "languages"),
    [
        ("{family: whisper, checkpoint: large-v2}", ["en", "zh", "zh"]),
        ("{family: whisper, checkpoint: large-v2, language: [zh]}", None),
        ("{}", None),
    ],
)
@pytest.mark.slow
def test_chunks_have_a_language_if_the_teacher_guesses_it(lab, teacher, languages):
    """Most of the first chunk is English: 2.5 of its 4 seconds."""
    rows = [(0.5, 2.0, "我們", None, False, "zh"), (3.0, 5.5, "so", None, False, "en")]
    lab.write_hypotheses(
        {"r1": [*rows, (5.5, 9.0, "再見", None, False, "zh")], "r2": [(1.0, 4.0, "甲", None, False, "zh")]}
    )
    folder = lab.chunk(f"teacher={teacher}")
    assert_valid(folder)
    assert (folder / "utt2lang").exists() is (languages is not None)
    if languages is not None:
        assert [line.split()[1] for line in lab.lines("utt2lang")] == languages
        lab.chunk("teacher={family: whisper, checkpoint: large-v2, language: [zh]}", force=True)
        assert not (folder / "utt2lang").exists()


@pytest.mark.slow
def test_sum_writes_audio_without_the_gaps(lab):
    folder = lab.chunk("chunk.duration=sum", nj=2)
    assert_valid(folder)
    assert not (folder / "segments").exists()
    assert lab.lines("text")[0] == "r1-0000050-0000550 <0.00>我們<1.50><1.50>so 好<4.00>"
    assert lab.lines("utt2dur")[0] == "r1-0000050-0000550 4.0"
    assert lab.lines("reco2course") == ["r1-0000050-0000550 音樂 history", "r1-0000550-0000900 音樂 history"]
    path = lab.lines("wav.scp")[0].partition(" ")[2]
    assert path.startswith(str(folder / "audio"))
    assert "r1" not in path.removeprefix(str(lab.folder))
    cut, rate_hz = soundfile.read(path, dtype="int16")
    expected = np.concatenate([ramp(1)[8_000:32_000], ramp(1)[48_000:88_000]])  # 0.5 to 2 s and 3 to 5.5 s
    assert rate_hz == 16_000
    assert np.array_equal(cut, expected)
    record = json.loads((folder / "record.json").read_text())
    assert "summed" in record["reading"]
    assert lab.lines("utt2source") == [
        "r1-0000050-0000550 r1 0.5 2.0 3.0 5.5",
        "r1-0000550-0000900 r1 5.5 9.0",
        "r2-0000100-0000400 r2 1.0 4.0",
        "r2-0000450-0000600 r2 4.5 6.0",
    ]


def test_chunks_with_their_own_audio_keep_recording_and_course(lab, tmp_path):
    lab.write_hypotheses({"r1": [(0.5, 2.0, "嗯"), (6.0, 7.0, "嗯"), (8.0, 9.5, "嗯"), (10.0, 12.0, "好")]})
    chunks = Chunks("lab/talks", lab.chunk("chunk.duration=sum", "chunk.max_s=2"), tmp_path / "scratch")
    pairs = list(chunks.pairs(None))
    assert [(pair.recording, pair.duration_s) for pair in pairs] == [("r1", 1.5), ("r1", 1.0), ("r1", 1.5), ("r1", 2.0)]
    labels = chunks.labels(lambda timed_text: timed_text.removeprefix("<0.00>")[0])
    assert [(label.n_identical, label.n_in_recording) for label in labels] == [(3, 4), (3, 4), (3, 4), (1, 4)]
    course_of = chunks.courses()
    assert [course_of(pair.id.rpartition("/")[2], pair.recording) for pair in pairs] == ["音樂 history"] * 4


@pytest.mark.parametrize(("duration", "seconds"), [("span", [5.0, 3.5, 3.0, 1.5]), ("sum", [4.0, 3.5, 3.0, 1.5])])
def test_stage_7_reads_the_durations_of_chunks(lab, duration, seconds):
    folder, tally = lab.chunk(f"chunk.duration={duration}"), DecodingTally()
    assert [item.length_s for item in chunk_items(folder, tally)] == seconds
    assert tally.audio_s == sum(seconds)


def test_older_chunks_of_the_sum_without_sources_are_made_again(lab):
    lab.chunk("chunk.duration=sum")
    stamp = lab.chunks / "stamp.json"
    raw = json.loads(stamp.read_text())
    del raw["recipe"]["settings"]["sources"]
    stamp.write_text(json.dumps(raw))
    with pytest.raises(K2DError, match='setting sources: null -> "utt2source"'):
        lab.chunk("chunk.duration=sum")


def test_sum_rejects_the_segments_of_a_recording_that_is_damaged(lab):
    lab.audio["r2"].write_bytes(lab.audio["r2"].read_bytes()[:5000])
    lab.chunk("chunk.duration=sum", "max_bad=0.6")
    assert [key.split()[0] for key in lab.lines("utt2spk")] == ["r1-0000050-0000550", "r1-0000550-0000900"]
    assert Counter(each.reason for each in read_rejected(lab.chunks)) == {"truncated": 4}
    assert "is cut off" in next(read_rejected(lab.chunks)).detail


@pytest.mark.slow
def test_sum_stops_at_a_missing_recording_and_continues_when_it_is_back(lab):
    """Stage 5 has decoded the recording, so its segments must not be lost."""
    aside = lab.audio["r2"].rename(lab.folder / "aside")
    with pytest.raises(K2DError) as caught:
        lab.chunk("chunk.duration=sum", "max_bad=0.6")
    assert "lab/talks: cutting the audio of chunks: 1 recording could not be read" in str(caught.value)
    assert "r2: " in str(caught.value)
    assert "there is no such file [missing]" in str(caught.value)
    assert not lab.chunks.exists()
    aside.rename(lab.audio["r2"])
    lab.chunk("chunk.duration=sum")
    assert len(lab.lines("utt2spk")) == 4


@pytest.mark.slow
def test_sum_does_not_depend_on_the_number_of_processes(lab):
    def made(nj):
        shutil.rmtree(lab.chunks, ignore_errors=True)
        lab.chunk("chunk.duration=sum", nj=nj)
        return {
            path.name: path.read_bytes()
            for path in lab.chunks.rglob("*")
            if path.is_file() and path.name != "stamp.json"
        }

    one = made(1)
    assert len(one) == 4 + 11
    assert made(2) == one


def test_authors_windows_overlap_and_the_log_reports_it(lab):
    folder = lab.chunk("chunk.duration=authors")
    assert_valid(folder, AudioLevel.NONE)
    assert lab.lines("segments")[:2] == ["r1-0000000-0000600 r1 0.0 6.0", "r1-0000550-0001150 r1 5.5 11.5"]
    lab.write_hypotheses({"r1": [(0, 2, "甲"), (4, 8, "乙")]})
    lab.chunk("chunk.duration=authors", force=True)
    assert lab.lines("text") == ["r1-0000000-0000600 <0.00>甲<2.00><4.00>", "r1-0000400-0001000 <0.00>乙<4.00>"]
    assert json.loads((folder / "record.json").read_text())["chunks"]["continued"] == 1


def test_outputs_are_sorted_by_id(lab):
    ids = ["a", "a+", "a-0", "a-0000000-0000100", "課"]
    lab.write_data(ids)
    lab.write_hypotheses({key: [(0, 1, "x"), (1, 6.5, "y")] for key in ids})
    found = validate(lab.chunk(), Checks(audio=AudioLevel.NONE))
    assert found.report.count() == found.report.counts.total()
    assert {code for _, code in found.report.counts} <= {"speakers_unsorted"}
    keys = [line.split()[0] for line in lab.lines("text")]
    assert keys == sorted(set(keys))
    assert len(keys) == 10


def test_the_window_of_the_teacher_is_the_longest_chunk(lab):
    with pytest.raises(UsageError, match=r"chunk\.max_s: found 6\.5, expected at most 6, the teacher's window"):
        lab.chunk("chunk.max_s=6.5")
    lab.chunk("chunk.max_s=3.5")
    assert [line.split()[0] for line in lab.lines("segments")][:3] == [
        "r1-0000050-0000200",
        "r1-0000300-0000550",
        "r1-0000550-0000900",
    ]
    (lab.pseudo / "record.json").write_text("{}")
    with pytest.raises(K2DError, match=r"record\.json: expected window_s, the length of the teacher's window"):
        lab.chunk()
    (lab.pseudo / "record.json").unlink()
    with pytest.raises(MissingInput, match=r"pseudo/lab/talks/record\.json"):
        lab.chunk()


def test_a_finished_unit_is_skipped_and_a_changed_setting_is_noticed(lab, capsys):
    lab.chunk()
    before = (lab.chunks / "stamp.json").read_bytes()
    assert json.loads(before)["recipe"]["settings"] == {"split": "lab/talks", "duration": "span", "max_s": 6.0}
    (lab.pseudo / "record.json").write_text('{"window_s": 6.0, "work_s": 7.5}')  # decides nothing
    lab.chunk()
    assert (lab.chunks / "stamp.json").read_bytes() == before
    with pytest.raises(K2DError, match='setting duration: "span" -> "authors"'):
        lab.chunk("chunk.duration=authors")
    lab.write_hypotheses({"r1": HEARD["r1"]})
    with pytest.raises(K2DError, match=r"pseudo/lab/talks/hyp\.jsonl has changed"):
        lab.chunk()


def test_too_many_bad_segments_stop_the_stage_with_examples(lab):
    with pytest.raises(K2DError) as caught:
        lab.chunk("max_bad=0.2")
    assert "lab/talks: 2 of 7 items are bad, more than max_bad (20.0%):" in str(caught.value)
    assert "bad_times 1, such as r2#0001: segment 1, 4.00 to 4.00 s, '錯': expected 0 <= start < end" in str(
        caught.value
    )
    assert not lab.chunks.exists()


def test_hypotheses_without_text_are_an_error(lab):
    lab.write_hypotheses({"r1": [], "r2": []})
    with pytest.raises(K2DError, match="lab/talks: found no segment to make a chunk of: in 0 segments = kept 0; look"):
        lab.chunk()


def test_a_hypothesis_of_an_unknown_recording_is_refused(lab):
    lab.write_hypotheses({"r1": [], "r2-old": []})
    with pytest.raises(K2DError, match=r"hyp\.jsonl: 'r2-old' is not a recording in .*wav\.scp; run stage 5"):
        lab.chunk()


@pytest.mark.slow
def test_from_the_command_line(tmp_path):
    Lab(tmp_path)
    done = ExperimentHere(tmp_path).k2d("chunk")
    assert done.returncode == 0, done.stderr
    assert "lab/talks: 4 chunks, 0.00 h, 3.2 s on average" in done.stdout
    assert "in 7 segments = kept 5 + bad_times 1 + empty 1" in done.stdout
