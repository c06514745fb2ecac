"""seame: the release and the published lists become four splits, and each dropped line is reported."""

import logging

import pytest
from made_seame import DEV_MAN, write, write_seame

from egs.seame.devsets import Listed, Tokens, count_tokens, match, read_set
from egs.seame.markup import words
from egs.seame.prepare import Options, prepare, speaker_of, utterance_id
from egs.seame.transcripts import Spoken
from k2d.core.errors import K2DError
from k2d.data.corpus import Corpus


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_seame(tmp_path_factory.mktemp("seame"))


@pytest.fixture
def raw(tmp_path):
    """A copy with short audio, which a test may damage."""
    return write_seame(tmp_path / "raw", lengths_s={})


@pytest.fixture(autouse=True)
def times(request, monkeypatch):
    """Keep the rows of the test sets with their times, without cutting the audio. `walk` cuts it."""
    if "walk" not in request.fixturenames:
        monkeypatch.setattr("egs.seame.prepare.cut_out", lambda rows, store, nj: rows)


def rows_of(root, **options):
    """The rows by split and id."""
    rows = {}
    for split, row in prepare(root, Options(**options), 1, root / "store"):
        assert row.id not in rows
        rows[row.id] = (split, row)
    return rows


@pytest.mark.slow
def test_lines_of_listed_recordings_become_utterances_with_times_and_language(whole):
    rows = rows_of(whole)
    split, row = rows["nc01f-01nc01fbx_0101-00046-00120"]
    assert split in ("train", "valid")
    assert (row.speaker, row.recording_id, row.text) == ("nc01f", "01nc01fbx_0101", "okay 哎 你好 lah")
    assert (row.start_s, row.end_s, row.language) == (0.46, 1.2, "mixed")
    assert row.audio.endswith("conversation/audio/01NC01FBX_0101.flac")
    assert rows["nc01f-01nc01fbx_0101-00120-00400"][1].text == "so I Orchard then"
    _, late = rows["ni01m-ni01max_0101-100025-100175"]
    assert (late.start_s, late.end_s, late.text, late.speaker) == (1000.249, 1001.751, "去 market", "ni01m")


@pytest.mark.slow
def test_a_twentieth_is_held_out_always_the_same_one(whole):
    rows = rows_of(whole)
    valid = [key for key, (split, _) in rows.items() if split == "valid"]
    assert 0 < len(valid) < 12  # of 63
    assert valid == [key for key, (split, _) in rows_of(whole, references="release").items() if split == "valid"]


@pytest.mark.slow
def test_the_test_sets_have_the_published_ids_times_and_words(whole):
    rows = {key: row for key, (split, row) in rows_of(whole).items() if split == "devman"}
    assert list(rows) == list(DEV_MAN)
    row = rows["nc12m-06nc12may_0101-00459-00718"]
    assert (row.speaker, row.start_s, row.end_s) == ("nc12m", 4.6, 7.18)
    assert row.text == "okay 好 你 介 绍 先 啦"
    assert row.language == "mixed"


@pytest.mark.slow
def test_words_and_times_of_the_release_have_the_same_ids(whole):
    published, release = rows_of(whole), rows_of(whole, references="release")
    assert published.keys() == release.keys()
    for key, (split, row) in release.items():
        theirs = published[key][1]
        assert theirs.text.replace(" ", "") == row.text.replace(" ", "")
        assert abs(theirs.start_s - row.start_s) < 0.03
        assert abs(theirs.end_s - row.end_s) < 0.03
        assert published[key][0] == split
    assert release["nc12m-06nc12may_0101-00459-00718"][1].start_s == 4.596


@pytest.mark.slow
def test_both_phases_give_the_same_utterances_if_both_have_them(whole):
    first, second = rows_of(whole, phase="phaseI"), rows_of(whole, phase="phaseII")
    assert set(first) < set(second)
    for key, (_, row) in first.items():
        theirs = second[key][1]
        assert (row.start_s, row.end_s, row.speaker, row.audio) == (
            theirs.start_s,
            theirs.end_s,
            theirs.speaker,
            theirs.audio,
        )
        assert row.language in ("zh", "en", "mixed")


