"""Reading and joining by id: missing hypotheses are kept, and additional or broken ones are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.core.errors import K2DError
from k2d.score.pairing import Spoken, Texts, grouping, joined, whole_recordings
from k2d.score.text_files import read_references, read_texts


def data_directory(folder, segments, texts, speakers=None):
    """A data directory of recordings r1 and r2 with `segments` {id: "r1 0.5 2"}, or without if they are None."""
    folder.mkdir(parents=True)
    recordings = sorted({value.split()[0] for value in segments.values()}) if segments else sorted(texts)
    tables = {
        "wav.scp": {key: f"audio/{key}.wav" for key in recordings},
        "reco2dur": dict.fromkeys(recordings, "10.0"),
        "text": texts,
        "utt2spk": speakers or dict.fromkeys(texts, "spk"),
        **({"segments": segments} if segments else {}),
    }
    for name, rows in tables.items():
        (folder / name).write_text("".join(f"{key} {rows[key]}\n" for key in sorted(rows)), encoding="utf-8")
    return folder / "text"


def hypotheses(path, **rows):
    return Texts(path, rows, ())


# --- reading: faults are reported with their place (reliability 3, 5 to 8, 10, and an empty file) ---


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u1 a\nu2 b\nu1 c\n", r"text:3: the id 'u1' occurs more than once .* \(lines 1, 3\); keep one of the lines"),
        (b"u1 a\nu2 b\xff\n", r"invalid UTF-8 at byte offset 9 \(0xff\); save it as UTF-8"),
        ("u1 好\n".encode("utf-16"), "the file is UTF-16, not UTF-8"),
        (b"u1 a\x00b\n", r"text:1: control character U\+0000 after the id; remove it"),
        (b"u1 a\x07\n", r"control character U\+0007"),
        (b"", "the file is empty; write it again or delete it"),
        (b"../u1 a\n", r"the utterance id '../u1' contains '/'"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(tmp_path, content, message):
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(K2DError, match=message):
        read_texts(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(K2DError, match="hyp/text: cannot be read: No such file"):
        read_texts(tmp_path / "hyp" / "text")


def test_a_space_at_the_end_of_lines_is_reported(tmp_path):
    path = tmp_path / "text"
    path.write_text("".join(f"u{n:02} 好 \n" for n in range(40)), encoding="utf-8")
    (message,) = read_texts(path).normalised
    assert message == f"normalised 40 × [space_at_end], first {path}:1: white space at the end of the line"


def test_cr_bom_and_disorder_are_normalised_and_counted(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("\ufeffu2 b\r\nu1  a\r\nu3\r\n".encode())
    found = read_texts(path)
    assert dict(found.rows) == {"u1": "a", "u2": "b", "u3": ""}
    message = "\n".join(found.normalised)
    for part in ("normalised 1 × [bom]", "normalised 3 × [crlf]", "normalised 1 × [unsorted]"):
        assert part in message


def test_a_million_characters_in_one_utterance(tmp_path):
    path = tmp_path / "text"
    path.write_text(f"u1 {'好 ok ' * 200_000}\n", encoding="utf-8")
    assert len(read_texts(path).rows["u1"]) == 999_999


# --- references and what is known of them ---


def test_a_text_without_a_data_directory_has_only_words(texts):
    assert read_references(read_texts(texts("ref", "u1 好", "u2"))) == [Spoken("u1", "好"), Spoken("u2", "")]


def test_a_data_directory_has_recordings_speakers_and_durations(tmp_path):
    path = data_directory(
        tmp_path / "d", {"u1": "r1 0.5 2", "u2": "r2 1 4"}, {"u1": "好", "u2": "ok"}, {"u1": "spkA", "u2": "spkB"}
    )
    assert read_references(read_texts(path)) == [
        Spoken("u1", "好", "r1", "spkA", 0.5, 1.5),
        Spoken("u2", "ok", "r2", "spkB", 1.0, 3.0),
    ]


def test_a_faulty_data_directory_is_refused(tmp_path):
    path = data_directory(tmp_path / "d", {"u1": "r1 0.5 2"}, {"u1": "好"})
    (path.parent / "segments").write_text("u1 r1 0,5 2\n")
    with pytest.raises(K2DError, match="the start time is '0,5'"):
        read_references(read_texts(path))


def test_tables_that_do_not_fit_the_text_are_refused(tmp_path):
    path = data_directory(tmp_path / "d", {"u1": "r1 0.5 2"}, {"u1": "好"})
    (path.parent / "utt2spk").write_text("u2 spk\n")
    with pytest.raises(K2DError, match="d: 1 ids are in text but not in utt2spk: u1; `python -m k2d data fix`"):
        read_references(read_texts(path))
    (path.parent / "utt2spk").unlink()
    (path.parent / "segments").write_text("u1 r1 2 0.5\n")
    with pytest.raises(K2DError, match=r"segments: 'u1' ends at 0.5 s, not after its start"):
        read_references(read_texts(path))


def test_the_audio_may_be_missing(tmp_path):
    path = data_directory(tmp_path / "d", None, {"u1": "好"})
    (path.parent / "wav.scp").write_text("u1 sph2pipe -f wav /elsewhere/u1.sph |\n")
    assert read_references(read_texts(path)) == [Spoken("u1", "好", speaker="spk", duration_s=10.0)]


def test_utterances_of_a_recording_are_joined_in_order_of_time(tmp_path):
    segments = {"a": "r1 6 8", "b": "r1 0.5 2", "c": "r2 0 1"}
    path = data_directory(tmp_path / "d", segments, {"a": "後", "b": "先", "c": "別"})
    assert whole_recordings(read_references(read_texts(path))) == [
        Spoken("r1", "先 後", "r1", "spk", duration_s=8.0),
        Spoken("r2", "別", "r2", "spk", duration_s=1.0),
    ]


# --- joining ---


def test_a_missing_hypothesis_is_kept_and_differs_from_an_empty_one(tmp_path):
    found = joined([Spoken("u1", "好"), Spoken("u2", "ok")], hypotheses(tmp_path, u2=""), "ref")
    assert [(pair.id, pair.hypothesis) for pair in found.pairs] == [("u1", None), ("u2", "")]


def test_an_extra_hypothesis_is_an_error_that_names_it(tmp_path):
    extra = {f"x{n}": "" for n in range(7)}
    with pytest.raises(
        K2DError, match=r"7 of 8 ids are not in the reference data/ref: x0, x1, x2, x3, x4, … \(the ref"
    ):
        joined([Spoken("u1", "好")], hypotheses(tmp_path, u1="好", **extra), "data/ref")


def test_hypotheses_of_whole_recordings_are_compared_with_whole_references(tmp_path):
    path = data_directory(
        tmp_path / "d", {"u1": "r1 5 6", "u2": "r1 0 1", "u3": "r2 0 1"}, {"u1": "b", "u2": "a", "u3": "c"}
    )
    found = joined(read_references(read_texts(path)), hypotheses(tmp_path, r1="a b"), "ref")
    assert [(pair.id, pair.reference, pair.hypothesis) for pair in found.pairs] == [
        ("r1", "a b", "a b"),
        ("r2", "c", None),
    ]
    assert (found.unit, found.over) == ("recordings", "2 recordings")


def test_hypotheses_of_both_sorts_are_refused(tmp_path):
    path = data_directory(tmp_path / "d", {"u1": "r1 5 6", "u2": "r1 0 1"}, {"u1": "b", "u2": "a"})
    with pytest.raises(K2DError, match="1 of 2 ids are not in the reference ref: r1"):
        joined(read_references(read_texts(path)), hypotheses(tmp_path, r1="a", u1="b"), "ref")


# --- what the bootstrap draws ---


@pytest.mark.parametrize(
    ("rows", "over", "groups"),
    [
        ([("a", "r1", "s1"), ("b", "r2", "s1"), ("c", "r2", "s2")], "2 recordings", ["r1", "r2", "r2"]),
        ([("a", None, "s1"), ("b", None, "s2"), ("c", None, "s2")], "2 speakers", ["s1", "s2", "s2"]),
        ([("a", "r1", "s1"), ("b", "r1", "s2"), ("c", "r1", "s2")], "2 speakers", ["s1", "s2", "s2"]),
        ([("a", None, "a"), ("b", None, "b")], "2 utterances (rec", ["block 1", "block 2"]),  # a speaker per clip
    ],
)
def test_recordings_then_speakers_are_drawn(rows, over, groups):
    found = grouping([Spoken(key, "", recording, speaker) for key, recording, speaker in rows], "utterances")
    assert found[0].startswith(over)
    assert found[1] == groups


def test_without_either_neighbours_are_drawn_together():
    over, groups = grouping([Spoken(f"u{n:03}", "") for n in range(105)], "utterances")
    assert over.startswith("11 blocks of 10 utterances (recordings and speakers are not known")
    assert groups.count("block 1") == 10
    assert groups.count("block 11") == 5


@given(st.permutations(["u1", "u2", "u3", "u4"]), st.permutations(["u1", "u2", "u3"]))
def test_the_order_of_ids_does_not_matter(references, recognised):
    spoken = [Spoken(key, f"text {key}") for key in references]
    found = joined(spoken, Texts(None, {key: key for key in recognised}, ()), "ref")
    assert [pair.id for pair in found.pairs] == ["u1", "u2", "u3", "u4"]
    assert [pair.hypothesis for pair in found.pairs] == ["u1", "u2", "u3", None]
