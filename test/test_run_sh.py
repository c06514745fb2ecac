"""./run.sh from outside: its options, failures and logs, from any directory."""

import re
import shlex
import subprocess
import time

import pytest

from k2d.core.layout import PROJECT_ROOT
from k2d.pipeline.stage_list import STAGES

RUN_SH = (PROJECT_ROOT / "run.sh").read_text(encoding="utf-8")


def with_toys(project):
    """A project with two toy stages, 2 and 3."""
    project.without_stages()
    project.add_toy_stage("tokens", "tokens")
    project.add_toy_stage("teacher", "models/teacher")
    return project


@pytest.fixture
def toys(warm_project):
    return with_toys(warm_project)


@pytest.fixture
def cold_toys(project):
    """For tests in which a stage is killed."""
    return with_toys(project)


def test_its_lines_are_the_stages():
    lines = re.findall(r"^stage +(\d+) (\w+) +# (.+?) +-> (.+)$", RUN_SH, flags=re.MULTILINE)
    assert [(int(number), verb) for number, verb, _, _ in lines] == [(s.number, s.verb) for s in STAGES]
    assert [s.number for s in STAGES] == list(range(1, 15))


def test_it_is_a_table_of_contents():
    assert len(RUN_SH.splitlines()) <= 44
    assert not re.search(r"\b(if|for|while|case|eval)\b", re.sub("#.*", "", RUN_SH))


def test_no_shell_script_evaluates_data():
    scripts = [*PROJECT_ROOT.glob("utils/*.sh"), *PROJECT_ROOT.glob("tools/*.sh"), *PROJECT_ROOT.glob("egs/*/run.sh")]
    assert len(scripts) >= 4
    for script in scripts:
        assert not re.search(r"\beval\b", re.sub("#.*", "", script.read_text(encoding="utf-8"))), script


