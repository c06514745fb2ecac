"""The files of stage 8: rows of distances, sums of a selection, and the sweep over α."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_distances import far

from k2d.core.errors import K2DError, MissingInput, UsageError
from k2d.report.thresholds import summed_up
from k2d.score.rates import ErrorRate
from k2d.score.validator import JudgedChunk, study
from k2d.select.chunk_row import ChunkRow, Decision, chunk_line
from k2d.select.distance_workers import Keeping, TextPair, blocks, measured_lines
from k2d.select.distances import Comparer
from k2d.select.metrics import METRICS, Measuring, Metric
from k2d.select.record import SelectionTally
from k2d.select.rules import RULES, judge
from k2d.select.sweep import alphas_of, main, sweep
from k2d.select.table_files import read_distances, write_decisions, write_distances

FOUR_DECIMALS = st.integers(0, 20000).map(lambda n: n / 10000)
ROWS = st.lists(
    st.builds(
        ChunkRow,
        st.sampled_from(["lab/train/c1", "lab/train-b/課_7"]),
        st.just("r1"),
        st.integers(1, 30000).map(lambda ms: ms / 1000),
        st.builds(
            far,
            st.booleans(),
            st.booleans(),
            st.integers(0, 3),
            st.integers(0, 99),
            FOUR_DECIMALS,
            FOUR_DECIMALS,
        ),
    ),
    max_size=20,
)


@given(ROWS)
@pytest.mark.slow
def test_rows_are_read_as_they_were_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "distances.tsv"
    assert write_distances(path, map(chunk_line, rows)) == len(rows)
    assert list(read_distances(path)) == rows


def test_columns_and_decisions_have_not_changed(tmp_path):
    write_distances(tmp_path / "d", [])
    header = "id recording duration_s loops_teacher loops_auxiliary n_teacher n_auxiliary mer per composite"
    assert (tmp_path / "d").read_text() == header.replace(" ", "\t") + "\n"
    write_decisions(tmp_path / "e", [Decision("a/b/c", "", 1 / 3), Decision("a/b/d", "loop", 1.0)])
    lines = (tmp_path / "e").read_text().splitlines()
    assert lines == ["id\tdecision\treason\tdistance", "a/b/c\tkept\t\t0.3333", "a/b/d\tdropped\tloop\t1.0000"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id\tmer\n", r":1: found the columns 'id mer', expected 'id recording"),
        ("", r":1: found the columns ''"),
        ("{header}a/b/c\tr1\t3.0\t0\n", r":2: found 'a/b/c.*expected one value for each column"),
        ("{header}a/b/c\tr1\tlong\t0\t0\t1\t1\t0\t0\t0\n", r":2: found 'a/b/c"),
    ],
)
def test_a_bad_table_is_named_with_its_line(tmp_path, content, message):
    path = tmp_path / "distances.tsv"
    write_distances(path, [])
    path.write_text(content.format(header=path.read_text()))
    with pytest.raises(K2DError, match=message):
        list(read_distances(path))


@given(ROWS)
@pytest.mark.slow
def test_the_sums_of_a_selection_add_up(rows):
    tally = SelectionTally()
    for row in rows:
        tally.add(row, judge(row.distances, RULES["composite"], 0.4).reason, row.split)
    found = tally.as_json()
    parts = [found["kept"], *found["dropped"].values()]
    assert sum(part["chunks"] for part in parts) == found["in"]["chunks"] == len(rows)
    assert sum(part["hours"] for part in parts) == pytest.approx(found["in"]["hours"], abs=1e-5)
    assert sum(course["in"]["chunks"] for course in found["by_course"].values()) == len(rows)
    assert found["loops"]["both"] <= min(found["loops"]["teacher"], found["loops"]["auxiliary"])


@given(ROWS)
@pytest.mark.slow
def test_the_sweep_keeps_what_each_rule_keeps_at_each_alpha(rows):
    alphas = alphas_of("0:0.95:0.05")
    found = sweep(rows, alphas)
    assert found.total.n_chunks == len(rows)
    for metric, amounts in found.kept.items():
        for alpha, amount in zip(alphas, amounts, strict=True):
            kept = [row for row in rows if not judge(row.distances, RULES[metric], alpha).reason]
            assert amount.n_chunks == len(kept)
            assert amount.hours == pytest.approx(sum(row.duration_s for row in kept) / 3600)


@pytest.mark.parametrize("text", ["0.1", "0.1:0.9", "a:b:c", "0.9:0.1:0.1", "0.1:1.0:0.1", "0.1:0.9:0", "nan:0.9:0.1"])
def test_a_bad_sweep_is_refused(text):
    with pytest.raises(UsageError, match=f"--sweep: found '{text}', expected"):
        alphas_of(text)


def test_the_sweep_prints_what_is_kept_per_alpha_and_metric(tmp_path, capsys):
    conf = tmp_path / "x.yaml"
    conf.write_text(f"exp: {tmp_path}\nauxiliaries: {{base: {{}}}}\n")
    words = ["--sweep", "0.1:0.5:0.2", "--conf", str(conf)]
    with pytest.raises(MissingInput, match=r"distances\.tsv is missing; run stage 8 first"):
        main(words)
    path = tmp_path / "x/select/distances/base/distances.tsv"
    path.parent.mkdir(parents=True)
    rows = [
        ChunkRow("a/b/1", "r", 1800.0, far(False, False, 9, 9, 0.3, 0.1)),
        ChunkRow("a/b/2", "r", 3600.0, far(False, True, 9, 99, 0.9, 0.9)),
        ChunkRow("a/b/3", "r", 1800.0, far(False, False, 0, 9, 1.0, 1.0)),
    ]
    write_distances(path, map(chunk_line, rows))
    assert main(words) == 0
    title, empty, header, *rows_of_alpha = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert title.startswith("auxiliary base: 3 chunks, 2.00 h; kept")
    assert empty == "(empty labels, never kept: 1)"
    assert header == "alpha mer per composite"
    assert rows_of_alpha == [
        "0.1 0 0.0 % 0.00 h 1 33.3 % 0.50 h 2 66.7 % 1.50 h",
        "0.3 1 33.3 % 0.50 h 1 33.3 % 0.50 h 2 66.7 % 1.50 h",
        "0.5 1 33.3 % 0.50 h 1 33.3 % 0.50 h 2 66.7 % 1.50 h",
    ]


@pytest.mark.slow
def test_blocks_are_bounded_by_pairs_and_by_characters():
    pairs = [TextPair(str(n), "r", 1.0, "好" * 700_000 * (n == 3), "") for n in range(4501)]
    found = list(blocks(pairs))
    assert [len(block) for block in found] == [2000, 2000, 501]
    assert [pair.id for block in found for pair in block] == [pair.id for pair in pairs]
    long = [TextPair(str(n), "r", 1.0, "好" * 2_000_000, "") for n in range(3)]
    assert [len(block) for block in blocks(long)] == [1, 1, 1]


@pytest.mark.slow
def test_workers_give_a_line_for_every_pair():
    pairs = [TextPair(f"a/b/{n}", "r", 1.5, "我們用 model", "我们用 model" if n % 2 else "") for n in range(9)]
    lines = sorted(measured_lines(pairs, Measuring(), nj=2, total=len(pairs)))
    assert lines[0] == "a/b/0\tr\t1.500\t0\t0\t4\t0\t1.0000\t1.0000\t1.0000"
    assert lines[1] == "a/b/1\tr\t1.500\t0\t0\t4\t4\t0.0000\t0.0000\t0.0000"
    assert len(lines) == 9


@pytest.mark.slow
def test_an_interrupted_run_continues_from_its_blocks_only_with_the_same_settings(tmp_path):
    """The file of a finished block is reused. It is marked here, to distinguish it from a new measurement."""
    pairs = [TextPair(f"a/b/{n}", "r", 1.5, "我們用 model", "我們") for n in range(3)]
    keeping = Keeping(blocks=tmp_path / "blocks")
    first = list(measured_lines(pairs, Measuring(), nj=1, total=3, keeping=keeping))
    (left,) = (tmp_path / "blocks").iterdir()
    assert left.read_text(encoding="utf-8").split("\n") == [*first, ""]
    left.write_text("marked\n", encoding="utf-8")
    assert list(measured_lines(pairs, Measuring(), nj=1, total=3, keeping=keeping)) == ["marked"]
    other = list(measured_lines(pairs, Measuring(denominator="longer"), nj=1, total=3, keeping=keeping))
    assert [line.split("\t")[7] for line in other] == ["0.5000"] * 3  # two of four tokens
    changed = [pair._replace(auxiliary="我們用") for pair in pairs]
    assert "marked" not in list(measured_lines(changed, Measuring(), nj=1, total=3, keeping=keeping))


def test_a_metric_added_in_one_place_is_measured_written_read_swept_summed_and_studied(tmp_path, monkeypatch):
    """The difference of the lengths in tokens: a new metric, defined only here."""

    def length_gap(pair):
        return float(abs(len(pair.teacher.tokens) - len(pair.auxiliary.tokens)))

    monkeypatch.setitem(METRICS, "length_gap", Metric("length gap", length_gap))
    row = ChunkRow("a/b/1", "r", 3600.0, Comparer(Measuring()).compare("我們用 model", "我們"))
    write_distances(tmp_path / "distances.tsv", [chunk_line(row)])
    header, line = (tmp_path / "distances.tsv").read_text().splitlines()
    assert header.endswith("\tmer\tper\tcomposite\tlength_gap")
    assert line.endswith("\t2.0000")
    (found,) = read_distances(tmp_path / "distances.tsv")
    assert found.distances["length_gap"] == 2.0
    assert [amount.n_chunks for amount in sweep([found], [1.0, 2.0]).kept["length_gap"]] == [0, 1]
    assert summed_up([found], 0).kept_share("length_gap", 2.0) == 1.0
    assert study([JudgedChunk(found, ErrorRate(4, d=4))], 0.4)["by_metric"]["length_gap"]["recall"] == [1.0] * 9