@pytest.mark.slow
def test_dropped_lines_are_reported(whole, caplog):
    caplog.set_level(logging.INFO, logger="k2d")
    rows_of(whole)
    train = next(message for message in caplog.messages if message.startswith("seame/train"))
    assert "in 70 transcript lines = kept 63 + " in train
    assert "no_words 1 (such as " in train
    assert "01NC01FBX_0101.txt:3)" in train
    assert "not_in_the_lists 1" in train
    assert "of_the_test_recordings 4" in train
    assert "too_short 1" in train
    assert "seame/devman: in 2 published utterances = kept 2" in caplog.messages
    assert "seame/devman: 2 of 2 are in the release's transcripts" in caplog.messages
    warning = "seame/devman: found 11 Han, 3 English, 1 noise tags; the published set has 71806, 24450 and 482"
    assert warning in caplog.messages


@pytest.mark.slow
def test_lines_without_a_transcript_are_counted(whole, caplog):
    caplog.set_level(logging.INFO, logger="k2d")
    rows_of(whole, phase="phaseI")
    assert any("not_transcribed 1 (such as " in message for message in caplog.messages)


def test_a_listed_recording_that_is_missing_is_named(raw, caplog):
    (raw / "LDC2015S04/seame/data/interview/transcript/phaseII/NI01MAX_0101.txt").unlink()
    (raw / "LDC2015S04/seame/data/interview/audio/NI06FBP_0101.flac").unlink()
    rows = rows_of(raw)
    assert "seame: 1 listed recordings have no line in phaseII: ni01max_0101" in caplog.messages
    assert rows["ni06f-ni06fbp_0101-00200-00400"][1].audio == str(raw / "ni06fbp_0101.flac")  # for stage 1 to reject


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("X\t1\t2", None),
        ("X\t1\t2\tCS", None),
        ("X 1 2 CS no tabs", "found 1 columns, expected recording, start, end, language, text"),
        ("X\t1\t2\tCS\ta\tb", "found 6 columns"),
        ("X\t1.5\t2\tCS\ta", "found the times '1.5' and '2', expected whole milliseconds"),
        ("X\t1\t2\tFR\ta", "found the language 'FR', expected one of CS, ZH, EN"),
        ("06NC12MAY_0101\t1621\t4596\tCS\tagain", "found the same stretch of 06nc12may_0101 again (first in "),
    ],
)
@pytest.mark.slow
def test_a_wrong_line_is_named(raw, line, message):
    path = raw / "LDC2015S04/seame/data/conversation/transcript/phaseII/06NC12MAY_0101.txt"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    if message is None:
        assert rows_of(raw)
        return
    with pytest.raises(K2DError) as caught:
        rows_of(raw)
    assert f"06NC12MAY_0101.txt:4: {message}" in str(caught.value)
    assert "compare the line with the release" in str(caught.value)


def test_the_path_of_a_missing_file_is_named(raw, tmp_path):
    (raw / "SEAME-dev-set").rename(tmp_path / "elsewhere")
    with pytest.raises(K2DError, match=r"found nothing as \*\*/train/wav_file.txt.*SEAME-dev-set: clone it into this"):
        rows_of(raw)
    (tmp_path / "elsewhere").rename(raw / "SEAME-dev-set")
    (raw / "LDC2015S04/seame/data/interview/audio").rename(tmp_path / "audio")
    with pytest.raises(K2DError, match=r"found nothing as \*\*/interview/audio, expected one place with LDC2015S04"):
        rows_of(raw)


def test_lists_that_disagree_are_refused(raw):
    segments = raw / "SEAME-dev-set/dev_man/segments"
    lines = segments.read_text(encoding="utf-8").splitlines()
    write(segments, lines[:1])
    with pytest.raises(K2DError, match="found 1 ids in one of text and segments alone, such as nc12m"):
        rows_of(raw)
    write(segments, [lines[0], lines[1].replace("4.60 7.18", "4.60")])
    with pytest.raises(K2DError, match=r"segments:2: found '06nc12may_0101 4.60', expected a recording, its start"):
        rows_of(raw)
    write(segments, lines)
    write(raw / "SEAME-dev-set/train/wav_file.txt", ["./seame/a/06nc12may_0101.wav"])
    with pytest.raises(K2DError, match="06nc12may_0101 are listed for training and for a test"):
        rows_of(raw)


