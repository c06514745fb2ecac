"""Files that a config names are first searched beside it, and named so that plain ESPnet finds them."""

from k2d.core.layout import PROJECT_ROOT
from k2d.models.espnet_s2t.training_config import find_file, written_path


def test_paths_are_relative_to_the_project():
    assert (
        written_path(PROJECT_ROOT / "exp" / "mini" / ".teacher.partial" / "bpe.model") == "exp/mini/teacher/bpe.model"
    )
    assert written_path(PROJECT_ROOT.parent / "x" / "bpe.model") == str(PROJECT_ROOT.parent / "x" / "bpe.model")


def test_a_file_beside_the_config_wins(tmp_path):
    recipe, folder = tmp_path, tmp_path / "exp" / "model"
    folder.mkdir(parents=True)
    (recipe / "data").mkdir()
    (recipe / "data" / "a.model").touch()
    assert find_file("data/a.model", folder, ["bpe.model"], "pieces") == recipe / "data" / "a.model"
    (folder / "bpe.model").touch()
    assert find_file("data/a.model", folder, ["bpe.model"], "pieces") == folder / "bpe.model"
    (folder / "a.model").touch()
    assert find_file("data/a.model", folder, ["bpe.model"], "pieces") == folder / "a.model"
