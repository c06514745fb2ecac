"""Tables of scores in the paper's layout: systems in rows, test sets in columns, the best in bold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from k2d.core.layout import TEACHER
from k2d.report.comparable import best_of, is_comparable, teacher_speed_up
from k2d.report.document import NOTHING, Cell, Table, names
from k2d.report.stored import Experiment
from k2d.report.wording import number, plural, rate, share, times
from k2d.score.rates import ErrorRate, reduction
from k2d.score.stored_row import Score
from k2d.score.timing import RealTimeFactor

ROLES = {"dev": "development", "in_domain": "in-domain", "out_domain": "out-of-domain"}
OTHER_SIGNATURE = "†"

_LANGUAGES = {"split": ("zh_split", "en_split"), "joint": ("zh_joint", "en_joint")}
_PARTS = {"mixed": "mixed", "zh": "Mandarin only", "en": "English only", "other": "neither"}


def mer_table(experiment: Experiment, sets: Sequence[str], caption: str) -> Table:
    """The paper's Table 2."""
    speeds = ("speed-up", *(["speed-up, batched"] if experiment.has_batched_speeds else []))
    header = ("system", "million parameters", *speeds, "data kept", *(titled(experiment, name) for name in sets))
    rows = tuple((*_costs(experiment, system), *cells) for system, cells in _by_system(experiment, sets, _mer_cell))
    return Table(caption, header, rows, notes=tuple(signature_notes(experiment, sets)))


def language_table(experiment: Experiment, sets: Sequence[str], way: str, caption: str) -> Table:
    """The paper's Table 3: Mandarin and English separately, aligned in one of the two ways."""
    measures = _LANGUAGES[way]
    columns = [(name, measure) for name in sets for measure in measures]
    titles = {measures[0]: "Mandarin", measures[1]: "English"}
    header = ("system", *(f"{name} {titles[measure]}" for name, measure in columns))
    rows = tuple(
        (Cell(system), *(_measure_cell(experiment, system, name, measure) for name, measure in columns))
        for system in experiment.systems
    )
    return Table(caption, header, rows, notes=tuple(signature_notes(experiment, sets)))


def kinds_table(experiment: Experiment, sets: Sequence[str], caption: str) -> Table:
    """Kinds of errors: deletions, insertions and substitutions in % of the tokens, and signs of hallucination."""
    header = ("set", "system", "Del %", "Ins %", "Sub %", "repetitions", "empty", "too long", "missing")
    notes = [
        "Repetitions: how often a character 6-gram comes 5 times within 100 characters. Too long: more text than the "
        "audio allows. Missing: utterances without a hypothesis, counted as deletions.",
        *signature_notes(experiment, sets),
    ]
    return Table(caption, header, tuple(_set_rows(experiment, sets, _kinds)), n_names=2, notes=tuple(notes))


def parts_table(experiment: Experiment, sets: Sequence[str], caption: str) -> Table:
    """Where a student is better or worse: mixed and monolingual utterances, and positions of switching."""
    shown = [part for part in _PARTS if any(_has_part(experiment, name, part) for name in sets)]
    header = ("set", "system", *(f"{_PARTS[part]}: MER % (n)" for part in shown), "PIER % (n)", "at switches % (n)")

    def cells(score: Score) -> Iterator[str]:
        yield from (rate(score.parts.get(part, ErrorRate())) for part in shown)
        yield from (rate(score.rates[measure]) for measure in ("pier", "switch"))

    notes = [
        "In brackets the reference tokens. PIER: errors on the English words of mixed utterances. At switches: errors "
        "on tokens beside a change of language.",
        *signature_notes(experiment, sets),
    ]
    return Table(caption, header, tuple(_set_rows(experiment, sets, cells)), n_names=2, notes=tuple(notes))


def interval_table(experiment: Experiment, sets: Sequence[str], caption: str) -> Table:
    """The confidence interval of each MER, and the amount of data behind it."""
    header = ("set", "system", "MER %", "interval", "resampled", "tokens", "utterances")
    return Table(
        caption,
        header,
        tuple(_set_rows(experiment, sets, _interval)),
        n_names=2,
        notes=tuple(signature_notes(experiment, sets)),
    )


