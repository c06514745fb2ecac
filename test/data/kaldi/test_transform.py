"""fix, subset, combine, copy."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.core.errors import K2DError, UsageError
from k2d.data.kaldi.combine import Prefixes, combine, copy
from k2d.data.kaldi.datadir import InvalidData, read_utterances
from k2d.data.kaldi.datadir_writer import write_datadir
from k2d.data.kaldi.fix import fix
from k2d.data.kaldi.subset import By, subset, subset_of_ids
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import AudioLevel, Checks
from k2d.data.rows import Utterance

NO_AUDIO = Checks(audio=AudioLevel.NONE)


def read(folder, name):
    return (folder / name).read_text(encoding="utf-8")


def rejected(folder):
    return {row["id"]: row["reason"] for row in map(json.loads, read(folder, "rejected.jsonl").splitlines())}


def test_fix_keeps_ids_that_all_files_have_and_reports_the_others(make_dir, contents):
    folder = make_dir(
        "cut",
        {
            "segments": "b-1 r2 0.5 2\na-1 r1 0.00 1.50\na-2 r1 1.50 10.25\na-3 r9 0 1\na-4 r1 5 4\na-5 r1 3 99\n",
            "text": "\ufeffb-1 yes\r\na-2 good\na-1  你好\na-3 x\na-4 y\na-5 z\nc-1 no audio\n",
            "utt2spk": "a-1 a\na-2 a\na-3 a\na-4 a\na-5 a\nb-1 b\n",
            "spk2utt": None,
            "spk2gender": "a f\n",
        },
    )
    before = contents(folder)
    fixed = fix(folder, NO_AUDIO)
    assert fixed.n_kept == 2
    assert fixed.dropped == {
        "unknown_recording": 1,
        "end_before_start": 1,
        "segment_beyond_end": 1,
        "not_in_spk2gender": 1,
        "not_in_segments": 1,
    }
    assert fixed.n_in == 7
    assert read(folder, "segments") == "a-1 r1 0.00 1.50\na-2 r1 1.50 10.0\n"
    assert read(folder, "text") == "a-1 你好\na-2 good\n"
    assert read(folder, "spk2utt") == "a a-1 a-2\n"
    assert read(folder, "wav.scp") == "r1 lecture 1.flac\n"
    assert read(folder, "reco2dur") == "r1 10.0\n"
    assert rejected(folder) == {
        "a-3": "unknown_recording",
        "a-4": "end_before_start",
        "a-5": "segment_beyond_end",
        "b-1": "not_in_spk2gender",
        "c-1": "not_in_segments",
    }
    assert (folder / ".backup" / "text").read_bytes() == before["text"]
    assert validate(folder, NO_AUDIO).is_sound
    assert fixed.summary().startswith(
        f"{folder}: in 7 = kept 2 + end_before_start 1 + not_in_segments 1 + not_in_spk2gender 1 + "
    )


def test_fixing_twice_equals_fixing_once(make_dir, contents):
    folder = make_dir("cut", {"text": "b-1 yes\r\na-1 x\n", "spk2utt": "a a-1\n"})
    fix(folder, NO_AUDIO)
    once = contents(folder)
    again = fix(folder, NO_AUDIO)
    assert contents(folder) == once
    assert again.changed == []
    assert again.summary() == f"{folder}: in 2 = kept 2; nothing to change"


def test_a_good_directory_is_not_changed(make_dir, contents):
    folder = make_dir("whole", {"README": "notes\n"})
    before = contents(folder)
    assert fix(folder, NO_AUDIO).changed == []
    assert contents(folder) == before


def test_rejected_items_of_an_earlier_fix_stay_recorded(make_dir):
    folder = make_dir("whole", {"text": "a-1 x\nb-1 y\n"})
    fix(folder, NO_AUDIO)
    (folder / "utt2dur").write_text("a-1 1\n")
    fix(folder, NO_AUDIO)
    assert rejected(folder) == {"a-2": "not_in_text", "b-1": "not_in_utt2dur"}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"text": b"a-1 \xff\n"}, "invalid UTF-8"),
        ({"text": "a-1 x\na-1 y\na-2 z\nb-1 w\n"}, "occurs more than once"),
        ({"text": "a-1 x\0\na-2 z\nb-1 w\n"}, "control character"),
        ({"wav.scp": "a-1 cat |\na-2 x\nb-1 y\n"}, "is a pipe"),
        ({"utt2spk": None}, "the file is missing"),
    ],
)
def test_fix_refuses_faults_that_only_a_person_can_correct(make_dir, contents, files, fault):
    folder = make_dir("whole", files)
    before = contents(folder)
    with pytest.raises(InvalidData, match=fault):
        fix(folder, NO_AUDIO)
    assert contents(folder) == before


def test_fix_refuses_an_empty_result(make_dir, contents):
    folder = make_dir("whole", {"text": "x-1 x\n"})
    before = contents(folder)
    with pytest.raises(K2DError, match=r"in 4 = kept 0 .*no utterance would remain, so nothing was changed"):
        fix(folder, NO_AUDIO)
    assert contents(folder) == before


def test_fix_merges_lines_that_are_the_same(make_dir):
    folder = make_dir("whole", {"text": "a-1 x\na-2 y\na-1 x\nb-1 z\n"})
    assert fix(folder, NO_AUDIO).n_kept == 3
    assert read(folder, "text") == "a-1 x\na-2 y\nb-1 z\n"


@pytest.mark.parametrize("n_replaced", range(6))
def test_a_fix_that_was_killed_is_finished_by_the_next(make_dir, contents, monkeypatch, n_replaced):
    files = {"text": "b-1 yes\r\na-1 x\n", "spk2utt": None, "segments": "b-1 r2 0.5 2\na-2 r9 1 2\na-1 r1 0 1\n"}
    undisturbed, killed = make_dir("cut", files, "undisturbed"), make_dir("cut", files, "killed")
    fix(undisturbed, NO_AUDIO)
    replace, left = Path.replace, iter(range(n_replaced))

    def replace_until_killed(path, target):
        if target.parent == killed and next(left, None) is None:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_until_killed)
    with contextlib.suppress(KeyboardInterrupt):
        fix(killed, NO_AUDIO)
    monkeypatch.undo()
    fix(killed, NO_AUDIO)

    def tables(folder):
        return {name: text for name, text in contents(folder).items() if name[0] != "." and name != "rejected.jsonl"}

    assert tables(killed) == tables(undisturbed)
    assert rejected(killed) == rejected(undisturbed)


def rows(n, spoken=lambda i: f"s{i % 3}"):
    return [
        Utterance(
            f"{spoken(i)}-u{i:02}", f"r{i % 2}", f"r{i % 2}.wav", spoken(i), f"word {i}", i, i + (i * 7 % 5 + 1) / 10
        )
        for i in range(n)
    ]


@pytest.fixture
def twelve(tmp_path):
    """12 utterances of 3 speakers in 2 recordings."""
    write_datadir(tmp_path / "twelve", rows(12), durations_s=[("r0", 20.0), ("r1", 20.0)])
    return tmp_path / "twelve"


def ids(folder):
    return [row.id for row in read_utterances(folder)]


@pytest.mark.parametrize(
    ("by", "n", "expected"),
    [
        (By.FIRST, 2, ["s0-u00", "s0-u03"]),
        (By.LAST, 2, ["s2-u08", "s2-u11"]),
        (By.EVEN, 3, ["s0-u00", "s1-u01", "s2-u02"]),
        (By.SHORTEST, 3, ["s0-u00", "s1-u10", "s2-u05"]),  # i * 7 % 5 is 0 for 0, 5 and 10
        (By.PER_SPEAKER, 1, ["s0-u00", "s1-u01", "s2-u02"]),
    ],
)
def test_subsets(twelve, tmp_path, by, n, expected):
    made = subset(twelve, tmp_path / "part", n, by)
    assert ids(tmp_path / "part") == expected
    assert (made.n_kept, made.n_in) == (len(expected), 12)
    assert validate(tmp_path / "part", NO_AUDIO).is_sound


def test_a_subset_by_speakers_has_all_of_each(twelve, tmp_path):
    assert subset(twelve, tmp_path / "part", 5, By.SPEAKERS).n_kept == 8
    speakers = [row.speaker for row in read_utterances(tmp_path / "part")]
    assert sorted(speakers.count(speaker) for speaker in set(speakers)) == [4, 4]


def test_a_subset_has_only_its_own_recordings_and_speakers(twelve, tmp_path):
    subset(twelve, tmp_path / "part", 1, By.FIRST)
    assert read(tmp_path / "part", "wav.scp") == "r0 r0.wav\n"
    assert read(tmp_path / "part", "reco2dur") == "r0 20.0\n"
    assert read(tmp_path / "part", "spk2utt") == "s0 s0-u00\n"


def test_subsets_of_lists(twelve, tmp_path):
    made = subset_of_ids(twelve, tmp_path / "utts", ["s2-u11", "nobody", "s0-u03", "s0-u03"])
    assert (ids(tmp_path / "utts"), made.n_unknown) == (["s0-u03", "s2-u11"], 1)
    made = subset_of_ids(twelve, tmp_path / "spks", ["s2", "nobody"], of_speakers=True)
    assert ids(tmp_path / "spks") == ["s2-u02", "s2-u05", "s2-u08", "s2-u11"]
    assert made.n_unknown == 1


def test_impossible_subsets_are_refused(twelve, tmp_path, make_dir):
    with pytest.raises(UsageError, match="has 12 utterances; expected at least 13 for this subset"):
        subset(twelve, tmp_path / "part", 13)
    with pytest.raises(UsageError, match="at least 1 utterance, found 0"):
        subset(twelve, tmp_path / "part", 0)
    with pytest.raises(K2DError, match="no utterance was chosen"):
        subset_of_ids(twelve, tmp_path / "part", ["nobody"])
    with pytest.raises(UsageError, match="is both the source and the destination"):
        subset(twelve, twelve, 3, force=True)
    with pytest.raises(K2DError, match="--shortest needs segments, utt2dur or utt2num_frames"):
        subset(make_dir("whole", {"utt2dur": None}), tmp_path / "part", 1, By.SHORTEST)
    with pytest.raises(InvalidData, match="spk2utt: the file is missing"):
        subset(make_dir("whole", {"spk2utt": None}, "bad"), tmp_path / "part", 1)
    assert not (tmp_path / "part").exists()


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 20), st.data())
@pytest.mark.slow
def test_the_parts_combined_are_the_whole(tmp_path_factory, n, data):
    folder = tmp_path_factory.mktemp("parts")
    write_datadir(folder / "whole", rows(n), durations_s=[("r0", 20.0), ("r1", 20.0)])
    every = ids(folder / "whole")
    chosen = data.draw(st.sets(st.sampled_from(every), min_size=1, max_size=n - 1))
    subset_of_ids(folder / "whole", folder / "a", chosen)
    subset_of_ids(folder / "whole", folder / "b", set(every) - chosen)
    made = combine(folder / "again", [folder / "b", folder / "a"])
    assert made.n_utterances == n
    names = {path.name for path in (folder / "whole").iterdir()}
    assert {path.name for path in (folder / "again").iterdir()} == names
    assert [name for name in names if read(folder / "again", name) != read(folder / "whole", name)] == []


def test_combining_names_the_files_that_it_drops(make_dir, tmp_path):
    one = make_dir("whole", {"utt2lang": "a-1 zh\na-2 zh\nb-1 zh\n", "notes": "x\n"}, "one")
    other = make_dir("whole", {}, "other")
    made = combine(tmp_path / "both", [one, other])
    assert made.notes == (
        f"left out: utt2lang, which is missing in {other}",
        f"not copied: {one}/notes, which is not a table of a data directory",
    )
    assert not (tmp_path / "both" / "utt2lang").exists()


def test_combining_refuses_one_id_with_two_values(make_dir, tmp_path):
    one = make_dir("whole", {}, "one")
    other = make_dir("whole", {"text": "a-1 different\na-2 good 早上\nb-1 yes\n"}, "other")
    with pytest.raises(InvalidData, match="'a-1' has different values: 'different' and '你好 world'"):
        combine(tmp_path / "both", [one, other])
    assert not (tmp_path / "both").exists()


def test_combining_refuses_segments_in_some_sources_only(make_dir, tmp_path):
    sources = [make_dir("whole", {}, "one"), make_dir("cut", {}, "other")]
    with pytest.raises(K2DError, match=r"segments are missing in .*one; expected them in all sources or in none"):
        combine(tmp_path / "both", sources)


def test_a_copy_with_prefixes(make_dir, tmp_path):
    folder = make_dir("cut", {"spk2gender": "a m\nb f\n"})
    copy(folder, tmp_path / "copy", Prefixes(utterance="X-", speaker="Y-", recording="Z-"))
    copied = tmp_path / "copy"
    assert read(copied, "segments") == "X-a-1 Z-r1 0.00 1.50\nX-a-2 Z-r1 1.50 4.25\nX-b-1 Z-r2 0.5 2\n"
    assert read(copied, "wav.scp") == "Z-r1 lecture 1.flac\nZ-r2 lecture2.flac\n"
    assert read(copied, "utt2spk") == "X-a-1 Y-a\nX-a-2 Y-a\nX-b-1 Y-b\n"
    assert read(copied, "spk2utt") == "Y-a X-a-1 X-a-2\nY-b X-b-1\n"
    assert read(copied, "spk2gender") == "Y-a m\nY-b f\n"
    assert read(copied, "utt2uniq") == "X-a-1 a-1\nX-a-2 a-2\nX-b-1 b-1\n"
    assert validate(copied, NO_AUDIO).is_sound


def test_without_segments_the_recordings_take_the_prefix_of_the_utterances(make_dir, tmp_path):
    copy(make_dir("whole"), tmp_path / "copy", Prefixes(utterance="X-"))
    assert read(tmp_path / "copy", "wav.scp") == "X-a-1 a/1.wav\nX-a-2 a/2.wav\nX-b-1 b/1.wav\n"
    with pytest.raises(UsageError, match="its recordings take the prefix of the utterances"):
        copy(tmp_path / "data", tmp_path / "other", Prefixes(recording="Z-"))


@pytest.mark.parametrize("prefix", ["../", "-", "a b", "x" * 254])
def test_a_prefix_keeps_to_the_grammar_of_ids(make_dir, tmp_path, prefix):
    with pytest.raises(UsageError, match="the prefix makes the id"):
        copy(make_dir("whole"), tmp_path / "copy", Prefixes(utterance=prefix))
    assert not (tmp_path / "copy").exists()


def test_without_prefixes_a_copy_is_the_same(make_dir, tmp_path, contents):
    folder = make_dir("cut")
    copy(folder, tmp_path / "copy", Prefixes())
    assert contents(tmp_path / "copy") == contents(folder)