def test_times_match_within_three_hundredths_and_the_closest_is_chosen():
    listed = Listed("s-r-00459-00718", "r", 4.60, 7.18, "")

    def line(start_ms, end_ms):
        return Spoken("r", start_ms, end_ms, "", None, f"t:{start_ms}")

    def found(*lines):
        return next(spoken for _, spoken in match([listed], {"r": lines}))

    assert found(line(4571, 7209)).start_ms == 4571  # 29 ms at either end
    assert found(line(4570, 7180)) is None
    assert found(line(4600, 7210)) is None
    assert found(line(4575, 7180), line(4605, 7180), line(9000, 9100)).start_ms == 4605
    assert found() is None


@pytest.mark.parametrize(
    ("raw_text", "message"),
    [
        ("(ppl) 我 (PPC)去<v-noise><noise>", "我 去"),
        ("[oh] 这个 #company# ~name~ 100%", "oh 这个 company name 100"),
        ("<unk> apple <UNK malay> pply ppl", "apple pply"),
        ("我想（吃） [e h] wh- don't, 好。", "我想 吃 e h wh- don't, 好。"),
        ("<v-noise>", ""),
        ("o\x00kay \x8d好", "okay 好"),
    ],
)
def test_markup_is_removed_and_words_stay(raw_text, message):
    assert words(raw_text) == message


def test_names_of_speakers_and_utterances():
    assert [speaker_of(name) for name in ("06nc12may_0101", "ui03faz_0102", "ni01max_0101")] == [
        "nc12m",
        "ui03f",
        "ni01m",
    ]
    assert utterance_id("ni01max_0101", 4994, 999_994) == "ni01m-ni01max_0101-00499-99999"
    assert utterance_id("ni01max_0101", 4995, 999_995) == "ni01m-ni01max_0101-00500-100000"


def test_tokens_are_counted_as_in_the_publication(tmp_path):
    """Noise tags count separately, and digits in a word as English: so dev_man is 71,806 + 24,450 + 482."""
    texts = ["okay 哎 文 平 <v-noise>", "a b 这 <v-noise> l4d2"]
    assert count_tokens(texts) == Tokens(han=4, english=4, noise=2)
    assert sum(count_tokens(texts)[1:]) == 6  # what others call English words: the tags are counted with them


def test_the_card_has_the_published_counts():
    expected = Corpus("seame").expected(Options())
    assert (expected["devman"].utterances, expected["devman"].hours) == (6531, 7.486)
    assert (expected["devsge"].utterances, expected["devsge"].hours) == (5321, 3.931)
    assert set(expected) == {"train", "valid", "devman", "devsge"}


@pytest.mark.slow
def test_a_set_reads_back_whole(whole):
    assert [utterance.speaker for utterance in read_set(whole / "SEAME-dev-set/dev_man")] == ["nc12m", "nc12m"]


@pytest.mark.slow
def test_its_stages_run_up_to_the_report(walk, tmp_path):
    """One line of training begins after the end of this small recording, so it is reported and rejected."""
    root = write_seame(tmp_path, lengths_s={"NI01MAX_0101": 42.0})
    data = walk("seame", root, ["devman", "devsge"])
    first, second = DEV_MAN
    assert (data / "devman/reco2style").read_text() == f"{first} conversation\n{second} conversation\n"
    assert (data / "devman/reco2recording").read_text() == f"{first} 06nc12may_0101\n{second} 06nc12may_0101\n"
    assert (data / "devman/utt2dur").read_text() == f"{first} 2.98\n{second} 2.58\n"
    assert not (data / "devman/segments").exists()
    assert (data / "train/segments").exists()
    assert not (data / "valid/segments").exists()
    assert "segment_beyond_end" in (data / "train/rejected.jsonl").read_text()
