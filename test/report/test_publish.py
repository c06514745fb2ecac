"""A report is published with everything that is needed to reproduce it, and only by this command."""

import subprocess

import pytest

from k2d.core.errors import MissingInput
from k2d.report.publish import commit, main, published


def test_command_config_and_commit_follow_the_report():
    text = published("# mini\n\n| a |\n", "./run.sh --conf conf/mini.yaml", "ab12", "name: mini\nseed: 1\n")
    assert text.startswith("# mini\n\n| a |\n\n## To get these results again\n\nAt commit ab12:\n")
    assert "\n    ./run.sh --conf conf/mini.yaml\n" in text
    assert text.endswith("    name: mini\n    seed: 1\n")


def test_the_commit_is_marked_if_files_differ_from_it(tmp_path):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    assert commit(tmp_path) == "unknown (this is no git checkout)"
    git("init", "-q")
    (tmp_path / "code.py").write_text("1")
    (tmp_path / "RESULTS.md").write_text("old")
    git("add", ".")
    git("commit", "-qm", "first")
    head = commit(tmp_path)
    assert len(head) == 40
    (tmp_path / "RESULTS.md").write_text("new")  # what publishing itself changes
    assert commit(tmp_path) == head
    (tmp_path / "code.py").write_text("2")
    assert commit(tmp_path) == f"{head} (with changes that are not committed)"


def test_without_a_report_nothing_is_published(tmp_path):
    with pytest.raises(MissingInput) as caught:
        main(["--publish", "--conf", "conf/smoke.yaml", f"exp={tmp_path}"])
    assert "report/RESULTS.md: there is no report to publish; make it with: ./run.sh --conf" in str(caught.value)


@pytest.mark.slow
def test_a_copy_of_the_project_publishes_into_its_own_folder(warm_project):
    report = warm_project.root / "exp/smoke/report/RESULTS.md"
    report.parent.mkdir(parents=True)
    report.write_text("# Results of smoke\n")
    done = warm_project.k2d("report", "--publish", "--conf", "conf/smoke.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "RESULTS.md: written from exp/smoke/report/RESULTS.md\n"
    text = (warm_project.root / "RESULTS.md").read_text()
    assert text.startswith("# Results of smoke\n\n## To get these results again\n")
    assert "    ./run.sh --conf conf/smoke.yaml\n" in text
    assert "      preset: smoke" in text