def term_table(experiment: Experiment, sets: Sequence[str], caption: str) -> Table | None:
    """The recall of English terms. None if no score has it, or no set has terms."""
    having = [name for name in sets if any(_n_terms(experiment, system, name) for system in experiment.systems)]
    if not having:
        return None
    notes = (
        "English words of mixed utterances that are recognised, in %. Inserted words do not count. Interval: bootstrap "
        "over the same groups as the MER's.",
        *signature_notes(experiment, having),
    )
    header = ("set", "system", "recall %", "interval", "words")
    return Table(caption, header, tuple(_set_rows(experiment, having, _terms)), n_names=2, notes=notes)


def invention_table(experiment: Experiment, sets: Sequence[str], caption: str) -> Table:
    """The words that systems write where nobody speaks. `sets` have no reference words."""
    notes = (
        "Words in recordings without speech, which are all invented. With text: recordings with at least one word.",
        *signature_notes(experiment, sets),
    )
    header = ("set", "system", "recordings", "with text", "words", "minutes", "words a minute")
    return Table(caption, header, tuple(_set_rows(experiment, sets, _invented)), n_names=2, notes=notes)


def _invented(score: Score) -> Iterator[str]:
    found = score.invention
    if found is None:
        return iter((NOTHING,) * 5)
    minutes = None if found.seconds is None else found.seconds / 60
    counts = (f"{n:,}" for n in (found.n_utterances, found.n_with_text, found.n_tokens))
    return iter((*counts, number(minutes, 1), number(found.per_minute)))


def _n_terms(experiment: Experiment, system: str, set_name: str) -> int:
    score = experiment.scores.get((system, set_name))
    return 0 if score is None or score.terms is None else score.terms.n


def _terms(score: Score) -> Iterator[str]:
    terms = score.terms
    if terms is None:
        return iter((NOTHING, NOTHING, NOTHING))
    has_interval = terms.low is not None and terms.high is not None
    interval = f"{number(terms.low, 1)} to {number(terms.high, 1)}" if has_interval else NOTHING
    return iter((number(terms.percent, 1), interval, f"{terms.n:,}"))


def speed_table(experiment: Experiment, sets: Sequence[str], caption: str, *, batched: bool = False) -> Table | None:
    """Real-time factors with their conditions. None if nothing was timed."""
    if not any(experiment.speed(system, name, batched=batched) for system in experiment.systems for name in sets):
        return None
    header = ("set", "system", "RTF", "lowest to highest", "runs", "batch", "threads", "numbers", "device")

    def cells(score: Score) -> Iterator[str]:
        return _speed(experiment.speed(score.model, score.set, batched=batched))

    rows = tuple(_set_rows(experiment, sets, cells))
    notes = ["RTF: seconds of work per second of audio.", *signature_notes(experiment, sets)]
    return Table(caption, header, rows, n_names=2, notes=tuple(notes))


def titled(experiment: Experiment, set_name: str) -> str:
    """A set with its role."""
    role = experiment.roles[set_name]
    return f"{set_name} ({ROLES.get(role, role)})"


def signature_notes(experiment: Experiment, sets: Sequence[str]) -> Iterator[str]:
    """Scores whose signature differs from the others on their set, if any."""
    sets_of: dict[tuple[str, ...], list[str]] = {}
    for name in sets:
        found = (experiment.scores.get((system, name)) for system in experiment.systems)
        others = tuple(s.model for s in found if s is not None and not is_comparable(experiment, s))
        if others:
            sets_of.setdefault(others, []).append(name)
    for others, names_of_sets in sets_of.items():
        yield (
            f"{OTHER_SIGNATURE} {', '.join(others)} on {', '.join(names_of_sets)}: scored with another signature than "
            "the other systems; not comparable with them, so without bold and reduction (see Signatures)."
        )


def _by_system(
    experiment: Experiment, sets: Sequence[str], cell: Callable[[Experiment, str, str], Cell]
) -> Iterator[tuple[str, list[Cell]]]:
    """The systems that have a score on any of the sets, with a cell for each set."""
    for system in experiment.systems:
        if any((system, name) in experiment.scores for name in sets):
            yield system, [cell(experiment, system, name) for name in sets]


