"""A whole directory without its audio: bad inputs 1, 2, 13, 15 to 18, 21 and 22, Kaldi's checks and their gaps."""

import itertools
import subprocess
import sys

import pytest

from k2d.core.errors import Treatment
from k2d.core.layout import PROJECT_ROOT
from k2d.data.kaldi.kinds import KINDS, Key
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import AudioLevel, Checks


def found(validation, *treatments):
    """The codes of the faults, and of warnings if requested."""
    wanted = treatments or (Treatment.REJECT, Treatment.QUARANTINE, Treatment.NORMALISE)
    return {code for treatment, code in validation.report.counts if treatment in wanted}


def message(validation, code):
    return next(str(fault) for fault in validation.report.kept if fault.code == code)


@pytest.mark.parametrize("kind", ["whole", "cut"])
def test_a_good_directory_is_valid(check, kind):
    validation = check(kind)
    assert validation.report.counts == {}
    sizes = (validation.n_utterances, validation.n_recordings, validation.n_speakers)
    assert sizes == (3, 3 if kind == "whole" else 2, 2)
    assert ": valid: 3 utterances, " in validation.summary()


def test_a_directory_may_have_all_known_tables(check):
    extra = {
        "utt2lang": "a-1 zh\na-2 en\nb-1 en\n",
        "utt2uniq": "a-1 x\na-2 y\nb-1 z\n",
        "utt2num_frames": "a-1 150\na-2 200\nb-1 75\n",
        "feats.scp": "a-1 f.ark:4\na-2 f.ark:90\nb-1 f.ark:200\n",
        "vad.scp": "a-1 v.ark:4\na-2 v.ark:90\nb-1 v.ark:200\n",
        "utt2warp": "a-1 0.9\na-2 1\nb-1 1.1\n",
        "text.ctc": "a-1 x\na-2 y\nb-1 z\n",
        "text.prev": "a-1\na-2 x\nb-1 y\n",
        "utt2category": "a-1 c\na-2 c\nb-1 c\n",
        "spk2gender": "a m\nb f\n",
        "spk2warp": "a 0.95\nb 1.05\n",
        "cmvn.scp": "a c.ark:4\nb c.ark:90\n",
        "reco2dur": "a-1 1.5\na-2 2\nb-1 0.75\n",
        "reco2file_and_channel": "a-1 a A\na-2 a B\nb-1 b A\n",
        "utt2source": "a-1 r 0.5 2\na-2 r 2 3 4.5 5.5\nb-1 q 0 0.75\n",
    }
    assert set(extra) | {"wav.scp", "segments", "text", "utt2spk", "spk2utt", "utt2dur"} == set(KINDS)
    assert check("whole", extra).report.counts == {}


@pytest.mark.parametrize("name", ["wav.scp", "text", "utt2spk", "spk2utt", "utt2dur"])
def test_an_empty_file_is_refused(check, name):
    assert "empty_file" in found(check("whole", {name: ""}), Treatment.REJECT)


@pytest.mark.parametrize("name", ["wav.scp", "text", "utt2spk", "spk2utt"])
def test_a_missing_file_is_refused(check, name):
    validation = check("whole", {name: None})
    assert not validation.is_sound
    missing = next(fault for fault in validation.report.kept if fault.code.startswith("missing"))
    assert str(missing).startswith(f"{validation.folder}/{name}: the file is missing; ")


def test_a_missing_directory_is_refused(tmp_path):
    assert found(validate(tmp_path / "nowhere")) == {"missing_folder"}


def test_text_and_wav_may_be_missing_with_their_options(make_dir):
    folder = make_dir("whole", {"text": None, "wav.scp": None})
    assert validate(folder, Checks(audio=AudioLevel.NONE, need_text=False, need_wav=False)).is_sound


