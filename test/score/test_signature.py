"""The signature: what changes it, what does not, and how differences are described."""

import pytest

from k2d.score.signature import differing_fields, settings_digest, signature, texts_digest
from k2d.text.normalise import Normaliser


def test_the_signature_contains_all_settings():
    line = signature(Normaliser(script="per_char"), "paper", "utterances-12ab", "beam-5-34cd")
    fields = dict(field.split(":", 1) for field in line.split("|"))
    assert list(fields) == ["k2d-score", "norm", "tok", "align", "set", "decode"]
    assert fields["norm"] == Normaliser(script="per_char").signature
    assert (fields["tok"], fields["set"], fields["decode"]) == ("paper", "utterances-12ab", "beam-5-34cd")
    assert "decode" not in signature(Normaliser(), "default", "utterances-12ab")


@pytest.mark.parametrize(
    ("rows", "is_same"),
    [
        ([("u2", "好"), ("u1", "ok")], True),  # in another order
        ([("u1", "ok"), ("u2", "好。")], False),
        ([("u1", "ok"), ("u3", "好")], False),
        ([("u1", "ok")], False),
    ],
)
def test_a_test_set_is_identified_by_its_ids_and_words(rows, is_same):
    assert (texts_digest(rows) == texts_digest([("u1", "ok"), ("u2", "好")])) is is_same


def test_settings_are_the_same_in_any_order():
    assert settings_digest({"beam": 1, "engine": "torch"}) == settings_digest({"engine": "torch", "beam": 1})
    assert settings_digest({"beam": 1}) != settings_digest({"beam": 2})


def test_a_field_that_only_one_signature_has_is_reported():
    assert differing_fields("tok:default|decode:beam-1", "tok:default") == ["decode: beam-1 / –"]
    assert differing_fields("tok:default", "tok:default") == []
