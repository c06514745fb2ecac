"""The text of egs/mini. It is planned without synthesis, so the whole preset is tested here."""

import re
from collections import Counter, defaultdict

import pytest

from egs.mini.options import Options
from egs.mini.plan import DEVELOPMENT, TEST, TRAINING, plan
from egs.mini.sentences import expected_s, language
from egs.mini.texts import Texts, english_words
from egs.mini.units import Line, Unit
from egs.mini.voices import ALLOTMENTS
from egs.mini.words import COURSES, FOLDER, SLOT, UNSEEN_COURSE, read_deck, read_grammar
from k2d.core.errors import K2DError

HAN = re.compile(r"[\u4e00-\u9fff]")
WORD = re.compile(r"[A-Za-z]+")


@pytest.fixture(scope="module")
def units() -> list[Unit]:
    return plan(Options())


@pytest.fixture(scope="module")
def lines(units: list[Unit]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = defaultdict(list)
    for unit in units:
        for recording in unit.recordings:
            found[unit.split] += recording.lines
    assert set(found) == {*TEST, *DEVELOPMENT, *TRAINING}
    return found


def texts(lines: dict[str, list[Line]], *splits: str) -> list[str]:
    return [line.text for split in splits for line in lines[split]]


def is_random(text: str) -> bool:
    """Whether a text has only words of the decks, unlike sentences."""
    han = "|".join(sorted(read_deck("mandarin"), key=len, reverse=True))
    return all(re.fullmatch(f"(?:{han})+", w) or w in english_words() for w in text.split())


@pytest.mark.slow
def test_there_are_enough_characters_words_and_acronyms(lines):
    everything = " ".join(texts(lines, *lines))
    pool = " ".join(texts(lines, "pool"))
    assert len(set(HAN.findall(everything))) >= 400
    assert len(set(WORD.findall(pool))) >= 200
    assert len({w for w in WORD.findall(pool) if len(w) > 1 and w.isupper()}) >= 15


@pytest.mark.slow
def test_every_character_and_letter_occurs_often_in_the_pool(lines):
    pool = Counter("".join(texts(lines, "pool")))
    for split in lines:
        assert not set("".join(texts(lines, split))) - pool.keys() - {" "}, split
    rare = {c: n for c, n in pool.items() if HAN.match(c) and n < 8}
    assert not rare


def test_text_contains_exactly_the_spoken_words(lines):
    for text in texts(lines, *lines):
        assert re.fullmatch(r"(?:[\u4e00-\u9fff]+|[A-Za-z]+)(?: (?:[\u4e00-\u9fff]+|[A-Za-z]+))*", text), text


@pytest.mark.slow
def test_half_of_the_pool_is_random_words(lines):
    share = sum(map(is_random, texts(lines, "pool"))) / len(lines["pool"])
    assert share == pytest.approx(0.5, abs=0.02)  # a short sentence may happen to consist of deck words
    none = plan(Options(pool=40, random_share=0.0))
    assert not any(
        is_random(line.text) for u in none if u.split == "pool" for r in u.recordings for line in r.lines[:1]
    )


@pytest.mark.slow
def test_random_words_use_every_word_about_equally_often():
    units = plan(Options(pool=2600, random_share=1.0))
    spoken = " ".join(line.text for u in units if u.split == "pool" for r in u.recordings for line in r.lines).split()
    counts = Counter(word for word in spoken if word.isascii())
    deck = english_words()
    assert max(counts[w] for w in deck) - min(counts[w] for w in deck) <= 2


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.slow
def test_no_sentence_of_a_test_or_development_split_is_in_another_split(seed):
    spoken: dict[str, set[str]] = defaultdict(set)
    for unit in plan(Options(seed=seed)):
        spoken[unit.split] |= {line.text for recording in unit.recordings for line in recording.lines}
    checked = 0
    for held_out in (*TEST, *DEVELOPMENT):
        for other in spoken.keys() - {held_out}:
            assert not spoken[held_out] & spoken[other], (held_out, other)
            checked += 1
    assert checked == 7 * 8


def test_a_test_sentence_is_not_trained_on_without_its_stammer_either(lines):
    def plain(text: str) -> str:
        text = re.sub(r"\b(\w+)(?: \1\b)+", r"\1", text)
        return re.sub(r"([\u4e00-\u9fff]{1,2})\1+", r"\1", text)

    trained = set(texts(lines, *TRAINING))
    for split in TEST:
        stammered = [text for text in texts(lines, split) if plain(text) != text]
        assert not {plain(text) for text in stammered} & trained


def test_voices_of_tests_are_in_no_other_split(lines):
    variants = {split: {line.voice.variant for line in lines[split]} for split in lines}
    trained = set().union(*(variants[split] for split in TRAINING))
    tuned = set().union(*(variants[split] for split in DEVELOPMENT))
    tested = set().union(*(variants[split] for split in TEST))
    assert not tested & (trained | tuned)
    assert not tuned & trained
    assert trained | tuned | tested == {f"m{n}" for n in range(1, 9)} | {f"f{n}" for n in range(1, 6)}
    assert len({line.voice for line in lines["course_test"]}) == 1
    assert len({line.voice for line in lines["pool"]}) == Options().pool_voices


def test_voices_are_those_of_their_allotment(lines):
    for split, spoken in lines.items():
        allotment = ALLOTMENTS[split]
        for voice in {line.voice for line in spoken}:
            assert voice.variant in allotment.variants
            assert allotment.pitch[0] <= voice.pitch <= allotment.pitch[1]
            assert allotment.speed_wpm[0] <= voice.speed_wpm <= allotment.speed_wpm[1]


def test_the_readme_states_the_allotment():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    for split, a in ALLOTMENTS.items():
        pitch, speed = (f"{low} to {high}" for low, high in (a.pitch, a.speed_wpm))
        assert f"| `{split}` | {' '.join(a.variants)} | {pitch} | {speed} |" in readme


def test_courses(units):
    taught: dict[str, set[str]] = defaultdict(set)
    for unit in units:
        taught[unit.split] |= {recording.course for recording in unit.recordings}
    assert taught["lectures"] == taught["lectures_test"] == set(COURSES)
    assert len(COURSES) >= 8
    assert taught["course_test"] == {UNSEEN_COURSE}
    assert not any(UNSEEN_COURSE in courses for split, courses in taught.items() if split != "course_test")


def test_the_pool_has_all_courses_but_the_unseen_one(lines):
    pool = " ".join(texts(lines, "pool"))
    words = set(WORD.findall(pool))
    for course in COURSES:
        terms = read_grammar("everyday", "lecture", f"courses/{course}")["term"]
        assert len(terms) >= 12
        assert {word for term in terms for word in term.split() if len(word) > 2} <= words, course
        assert any(term in line.text for term in terms for line in lines["lectures"])
    unseen = read_grammar("everyday", "lecture", f"courses/{UNSEEN_COURSE}")["term"]
    assert not [term for term in unseen if term in pool]
    new = [term for term in unseen if not set(term.split()) <= words]
    assert len(new) > len(unseen) / 2
    assert not any(term in line.text for term in unseen for line in lines["lectures"])


@pytest.mark.slow
def test_stammers_and_fillers_are_as_frequent_as_configured(lines):
    def share(options: Options, pattern: str) -> float:
        spoken = [li.text for u in plan(options) if u.split == "lectures" for r in u.recordings for li in r.lines]
        return sum(bool(re.search(pattern, text)) for text in spoken) / len(spoken)

    repeated = r"(這個|我們|大家)\1"
    assert share(Options(stammer_rate=0.0), repeated) == 0
    assert share(Options(stammer_rate=0.5), repeated) > 2 * share(Options(stammer_rate=0.1), repeated) > 0
    assert share(Options(hesitation_rate=0.0), "[呃嗯]") == 0
    assert share(Options(hesitation_rate=0.3), "[呃嗯]") == pytest.approx(0.3 * 2 / 3, abs=0.05)  # a third is 那個


def test_conversations_alternate_and_are_fast(units, lines):
    for unit in units:
        if unit.split == "talk_test":
            speakers = [line.voice for line in unit.recordings[0].lines]
            assert 2 <= len(set(speakers)) <= 3
            assert all(len(set(speakers[n : n + 3])) > 1 for n in range(len(speakers) - 2))
    assert min(line.voice.speed_wpm for line in lines["talk_test"]) > max(
        v.speed_wpm[1] for v in _training_allotments()
    )


def _training_allotments():
    return [ALLOTMENTS[split] for split in ("lectures", "lectures_test", "course_test", "read_test")]


def test_recordings_are_as_many_and_as_long_as_configured(units):
    options = Options()
    for split, long in options.long_splits().items():
        planned = [
            sum(expected_s(line.text, line.speed_wpm) + line.pause_s for line in unit.recordings[0].lines)
            for unit in units
            if unit.split == split
        ]
        assert len(planned) == long.recordings
        assert all(long.shortest_s - 12 <= s <= long.longest_s for s in planned)
    for split in ("pool", "pool_dev", "read_test"):
        assert sum(len(unit.recordings) for unit in units if unit.split == split) == getattr(options, split)
    assert max(len(unit.recordings) for unit in units) <= 50


@pytest.mark.slow
def test_ids_are_plain_and_begin_with_the_speaker(units):
    seen = []
    for unit in units:
        for recording in unit.recordings:
            assert re.fullmatch(r"[a-z0-9-]+", recording.id)
            for line in recording.lines:
                assert re.fullmatch(r"[a-z0-9-]+", line.id)
                assert line.id.startswith(f"{line.voice.id}-")
                seen.append(line.id)
    assert len(seen) == len(set(seen)) > 4000
    assert sorted(seen, key=lambda i: (i.split("-")[:3], i)) == sorted(seen)  # Kaldi: sorted by speaker, too


@pytest.mark.slow
def test_the_plan_depends_on_options_alone():
    assert plan(Options()) == plan(Options())
    one, two = plan(Options(pool=50)), plan(Options(pool=50, seed=3))
    assert [u.id for u in one] == [u.id for u in two]
    assert all(a.spec([]) != b.spec([]) for a, b in zip(one, two, strict=True))


def test_a_plan_without_enough_sentences_is_reported(monkeypatch: pytest.MonkeyPatch):
    only = Texts(lambda split, course: lambda rng: "老師", lambda rng: "老師")
    monkeypatch.setattr("egs.mini.plan.smoke_texts", lambda: only)
    with pytest.raises(
        K2DError, match="lectures_test: 2000 sentences in a row are already in a test or development split"
    ):
        plan(Options(preset="smoke"))


def test_smoke_is_small_and_of_a_dozen_words():
    units = plan(Options(preset="smoke"))
    spoken = [line for unit in units for recording in unit.recordings for line in recording.lines]
    words = set(read_deck("smoke"))
    assert len(words) == 12
    han = "|".join(w for w in words if not w.isascii())
    pieces = {p for line in spoken for w in line.text.split() for p in (re.findall(han, w) or [w])}
    assert pieces == words
    assert len({line.voice for line in spoken}) == 1
    assert {unit.split for unit in units} == {*TEST, *DEVELOPMENT, *TRAINING}
    assert sum(expected_s(line.text, line.speed_wpm) for line in spoken) < 15 * 60
    assert {language(line.text) for line in spoken} == {"zh", "en", "mixed"}


def test_each_pattern_is_used():
    """The text of an unused slot would be dead."""
    files = [("everyday",), ("everyday", "talk"), ("everyday", "read")]
    files += [("everyday", "lecture", f"courses/{course}") for course in (*COURSES, UNSEEN_COURSE)]
    slots: set[str] = set()
    reached: set[str] = set()
    for names in files:
        grammar = read_grammar(*names)
        todo = {"zh", "mixed", "en"} & grammar.keys()
        seen: set[str] = set()
        while todo - seen:
            slot = (todo - seen).pop()
            seen.add(slot)
            todo |= {s for pattern in grammar[slot] for s in SLOT.findall(pattern)}
        reached |= seen
        slots |= grammar.keys()
    assert slots - reached == set()
    assert len(slots) > 80