def test_a_duplicate_id_names_both_lines(check):
    validation = check("whole", {"text": "a-1 x\na-2 y\na-1 z\nb-1 w\n"})
    expected = f"{validation.folder}/text:3: the id 'a-1' occurs more than once (ids are compared in NFC), with another"
    assert message(validation, "duplicate_id").startswith(expected)
    assert "(lines 1, 3)" in message(validation, "duplicate_id")


def test_5_6_9_11_12_are_normalised_and_the_directory_is_valid(check):
    validation = check(
        "whole",
        {
            "text": "\ufeffb-1 yes\r\na-2\tcafe\u0301\na-1  你好",
            "utt2spk": "b-1 b\na-2 a\na-1 a\n",
            "wav.scp": "b-1 b.wav\na-2 a2.wav\na-1 a1.wav\n",
        },
    )
    assert found(validation) == {"bom", "crlf", "spacing", "nfc", "no_final_newline", "unsorted"}
    assert validation.is_sound


def test_ids_on_one_side_only_are_listed(check):
    n = 40
    text = "".join(f"t-{i:02} x\n" for i in range(n))
    validation = check("whole", {"text": text})
    assert message(validation, "ids_differ").startswith(
        f"{validation.folder}/utt2spk:1: 3 ids are not in text: a-1, a-2, b-1; add them"
    )
    reverse = [str(f) for f in validation.report.kept if "40 ids are not in utt2spk" in f.message]
    assert ": t-00, t-01, t-02, t-03, t-04, …; " in reverse[0]


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [
        ("wav.scp", "whole", "a-1 x.wav\na-2 y.wav\n"),
        ("segments", "cut", "a-1 r1 0 1\nb-1 r2 0.5 2\n"),
        ("utt2dur", "whole", "a-1 1.5\na-2 2\nb-1 0.75\nc-1 3\n"),
        ("utt2lang", "whole", "a-1 zh\n"),
        ("feats.scp", "whole", "a-1 f.ark:4\n"),
        ("spk2gender", "whole", "a m\n"),
        ("cmvn.scp", "whole", "a x:1\nb y:2\nc z:3\n"),
        ("reco2dur", "cut", "r1 10\n"),
        ("reco2file_and_channel", "cut", "r1 f A\n"),
        ("wav.scp", "cut", "r1 a.wav\nr2 b.wav\nr3 unused.wav\n"),
    ],
)
def test_every_table_has_the_same_ids(check, name, kind, content):
    assert "ids_differ" in found(check(kind, {name: content}), Treatment.REJECT)


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ("-1 1", "bad_time"),
        ("1 1", "end_before_start"),
        ("2 1.5", "end_before_start"),
        ("nan 1", "bad_time"),
        ("0 inf", "bad_time"),
        ("0 1,5", "bad_time"),
        ("0", "bad_segment"),
        ("0 1 2", "bad_segment"),
    ],
)
def test_times_of_segments(check, times, code):
    validation = check("cut", {"segments": f"a-1 r1 0 1\na-2 r1 {times}\nb-1 r2 0.5 2\n"})
    assert found(validation) == {code}
    assert message(validation, code).startswith(f"{validation.folder}/segments:2: ")


def test_the_message_shows_how_to_write_a_decimal(check):
    validation = check("cut", {"segments": "a-1 r1 0 1\na-2 r1 0 1,5\nb-1 r2 0.5 2\n"})
    assert message(validation, "bad_time").endswith("segments:2: the end time is '1,5'; write seconds as 1.5")


@pytest.mark.parametrize(
    ("end", "codes", "clamped"),
    [("10.0", set(), {}), ("10.3", {"segment_end"}, {"a-2": 10.0}), ("10.51", {"segment_beyond_end"}, {})],
)
def test_a_segment_beyond_the_stated_end(check, end, codes, clamped):
    validation = check("cut", {"segments": f"a-1 r1 0 1\na-2 r1 1.5 {end}\nb-1 r2 0.5 2\n"})
    assert found(validation) == codes
    assert validation.clamped_ends_s == clamped
    assert set(validation.bad[Key.UTTERANCE]) == ({"a-2"} if "segment_beyond_end" in codes else set())


