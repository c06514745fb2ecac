"""All formats give the same model: the fetched files, OpenAI's file, a Hugging Face folder, a CTranslate2 folder."""

from pathlib import Path

import pytest
import torch

from k2d.export import ctranslate2, huggingface, openai
from k2d.export.equivalence import TOLERANCE
from k2d.export.request import ExportRequest
from k2d.models.parity_check import make_probe, probe_logits
from k2d.models.registry import family_of, published_shape
from k2d.models.whisper.recogniser import load_whisper

FORMS = {"openai": openai, "huggingface": huggingface, "ctranslate2": ctranslate2}
N_PARAMETERS = 71_825_920


@pytest.fixture(scope="module")
def probe(fetched):
    return make_probe(fetched, ("zh",))


@pytest.fixture(scope="module")
def logits(fetched, probe):
    return probe_logits(fetched, probe)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_loads_as_the_same_weights_with_the_same_logits(fetched, probe, logits, exported, form):
    model = load_whisper(exported[form], ("zh",))
    ours, theirs = fetched.network.state_dict(), model.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert torch.equal(probe_logits(model, probe), logits)


@pytest.mark.parametrize("form", FORMS)
def test_the_library_that_reads_an_export_gives_the_same_logits(fetched, probe, logits, exported, form):
    folder = exported[form] if exported[form].is_dir() else exported[form].parent
    agreed = FORMS[form].loaded_back(folder, ExportRequest("base"), probe, logits)
    assert agreed.difference <= TOLERANCE


def test_the_weights_have_the_published_shape(checkpoint, fetched):
    assert family_of(checkpoint).shape(checkpoint, 0).parameters == published_shape("base").parameters
    assert sum(fetched.n_parameters().values()) == N_PARAMETERS


def test_each_form_is_recognised_as_a_whisper(checkpoint, exported):
    assert {family_of(path).name for path in (checkpoint, *exported.values(), Path("base"))} == {"whisper"}
