"""A published name as a checkpoint: from the cache, from a server on this machine, and without a network."""

import pytest
import torch
from file_server import serving
from made_sources import address, at_address, on_hub, write_table
from whisper_made import TINY, made_state, write_hugging_face, write_openai

from k2d.core.errors import K2DError
from k2d.models.whisper import published
from k2d.models.whisper.checkpoint import Generation
from k2d.models.whisper.published import cache_folder, weights_digest
from k2d.models.whisper.recogniser import load_whisper


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(b"") as served:
        served.at["/"] = b""
        monkeypatch.setenv("HF_ENDPOINT", address(served, ""))
        yield served


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Set the sources of `base`."""

    def put(*listed, **more):
        table = write_table(tmp_path / "published.yaml", {"base": {"sources": list(listed), **more}})
        monkeypatch.setattr(published, "TABLE", table)

    return put


def test_a_published_name_is_fetched_once_into_the_cache_of_the_config(server, sources, tmp_path, monkeypatch):
    sources(at_address(server, "base.pt", write_openai(tmp_path / "made.pt").read_bytes()))
    assert load_whisper("base", ("zh",), cache=str(tmp_path / "models")).dims == TINY
    monkeypatch.setenv("K2D_WHISPER_CACHE", str(tmp_path / "models"))
    load_whisper("base")
    assert len(server.asked) == 1


def test_a_published_name_ignores_the_sources_settings_for_decoding(server, sources, tmp_path, capsys):
    """A stamp contains only the name, so the result must not depend on the source."""
    made = write_hugging_face(tmp_path / "made", suppress_tokens=[7], max_initial_timestamp_index=3)
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    sources(on_hub(server, "me/base", files), weights=weights_digest(write_openai(tmp_path / "same.pt")))
    by_name = load_whisper("base", cache=str(tmp_path))
    assert load_whisper(tmp_path / "base").generation.suppressed == (7,)
    assert by_name.generation == Generation()
    assert "digest" not in capsys.readouterr().err


def test_the_digest_depends_on_the_weights_and_not_on_the_file(tmp_path):
    half = {name: tensor.half() for name, tensor in made_state().items()}
    whole = {name: tensor.float() for name, tensor in half.items()}
    digest = weights_digest(write_openai(tmp_path / "half.pt", state=half))
    assert weights_digest(write_openai(tmp_path / "whole.pt", state=whole)) == digest
    assert weights_digest(write_hugging_face(tmp_path / "huggingface", state=half)) == digest
    whole["decoder.ln.bias"][0] = torch.nextafter(whole["decoder.ln.bias"][0], torch.tensor(9.0))
    assert weights_digest(write_openai(tmp_path / "other.pt", state=whole)) != digest


def test_without_a_network_the_remedy_is_reported(server, sources, tmp_path):
    source = at_address(server, "large-v2.pt", b"x")
    server.at.pop("/weights/large-v2.pt")
    sources(source)
    with pytest.raises(K2DError) as caught:
        load_whisper("base", cache=str(tmp_path / "models"))
    message = str(caught.value)
    assert "Whisper base: no source could be used:\n  the maker: the file is not there (HTTP 404)" in message
    assert f"put it as {tmp_path}/models/large-v2.pt ({server.url.rpartition('/')[0]}/weights/large-v2.pt, " in message
    assert "or call `python -m k2d fetch base --to DIR` there, copy DIR and name it as the checkpoint" in message
    assert "or set K2D_WHISPER_CACHE to a folder that has it" in message


def test_the_cache_is_chosen_by_the_config_the_environment_or_openai_whisper(tmp_path, monkeypatch):
    monkeypatch.delenv("K2D_WHISPER_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "whisper"
    monkeypatch.setenv("K2D_WHISPER_CACHE", "~/w")
    assert cache_folder().name == "w"
    assert str(cache_folder("/models")) == "/models"