def test_a_segment_that_starts_after_the_end_is_bad_however_short(check):
    validation = check("cut", {"segments": "a-1 r1 0 1\na-2 r1 10.1 10.2\nb-1 r2 0.5 2\n"})
    assert found(validation) == {"segment_beyond_end"}


def test_an_unknown_recording_is_refused(check):
    validation = check("cut", {"segments": "a-1 r1 0 1\na-2 r9 0 1\nb-1 r2 0.5 2\n"})
    expected = f"{validation.folder}/segments:2: 'a-2' is of recording 'r9', which is not in wav.scp; add the recording"
    assert message(validation, "unknown_recording").startswith(expected)
    assert "ids_differ" in found(validation)


def test_a_pipe_is_refused(check):
    validation = check("whole", {"wav.scp": "a-1 sph2pipe a.sph |\na-2 a/2.wav\nb-1 b.wav\n"})
    assert found(validation) == {"pipe"}
    expected = (
        f"{validation.folder}/wav.scp:1: 'sph2pipe a.sph |' is a pipe, not a file; convert the audio to files first"
    )
    assert message(validation, "pipe").startswith(expected)


def test_a_tilde_is_refused(check):
    validation = check("whole", {"wav.scp": "a-1 ~/a.wav\na-2 a/2.wav\nb-1 b.wav\n"})
    assert found(validation) == {"tilde"}


def test_segments_need_wav_scp(check):
    assert "missing_file" in found(check("cut", {"wav.scp": None}))


@pytest.mark.parametrize(
    "spk2utt",
    ["a a-1\nb b-1\n", "a a-1 a-2 b-1\nb b-1\n", "a a-1 a-2\nb b-1 b-2\n", "a a-1 a-2\nc b-1\n", "b a-1 a-2\na b-1\n"],
)
def test_spk2utt_is_the_inverse_of_utt2spk(check, spk2utt):
    validation = check("whole", {"spk2utt": spk2utt})
    assert "spk2utt_differs" in found(validation, Treatment.REJECT)
    assert "`python -m k2d data fix` repairs this" in message(validation, "spk2utt_differs")


def test_the_order_within_a_line_of_spk2utt_is_free(check):
    assert check("whole", {"spk2utt": "a a-2 a-1\nb b-1\n"}).report.counts == {}


def test_kaldi_gap_1_a_malformed_utt2spk_is_refused(check):
    validation = check("whole", {"utt2spk": "a-1 a\na-2 a extra\nb-1\n"})
    assert found(validation) == {"bad_value", "spk2utt_differs"}
    assert not validation.is_sound


def test_kaldi_gap_2_a_segment_from_minus_5_to_99999_is_refused(check):
    assert "bad_time" in found(check("cut", {"segments": "a-1 r1 -5 99999\na-2 r1 0 1\nb-1 r2 0.5 2\n"}))


def test_the_same_audio_under_two_ids_is_reported(check):
    validation = check("whole", {"wav.scp": "a-1 x.wav\na-2 y.wav\nb-1 x.wav\n"})
    assert found(validation, Treatment.WARN) == {"same_audio"}
    assert message(validation, "same_audio").endswith("wav.scp:3: 'b-1' has the same audio as 'a-1': x.wav")
    assert validation.is_sound


def test_warnings_do_not_make_a_directory_invalid(check):
    validation = check(
        "whole",
        {
            "text": "a-1 x\na-2\nb-1 y\n",
            "utt2spk": "a-1 z\na-2 y\nb-1 z\n",
            "spk2utt": "y a-2\nz a-1 b-1\n",
            "reco2file_and_channel": "a-1 f 1\na-2 f A\nb-1 f B\n",
        },
    )
    assert found(validation, Treatment.WARN) == {"empty_transcript", "speakers_unsorted", "channel_1"}
    assert validation.is_sound


