"""Rules that keep or drop, on rows worked out by hand, and rules that use only the label."""

from dataclasses import replace
from typing import get_args, get_type_hints

import pytest
from made_distances import far

from k2d.config.schema import Method
from k2d.core.errors import K2DError, UsageError
from k2d.select import labels
from k2d.select.controls import REASONS
from k2d.select.labels import LABEL_RULES, Label, label_rules, objection
from k2d.select.rules import ESTIMATED_ERROR, RULES, Judgement, judge

#                          loops_a, loops_b, n_a, n_b, mer, per
CLEAN = far(False, False, 9, 9, 0.4, 0.3)
FAR = far(False, False, 9, 9, 0.41, 0.41)
LOOPING_TEACHER = far(True, False, 60, 9, 0.0, 0.0)
LOOPING_AUXILIARY = far(False, True, 9, 60, 0.9, 0.9)
BOTH_LOOP = far(True, True, 60, 60, 0.0, 0.0)
EMPTY_TEACHER = far(False, False, 0, 9, 1.0, 1.0)
BOTH_EMPTY = far(False, False, 0, 0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("rule", "clean", "far", "looping_teacher", "looping_auxiliary", "both_loop"),
    [
        ("none", "", "", "", "", ""),
        ("trivial", "", "", "loop", "", "loop"),
        ("mer", "", "distance", "", "distance", ""),
        ("per", "", "distance", "", "distance", ""),
        ("composite", "", "distance", "loop", "", "loop"),
    ],
)
def test_each_rule_of_the_paper_at_its_alpha(rule, clean, far, looping_teacher, looping_auxiliary, both_loop):
    rows = (CLEAN, FAR, LOOPING_TEACHER, LOOPING_AUXILIARY, BOTH_LOOP)
    found = [judge(row, RULES[rule], 0.4).reason for row in rows]
    assert found == [clean, far, looping_teacher, looping_auxiliary, both_loop]


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_label_is_dropped_by_every_rule(rule):
    for row in (EMPTY_TEACHER, BOTH_EMPTY):
        aligned = replace(row, by_metric={**row.by_metric, "alignment": 0.0})
        assert judge(aligned, RULES[rule], 0.4).reason == "empty_teacher"


def test_a_rule_that_is_added_in_one_place_is_used(monkeypatch):
    """Drop labels that are shorter than the auxiliary's text: a rule on known columns is one function."""
    monkeypatch.setitem(RULES, "not_longer", lambda chunk: Judgement(float(chunk.n_b > chunk.n_a), "longer"))
    assert judge(CLEAN, RULES["not_longer"], 0.4) == Judgement(0.0, "")
    assert judge(far(False, False, 9, 10, 0.1, 0.1), RULES["not_longer"], 0.4) == Judgement(1.0, "longer")


def test_the_config_offers_these_rules():
    assert get_args(get_type_hints(Method)["rule"]) == (*RULES, ESTIMATED_ERROR, *REASONS)


@pytest.mark.parametrize(
    ("rule", "label", "keeps"),
    [
        ("characters_per_second", Label("c", "我们今天来看 gpu", 2.0), True),
        ("characters_per_second", Label("c", "我们", 30.0), False),  # two in half a minute
        ("characters_per_second", Label("c", "好" * 51, 2.0), False),
        ("compression_ratio", Label("c", "我们今天来看一个新的例子 transformer 怎么训练", 9.0), True),
        ("compression_ratio", Label("c", "谢谢大家 " * 20, 9.0), False),
        ("mean_logprob", Label("c", "好", 1.0, mean_logprob=-0.4), True),
        ("mean_logprob", Label("c", "好", 1.0, mean_logprob=-1.1), False),
        ("phrase_blacklist", Label("c", "今天的 subtitle 很好", 3.0), True),
        ("phrase_blacklist", Label("c", "请不吝点赞 订阅 转发", 3.0), False),
        ("phrase_blacklist", Label("c", " thanks for watching ", 3.0), False),
        ("identical_labels", Label("c", "好", 1.0, n_identical=2, n_in_recording=4), True),  # twice is chance
        ("identical_labels", Label("c", "好", 1.0, n_identical=3, n_in_recording=30), True),
        ("identical_labels", Label("c", "好", 1.0, n_identical=4, n_in_recording=30), False),
        ("language_gate", Label("c", "我们用 gpu 3 个", 2.0), True),
        ("language_gate", Label("c", "ご視聴ありがとうございました", 2.0), False),
        ("language_gate", Label("c", "спасибо за просмотр", 2.0), False),
        ("language_gate", Label("c", "시청해 주셔서 감사합니다", 2.0), False),
    ],
)
def test_rules_on_the_label(rule, label, keeps):
    assert LABEL_RULES[rule](label) is keeps


def test_han_text_is_not_dropped_by_rules():
    """Rules of other toolkits split at spaces or require lower-case letters, and so would drop all Mandarin text."""
    label = Label("c", "我们今天要讲的是深度学习里面最重要的一个方法", 6.0, mean_logprob=-0.2)
    assert objection(label, label_rules(LABEL_RULES)) == ""


def test_the_reason_is_the_first_rule_that_drops_the_chunk():
    label = Label("c", "请不吝点赞" * 20, 60.0)
    assert objection(label, label_rules(["phrase_blacklist", "compression_ratio"])) == "phrase_blacklist"
    assert objection(label, label_rules(["compression_ratio", "phrase_blacklist"])) == "compression_ratio"


def test_a_missing_log_probability_is_an_error():
    with pytest.raises(K2DError, match=r"c: the rule mean_logprob needs .* add a table utt2logprob"):
        LABEL_RULES["mean_logprob"](Label("c", "好", 1.0))


def test_unknown_rules_are_named():
    with pytest.raises(UsageError, match="also: found 'compresion_ratio', expected one of characters_per_second, comp"):
        label_rules(["compresion_ratio"])


def test_every_rule_has_a_version_to_be_recorded():
    assert isinstance(labels.VERSION, int)


def test_each_rule_has_cases_that_keep_and_drop():
    cases = test_rules_on_the_label.pytestmark[0].args[1]
    for verdict in (True, False):
        assert {rule for rule, _, keeps in cases if keeps is verdict} == set(LABEL_RULES)