def _set_rows(
    experiment: Experiment, sets: Sequence[str], cells: Callable[[Score], Iterator[str]]
) -> Iterator[tuple[Cell, ...]]:
    """One row for each set and system."""
    for name in sets:
        for system in experiment.systems:
            if (score := experiment.scores.get((system, name))) is not None:
                mark = "" if is_comparable(experiment, score) else f" {OTHER_SIGNATURE}"
                yield names(name, f"{system}{mark}", *cells(score))


def _mer_cell(experiment: Experiment, system: str, set_name: str) -> Cell:
    cell = _measure_cell(experiment, system, set_name, "mer")
    score, teacher = (experiment.scores.get((name, set_name)) for name in (system, TEACHER))
    if system == TEACHER or score is None or teacher is None or not is_comparable(experiment, score):
        return cell
    gain = reduction(teacher.mer, score.mer)
    if gain is None or gain.percent is None:
        return cell
    return Cell(f"{cell.text} ({number(gain.percent, 1)})", cell.best)


def _measure_cell(experiment: Experiment, system: str, set_name: str, measure: str) -> Cell:
    score = experiment.scores.get((system, set_name))
    percent = None if score is None else score.rates[measure].percent
    if score is None or percent is None:
        return Cell(NOTHING)
    if not is_comparable(experiment, score):
        return Cell(f"{number(percent)} {OTHER_SIGNATURE}")
    return Cell(number(percent), best=percent == best_of(experiment, set_name, measure))


def _costs(experiment: Experiment, system: str) -> tuple[Cell, ...]:
    """A system's name, size, speed, and the share of the data behind it."""
    n_parameters, selection = experiment.parameters.get(system), experiment.selection_behind(system)
    size = number(None if n_parameters is None else n_parameters / 1e6, 1)
    kept = NOTHING if selection is None else share(selection.kept_share)
    ways = (False, True) if experiment.has_batched_speeds else (False,)
    speeds = (times(teacher_speed_up(experiment, system, batched=batched).factor) for batched in ways)
    return names(system, size, *speeds, kept)


def speed_notes(experiment: Experiment) -> Iterator[str]:
    """How the speed-ups were computed, and which are missing."""
    found = {system: teacher_speed_up(experiment, system) for system in experiment.systems}
    if any(speed.factor is not None for speed in found.values()):
        yield (
            "Speed-up: the teacher's real-time factor over the system's, geometric mean of the sets timed for both; on "
            "each set all systems took turns."
        )
    if experiment.has_batched_speeds:
        yield "Batched: the same audio in pieces of a window, which are decoded side by side."
    if other := [
        f"{name} ({plural(speed.n_other_conditions, 'set')})"
        for name, speed in found.items()
        if speed.n_other_conditions
    ]:
        yield f"Timed under other conditions than the teacher, and left out of the speed-up: {', '.join(other)}."
    if slow := [name for name, speed in found.items() if not speed.n_sets and not speed.n_other_conditions]:
        yield f"Not timed together with the teacher: {', '.join(slow)}."


def _has_part(experiment: Experiment, set_name: str, part: str) -> bool:
    scores = (experiment.scores.get((system, set_name)) for system in experiment.systems)
    return any(score is not None and score.parts.get(part, ErrorRate()).n for score in scores)


def _kinds(score: Score) -> Iterator[str]:
    for errors in (score.mer.d, score.mer.i, score.mer.s):
        yield number(100 * errors / score.mer.n if score.mer.n else None)
    yield from (f"{n:,}" for n in (score.repetitions, score.empty, score.too_long, len(score.missing)))


def _interval(score: Score) -> Iterator[str]:
    yield number(score.mer.percent)
    found = score.interval
    yield NOTHING if found is None else f"{number(found.low)} to {number(found.high)} ({100 * found.level:g} %)"
    yield NOTHING if found is None else found.over
    yield from (f"{score.mer.n:,}", f"{score.n_utterances:,}")


def _speed(found: RealTimeFactor | None) -> Iterator[str]:
    if found is None:
        yield from [NOTHING] * 7
        return
    yield number(found.mean, 4)
    yield f"{number(found.min, 4)} to {number(found.max, 4)}"
    yield from map(str, (found.runs, found.batch_size, found.threads, found.dtype, found.device))