def test_help_is_the_header_and_names_every_option(untouched_project):
    done = untouched_project.run("-h")
    assert done.returncode == 0
    for option in (
        "--conf",
        "--stage",
        "--stop-stage",
        "--corpus",
        "--root",
        "--ngpu",
        "--nj",
        "--force",
        "--verify",
        "--list",
        "key=value",
    ):
        assert option in done.stdout
    assert untouched_project.run("--help").stdout == done.stdout
    assert "set -euo" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--frobnicate", "unknown option --frobnicate;"),
        ("--stag 3", "unknown option --stag, did you mean --stage?"),
        ("--stage", "--stage: a value is missing"),
        ("--conf --stage 1", "--conf: a value is missing"),
        ("--conf nowhere.yaml", "--conf: no such file: nowhere.yaml"),
        ("--stage 0", "--stage: found '0', expected a whole number from 1 to 14"),
        ("--stage 15", "--stage: found '15', expected a whole number from 1 to 14"),
        ("--stage two", "--stage: found 'two', expected a whole number from 1 to 14"),
        ("--stop-stage -1", "--stop-stage: found '-1', expected a whole number"),
        ("--stage 5 --stop_stage 4", "--stage 5 comes after --stop-stage 4"),
        ("--nj 0", "--nj: found '0', expected a whole number of at least 1"),
        ("--ngpu 1.5", "--ngpu: found '1.5', expected a whole number of at least 0"),
        ("--corpus nothing", "--corpus: no such folder: egs/nothing"),
        ("--corpus ../egs", "--corpus: no such folder: egs/../egs"),
        ("--corpus mini --root /no/such", "--root: no such folder: /no/such"),
        ("--root /tmp", "--root: needs --corpus NAME"),
        ("word", "stray word 'word' (settings are written key=value)"),
        ("--stage 99999999999999999999", "--stage: found '99999999999999999999', expected"),
    ],
)
def test_a_wrong_call_is_one_clear_line_and_exit_2(untouched_project, words, message):
    done = untouched_project.run(*words.split())
    assert done.returncode == 2
    assert done.stderr.startswith(f"run.sh: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_all_faults_are_reported_together(untouched_project):
    done = untouched_project.run("--nj", "0", "stray", "--frob", "x", "--stage", "99")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 4


@pytest.mark.parametrize("value", ["$(touch pwned)", "`touch pwned`", "; touch pwned", "x\ntouch pwned"])
@pytest.mark.slow
def test_values_are_never_run(untouched_project, value):
    for words in (["--conf", value], ["--nj", value], ["--corpus", value], [f"name={value}"], [value]):
        assert untouched_project.run(*words, cwd=untouched_project.root).returncode == 2
    assert not (untouched_project.root / "pwned").exists()


@pytest.mark.slow
def test_a_wrong_config_is_refused_before_any_stage(toys):
    done = toys.run("select.alpha=3", "sede=1")
    assert done.returncode == 2
    assert "command line: select.alpha: found 3, expected less than 1" in done.stderr
    assert "command line: sede: found an unknown key, expected a known one; did you mean seed?" in done.stderr
    assert "works" not in done.stdout
    assert not (toys.root / "exp").exists()


@pytest.mark.slow
def test_it_runs_the_stages_from_any_directory_and_reports_them(toys, tmp_path):
    conf = tmp_path / "my own.yaml"
    conf.write_text("seed: 5\n")
    done = toys.run("--conf", "my own.yaml", "--stage=2", "--stop_stage=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"stage 2 tokens: start 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\n", done.stdout)
    assert "in 3 toys = kept 2 + too_short 1" in done.stdout
    assert re.search(r"stage 3 teacher: finished in \d+ s\n", done.stdout)
    assert (toys.root / "exp" / "my-own" / "tokens" / "result").read_text() == "5"
    log = (toys.root / "exp" / "my-own" / "log" / "02.tokens.log").read_text()
    assert "in 3 toys = kept 2 + too_short 1" in log


@pytest.mark.slow
def test_finished_stages_are_skipped_and_changed_ones_are_refused(toys):
    assert toys.run("name=x").returncode == 0
    again = toys.run("name=x")
    assert "exp/x/tokens: done already, skipped" in again.stdout
    assert "works" not in again.stdout

    other = toys.run("name=x", "seed=2")
    assert other.returncode == 1
    assert "exp/x/tokens\n    setting seed: 1 -> 2\n" in other.stderr
    assert "run it with --force to replace it" in other.stderr
    assert (toys.root / "exp/x/tokens/result").read_text() == "1"

    assert toys.run("name=x", "seed=2", "--force").returncode == 0
    assert (toys.root / "exp/x/tokens/result").read_text() == "2"


@pytest.mark.slow
def test_a_lost_output_is_made_again_and_an_edited_one_is_refused(toys):
    toys.run("name=x", "--stop-stage", "2")
    result = toys.root / "exp/x/tokens/result"
    result.unlink()
    assert "made again, because result is missing" in toys.run("name=x", "--stop-stage", "2").stdout
    result.write_text("my own words")
    refused = toys.run("name=x", "--stop-stage", "2")
    assert refused.returncode == 1
    assert "result was edited" in refused.stderr
    assert result.read_text() == "my own words"


@pytest.mark.slow
def test_a_folder_without_a_stamp_is_not_overwritten(toys):
    mine = toys.root / "exp/x/tokens/thesis.tex"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    refused = toys.run("name=x")
    assert refused.returncode == 1
    assert "it holds files without a stamp" in refused.stderr
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("trouble", "code", "how"), [("raise", 1, "exit code 1"), ("killed", 137, "exit code 137 (signal 9)")]
)
@pytest.mark.slow
def test_a_failing_stage_stops_the_run_and_prints_how_to_continue(cold_toys, trouble, code, how):
    done = cold_toys.run("name=x y", "--nj", "1", "seed=3", TOY_tokens=trouble)
    assert done.returncode == 2  # a name with a space is refused
    done = cold_toys.run("name=x", "--nj", "1", "seed=3", TOY_tokens=trouble)
    assert done.returncode == code
    assert f"stage 2 (tokens) failed, {how}" in done.stderr
    assert "log:    exp/x/log/02.tokens.log" in done.stderr
    assert "teacher works" not in done.stdout
    if trouble == "raise":
        assert "RuntimeError: the toy broke" in (cold_toys.root / "exp/x/log/02.tokens.log").read_text()
    assert not (cold_toys.root / "exp/x/tokens").exists()

    (resume,) = re.findall(r"resume: (.+)", done.stderr)
    assert "--stage 2" in resume
    resumed = cold_toys.command(*shlex.split(resume))
    assert resumed.returncode == 0, resumed.stderr
    assert (cold_toys.root / "exp/x/tokens/result").read_text() == "3"
    assert [p.name for p in (cold_toys.root / "exp/x/tokens").iterdir() if p.name == "half"] == []


@pytest.mark.slow
def test_the_second_run_on_an_experiment_is_shown_who_holds_the_lock(cold_toys):
    words = [str(cold_toys.root / "run.sh"), "name=x"]
    first = subprocess.Popen(
        words, env={**cold_toys.environment, "TOY_tokens": "wait"}, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert any("works" in line for line in first.stdout)
    second = cold_toys.run("name=x")
    elsewhere = cold_toys.run("name=y")
    subprocess.run(["pkill", "-KILL", "-P", str(first.pid)], check=True)
    first.wait()
    first.stdout.close()
    assert second.returncode == 1
    assert re.search(r"exp/x is in use by process \d+ on \S+ since 20.* \(k2d tokens --conf", second.stderr)
    assert elsewhere.returncode == 0
    time.sleep(0.2)
    assert cold_toys.run("name=x").returncode == 0  # the dead hold nothing


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_reported_before_any_work(toys):
    (toys.root / "exp").write_text("a file where a folder should be")
    done = toys.run("name=x")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "works" not in done.stdout


@pytest.mark.slow
def test_more_gpus_than_exist_are_refused(toys):
    done = toys.run("name=x", "--ngpu", "64")
    assert done.returncode == 2
    assert re.search(r"--ngpu 64: found \d+ CUDA devices", done.stderr)


@pytest.mark.slow
def test_more_processes_than_items_are_accepted(toys):
    assert toys.run("name=x", "--nj", "500").returncode == 0


@pytest.mark.slow
def test_list_shows_all_stages_and_their_status(toys):
    toys.run("name=x", "--stop-stage", "2")
    done = toys.run("--list", "name=x")
    assert done.returncode == 0
    rows = [line.split("  ") for line in done.stdout.splitlines() if re.match(r"\d+ ", line)]
    assert [row[0].strip() for row in rows] == [str(s.number) for s in STAGES]
    state = {int(row[0]): row[-1] for row in rows}
    assert re.fullmatch(r"done 20\d\d-\d\d-\d\d \d\d:\d\d", state[2].strip())
    assert state[3].strip() == "to do"
    assert state[4].strip() == "not built yet"
    changed = toys.run("--list", "name=x", "seed=9").stdout
    assert "differs: exp/x/tokens: setting seed: 1 -> 9" in changed


def test_a_missing_k2d_python_is_reported(untouched_project):
    done = untouched_project.run("--list", K2D_PYTHON="/no/such/python")
    assert done.returncode == 2
    assert "K2D_PYTHON: no such program: /no/such/python" in done.stderr


@pytest.mark.slow
def test_a_stage_without_its_inputs_names_the_missing_ones(warm_project):
    warm_project.without_stages()
    warm_project.add_toy_stage("tokens", "tokens", reads=("somewhere/text",))
    done = warm_project.run("name=x", "--stage", "2", "--stop-stage", "2")
    assert done.returncode == 3
    assert "stage 2 (tokens) reads labelled text, and these are missing:\n  exp/x/somewhere/text\n" in done.stderr
    assert "works" not in done.stdout
    assert warm_project.run("name=x").returncode == 0  # on the whole road it waits for stage 1, which is not built


@pytest.mark.slow
def test_a_changed_input_makes_its_outputs_outdated(toys):
    toys.add_toy_stage("teacher", "models/teacher", reads=("tokens",))
    assert toys.run("name=x").returncode == 0
    assert toys.run("name=x", "seed=2", "--stop-stage", "2", "--force").returncode == 0
    refused = toys.run("name=x", "seed=2", "--stage", "3")
    assert refused.returncode == 1
    assert "exp/x/models/teacher\n    setting seed: 1 -> 2\n    input tokens has changed" in refused.stderr


@pytest.mark.slow
def test_a_stage_on_outputs_of_another_config_is_refused_with_a_command_that_helps(toys):
    toys.add_toy_stage("teacher", "models/teacher", reads=("tokens",))
    assert toys.run("name=x", "--stop-stage", "2").returncode == 0
    refused = toys.run("name=x", "seed=2", "--stage", "3")
    assert refused.returncode == 1
    assert (
        "stage 3 (teacher) reads folders that are damaged or were made with another config:\n  exp/x/tokens\n"
        in refused.stderr
    )
    assert not (toys.root / "exp/x/models").exists()
    (command,) = re.findall(r"run stage 2 \(tokens\) again first: (.+)", refused.stderr)
    assert toys.command(*shlex.split(command)).returncode == 0
    assert (toys.root / "exp/x/models/teacher/result").read_text() == "2"


@pytest.mark.slow
def test_a_disposable_output_is_made_again_unless_it_was_edited(toys):
    stage = toys.root / "k2d/stages/tokens.py"
    asking = stage.read_text()
    stage.write_text(asking.replace("}), reads), copy]", "}), reads, True), copy]"))
    assert stage.read_text() != asking
    toys.run("name=x", "--stop-stage", "2")
    anew = toys.run("name=x", "--stop-stage", "2", "seed=2")
    assert "made again, because setting seed: 1 -> 2" in anew.stdout
    (toys.root / "exp/x/tokens/result").write_text("my own words")
    assert toys.run("name=x", "--stop-stage", "2", "seed=2").returncode == 1