def test_one_speaker_is_a_warning(check):
    validation = check("whole", {"utt2spk": "a-1 a\na-2 a\nb-1 a\n", "spk2utt": "a a-1 a-2 b-1\n"})
    assert found(validation, Treatment.WARN) == {"one_speaker"}


@pytest.mark.parametrize("stated", ["0.9", "2.6"])
def test_a_stated_duration_far_from_the_segments_is_a_bad_item(check, stated):
    validation = check("cut", {"utt2dur": f"a-1 {stated}\na-2 2.75\nb-1 1.9\n"})
    assert found(validation) == ({"stated_duration"})
    assert set(validation.bad[Key.UTTERANCE]) == {"a-1"}


def test_a_stated_duration_close_to_the_segments_is_fine(check):
    assert check("cut", {"utt2dur": "a-1 1.9\na-2 2.3\nb-1 1.9\n"}).report.counts == {}


def test_all_faults_are_reported_together_up_to_a_limit(check):
    lines = "".join(f"a-{i:03} r1 5 4\n" for i in range(500))
    validation = check("cut", {"segments": lines, "text": "a-1 \0\n../x y\n"})
    assert {"end_before_start", "control_character", "bad_id", "ids_differ"} <= found(validation)
    shown = [line for line in validation.report.lines() if "end_before_start" in line]
    assert len(shown) == 11
    assert shown[-1] == "error: … and 490 more of [end_before_start]"
    assert len(validation.bad[Key.UTTERANCE]) == 500


@pytest.mark.parametrize("names", list(itertools.combinations(["text", "utt2spk", "wav.scp", "spk2utt"], 2)))
def test_any_two_files_unreadable_at_once(check, names):
    validation = check("whole", dict.fromkeys(names, b"a \xff\n"))
    assert validation.report.counts[(Treatment.REJECT, "encoding")] == 2


def test_a_bad_id_never_touches_the_file_system(make_dir, tmp_path, contents):
    bad = "../escaped x\n$(touch${IFS}pwned) x\n"
    folder = make_dir("whole", {"text": bad, "utt2spk": bad, "wav.scp": bad, "spk2utt": bad})
    before = contents(tmp_path)
    assert "bad_id" in found(validate(folder, Checks(audio=AudioLevel.NONE)))
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_a_third_of_a_million_lines_in_bounded_memory(tmp_path):
    """The benchmark prints lines/s and the peak. This test checks only the memory, for sorted and shuffled lines.

    The limits are near the peaks (35 and 42 MB): an id kept for each utterance would exceed them.
    """
    script = PROJECT_ROOT / "tools" / "bench" / "validate_lines.py"
    command = [sys.executable, script, "--utterances", "83500"]  # four lines each
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.count("lines/s") == 2
    counts = [int(line.split(" lines")[0].split()[-1].replace(",", "")) for line in result.stdout.splitlines()[1:]]
    peaks = [int(line.split(" MB peak")[0].split()[-1]) for line in result.stdout.splitlines() if "peak" in line]
    assert len(peaks) == len(counts) == 2
    assert min(counts) > 333_000
    of_sorted, of_shuffled = peaks
    assert of_sorted < 40
    assert of_shuffled < 47


@pytest.mark.slow
def test_memory_does_not_grow_with_one_long_line_per_speaker(tmp_path):
    n = 100_000
    ids = [f"spk-{i:08}" for i in range(n)]
    (tmp_path / "wav.scp").write_text("".join(f"{key} {key}.wav\n" for key in ids))
    (tmp_path / "utt2spk").write_text("".join(f"{key} spk\n" for key in ids))
    (tmp_path / "spk2utt").write_text(f"spk {' '.join(ids)}\n")
    program = """
import sys
from pathlib import Path
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import AudioLevel, Checks
found = validate(Path(sys.argv[1]), Checks(audio=AudioLevel.NONE, need_text=False))
assert found.is_sound, found.report.lines()
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    environment = {"PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert int(result.stdout) / 1024 < 50, "35 MB, of which 20 are for the program itself"
