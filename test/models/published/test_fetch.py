"""python -m k2d fetch from outside."""

import pytest
from file_server import serving
from made_sources import at_address, pinned, write_table

from k2d.__main__ import main
from k2d.models.published import kokoro
from k2d.models.published.cli import parser
from k2d.models.whisper import published

PT, VOICES = b"weights", b"voices"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(b"") as served:
        yield served


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("K2D_WHISPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("K2D_KOKORO_CACHE", str(tmp_path / "voices"))
    return tmp_path / "cache"


@pytest.fixture
def own_table(server, cache, tmp_path, monkeypatch):
    """K2D's own table, with one checkpoint that is served here."""
    table = {"base": {"sources": [at_address(server, "base.pt", PT)]}, "large": {"same_as": "base"}}
    monkeypatch.setattr(published, "TABLE", write_table(tmp_path / "published.yaml", table))
    voices = {"kokoro": {"sources": [at_address(server, "kokoro.onnx", VOICES)]}}
    monkeypatch.setattr(kokoro, "TABLE", write_table(tmp_path / "kokoro.yaml", voices))


@pytest.mark.parametrize("name", ["base", "whisper-base", "large"])
def test_fetch_prints_the_path_of_the_checkpoint(own_table, cache, capsys, name):
    assert main(["fetch", name]) == 0
    message = capsys.readouterr()
    assert message.out == f"{cache / 'base.pt'}\n"
    assert (
        message.err
        == f"Whisper {name.removeprefix('whisper-')}: 0 MB from the maker, SHA-256 as published, now "
        + (f"{cache / 'base.pt'}\n")
    )


def test_in_a_folder_of_its_own_a_file_gets_the_name_that_is_loaded(own_table, tmp_path, capsys):
    assert main(["fetch", "base", "--to", str(tmp_path / "models/base")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/models/base\n"
    assert (tmp_path / "models/base/model.pt").read_bytes() == PT


def test_voices_have_a_cache_of_their_own(own_table, tmp_path, capsys):
    assert main(["fetch", "kokoro"]) == 0
    message = capsys.readouterr()
    assert message.out == f"{tmp_path}/voices/kokoro.onnx\n"
    assert message.err == f"Kokoro-82M: 0 MB from the maker, SHA-256 as published, now {message.out}"
    assert (tmp_path / "voices" / "kokoro.onnx").read_bytes() == VOICES


def test_the_list_has_names_sizes_sources_and_the_cache(own_table, cache, capsys):
    main(["fetch", "--list"])
    assert capsys.readouterr().out.splitlines() == [
        f"published checkpoints of the family whisper; the cache is {cache}",
        "name   size  in the cache  sources",
        "base   0 MB  no            the maker",
        "large                      the same as base",
        f"published checkpoints of voices; the cache is {cache.with_name('voices')}",
        "name    size  in the cache  sources",
        "kokoro  0 MB  no            the maker",
    ]
    main(["fetch", "base"])
    main(["fetch", "--list"])
    assert "base   0 MB  base.pt: verified  the maker" in capsys.readouterr().out


def test_the_real_list_has_every_size(cache, capsys):
    main(["fetch", "--list"])
    message = capsys.readouterr().out
    assert "large-v3-turbo  1,618 MB  no" in message
    assert "base            145 MB    no" in message
    assert "kokoro  111 MB  no" in message
    assert "unknown" not in message


def test_a_table_of_the_user_fills_a_folder(server, cache, tmp_path, capsys):
    other = at_address(server, "mine.pt", PT)
    table = write_table(tmp_path / "mine.yaml", {"mine": {"sources": [other]}})
    assert main(["fetch", "mine", "--sources", str(table)]) == 2
    assert "--sources: needs --to DIR" in capsys.readouterr().err
    assert main(["fetch", "mine", "--sources", str(table), "--to", str(tmp_path / "m")]) == 0
    assert (tmp_path / "m/model.pt").read_bytes() == PT
    capsys.readouterr()
    main(["fetch", "--list", "--sources", str(table)])
    assert capsys.readouterr().out.count("mine") == 1
    assert main(["fetch", "base", "--sources", str(table), "--to", str(tmp_path / "m")]) == 2
    assert f"base: no published checkpoint has this name in {table}; expected one of mine" in capsys.readouterr().err
    other["files"]["mine.pt"] = pinned(PT)
    del other["files"]["mine.pt"]["sha256"]
    write_table(table, {"mine": {"sources": [other]}})
    assert main(["fetch", "mine", "--sources", str(table), "--to", str(tmp_path / "m")]) == 1
    assert "mine.sources.0.files.mine.pt.sha256: found nothing, expected a value" in capsys.readouterr().err


def test_a_missing_or_unknown_name_is_refused(cache, capsys):
    assert main(["fetch"]) == 2
    assert "expected a NAME, or --list" in capsys.readouterr().err
    assert main(["fetch", "large-v9"]) == 2
    assert "large-v9: no published checkpoint has this name; expected one of tiny, base, " in capsys.readouterr().err
    assert "--to DIR" in parser().format_help()
