"""The table of published checkpoints: K2D's own table, and faults in other tables."""

import pytest
from made_sources import REVISION, write_table

from k2d.core.errors import K2DError
from k2d.models.published.table import read_table
from k2d.models.registry import FAMILIES
from k2d.models.whisper.dims import PUBLISHED
from k2d.models.whisper.published import TABLE

SHA = "a" * 64
FILE = {"sha256": SHA, "size": 3}
PACKAGE = {"name": "x-part1", "version": "1.0.0", "sha256": SHA, "size": 9, "members": {"x/model.bin": "model.bin"}}


def faults_of(tmp_path, source, **more):
    with pytest.raises(K2DError) as caught:
        read_table(write_table(tmp_path / "t.yaml", {"base": {"sources": [{"title": "T", **source}], **more}}))
    return str(caught.value)


def test_every_published_name_has_its_sources():
    table = read_table(TABLE)
    assert set(table.checkpoints) == set(PUBLISHED)
    assert table["large"] is table["large-v3"]
    assert all(FAMILIES[name].publisher().TABLE for name in FAMILIES if FAMILIES[name].published)


def test_the_first_source_has_the_addresses_of_openai_whisper():
    models = pytest.importorskip("whisper")._MODELS
    table = read_table(TABLE)
    for name, url in models.items():
        first = table[name].sources[0]
        (file,) = first.files.values()
        assert (file.url, file.sha256) == (url, url.split("/")[-2])
        assert first.form == url.rpartition("/")[2]


def test_the_packages_have_the_files_of_systran_on_the_hub():
    base = read_table(TABLE)["base"]
    of_hub, of_packages = (source for source in base.sources if source.form == "faster-whisper-base")
    assert (of_hub.hub, len(of_packages.packages)) == ("Systran/faster-whisper-base", 2)
    assert of_hub.files == of_packages.files


def test_all_faults_of_a_table_are_reported_together(tmp_path):
    message = faults_of(tmp_path, {"files": {"../x": FILE, "a.pt": {"sha256": "abc"}}, "sha": SHA})
    assert "base.sources.0.files.a.pt.sha256: found 'abc'" in message
    assert "base.sources.0.files.../x" in message
    assert "base.sources.0.sha: found an unknown key" in message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"files": {"a.pt": FILE}}, "expected one of: a url for each file, hub, or packages"),
        ({"files": {"a": {**FILE, "url": "u"}, "b": FILE}, "folder": "f"}, "a url for each file, found none for b"),
        ({"files": {"a": {**FILE, "url": "u"}, "b": {**FILE, "url": "u"}}}, "expected a folder for its 2 files"),
        ({"files": {"a": FILE}, "hub": "me/model"}, "expected hub and revision together"),
        ({"files": {"a": FILE}, "hub": "me/model", "revision": "main"}, "base.sources.0.revision: found 'main'"),
        ({"files": {"a": FILE}, "packages": [PACKAGE]}, "expected members for a, found model.bin"),
        (
            {"files": {"model.bin": {"sha256": SHA}}, "packages": [PACKAGE]},
            "expected a size for each file of a package, found none for model.bin",
        ),
        (
            {"files": {"model.bin": FILE}, "packages": [{**PACKAGE, "members": {"../m": "model.bin"}}]},
            "base.sources.0.packages.0.members.../m",
        ),
        ({"files": {"model.bin": FILE}, "packages": [{**PACKAGE, "name": "-e ."}]}, "packages.0.name: found '-e .'"),
        ({"files": {"model.bin": FILE}, "packages": [{**PACKAGE, "version": ">1"}]}, "packages.0.version: found '>1'"),
        ({"files": {}, "hub": "me/model", "revision": REVISION}, "base.sources.0.files"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused(tmp_path, source, message):
    assert message in faults_of(tmp_path, source)


def test_contradictory_checkpoints_are_refused(tmp_path):
    a, b = {"a.pt": {**FILE, "url": "u"}}, {"a.pt": {**FILE, "sha256": "b" * 64, "url": "u"}}
    content = {
        "one": {"sources": [{"title": "T", "files": a}]},
        "two": {"sources": [{"title": "T", "files": b}]},
        "three": {"same_as": "four"},
        "five": {},
    }
    with pytest.raises(K2DError) as caught:
        read_table(write_table(tmp_path / "t.yaml", content))
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/t.yaml: two.sources.0: a.pt has other files in an earlier source; give it another folder",
        f"{tmp_path}/t.yaml: three: expected same_as alone, with the name of a checkpoint that has sources",
        f"{tmp_path}/t.yaml: five: expected sources or same_as",
    ]
    (tmp_path / "t.yaml").write_text("")
    with pytest.raises(K2DError, match="found no checkpoint"):
        read_table(tmp_path / "t.yaml")
    with pytest.raises(K2DError) as caught:
        read_table(tmp_path / "none.yaml")
    assert (
        str(caught.value)
        == f"{tmp_path}/none.yaml: cannot be read: No such file or directory; name an existing YAML file"
    )
