"""Losses compared with results worked out by hand, and with naive formulas."""

import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from k2d.core.errors import UsageError
from k2d.core.layout import PROJECT_ROOT
from k2d.objectives.objective import Objective, Sides
from k2d.objectives.terms import TERMS, Term, Tokens, ce, ctc, dkd, hidden_mse, kl


def tokens(student, teacher, targets, temperature=1.0, hidden=((0.0,), (0.0,))):
    return Tokens(
        torch.tensor(targets),
        torch.tensor(hidden[0]),
        torch.tensor(student).log(),
        torch.tensor(hidden[1]),
        torch.tensor(teacher).log(),
        temperature,
    )


# Two tokens, three classes; probabilities, so that everything can be done on paper.
STUDENT = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]
TEACHER = [[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]]


def test_cross_entropy_is_minus_the_log_of_the_labels_probability():
    assert ce(tokens(STUDENT, TEACHER, [0, 2])).tolist() == pytest.approx([math.log(2), math.log(4)])


def test_kl_goes_from_teacher_to_student():
    # 0.25 ln(0.25 / 0.5) + 0.5 ln(0.5 / 0.25) + 0.25 ln 1 = 0.25 ln 2; the second token is the same on both sides
    assert kl(tokens(STUDENT, TEACHER, [0, 0])).tolist() == pytest.approx([0.25 * math.log(2), 0.0], abs=1e-7)


def test_kl_at_temperature_2_by_hand():
    # at T = 2 probabilities are proportional to their roots: student √½ : ½ : ½, teacher ½ : √½ : ½
    a, b = math.sqrt(0.5), 0.5
    total = a + 2 * b
    expected = 4 * ((b / total) * math.log(b / a) + (a / total) * math.log(a / b))
    assert kl(tokens(STUDENT[:1], TEACHER[:1], [0], temperature=2.0)).tolist() == pytest.approx([expected])


def weighted_tokens(temperature):
    """The third class represents two tokens: the student's weights are 2 : 1 : 2 and the teacher's 1 : 2 : 2."""
    log_counts = torch.tensor([1.0, 1.0, 2.0]).log()
    return replace(tokens(STUDENT[:1], TEACHER[:1], [0], temperature), log_counts_V=log_counts)


def test_a_class_that_stands_for_two_tokens_has_the_weight_of_both():
    assert ce(weighted_tokens(1.0)).tolist() == pytest.approx([-math.log(2 / 5)])
    assert kl(weighted_tokens(1.0)).tolist() == pytest.approx([math.log(1 / 2) / 5 + 2 / 5 * math.log(2 / 1)])
    sure = 1 / 5 * math.log((1 / 5) / (2 / 5)) + 4 / 5 * math.log((4 / 5) / (3 / 5))
    rest = 1 / 2 * math.log((1 / 2) / (1 / 3)) + 1 / 2 * math.log((1 / 2) / (2 / 3))
    assert dkd(weighted_tokens(1.0)).tolist() == pytest.approx([sure + rest])


def test_its_weight_is_the_same_at_all_temperatures():
    """The loss equals that with the token listed twice."""
    twice = tokens([[0.5, 0.25, 0.25, 0.25]], [[0.25, 0.5, 0.25, 0.25]], [0], temperature=2.0)
    assert kl(weighted_tokens(2.0)).tolist() == pytest.approx(kl(twice).tolist())
    assert ce(weighted_tokens(2.0)).tolist() == pytest.approx(ce(twice).tolist())


def test_decoupled_distillation_by_hand():
    # the label is class 0: sure of it 0.5 against the teacher's 0.25; of the rest the student gives ½ : ½, the
    # teacher ⅔ : ⅓
    sure = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    rest = (2 / 3) * math.log((2 / 3) / (1 / 2)) + (1 / 3) * math.log((1 / 3) / (1 / 2))
    assert dkd(tokens(STUDENT[:1], TEACHER[:1], [0])).tolist() == pytest.approx([sure + rest])


def test_kl_is_the_sum_of_the_two_decoupled_parts():
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 7).softmax(-1), torch.randn(5, 7).softmax(-1)
    target = torch.tensor([0, 3, 6, 2, 1])
    sure_s, sure_t = (p.gather(1, target[:, None])[:, 0] for p in (student, teacher))
    sure = sure_t * (sure_t / sure_s).log() + (1 - sure_t) * ((1 - sure_t) / (1 - sure_s)).log()
    both = tokens(student.tolist(), teacher.tolist(), target.tolist())
    rest = dkd(both) - sure
    assert torch.allclose(kl(both), sure + (1 - sure_t) * rest, atol=1e-6)


def test_hidden_states_are_compared_by_their_mean_squared_difference():
    both = tokens(STUDENT[:1], TEACHER[:1], [0], hidden=([[1.0, 2.0]], [[3.0, 2.0]]))
    assert hidden_mse(both).tolist() == [2.0]


def test_ctc_sums_over_all_alignments():
    # two frames, blank 0 and label 1, each with probability ½: "1", "1-" and "-1" of four paths, so ¾
    log_probs = torch.full((1, 2, 2), 0.5).log()
    assert ctc(log_probs, [torch.tensor([1])], 0).item() == pytest.approx(-math.log(0.75))


def test_a_certain_teacher_gives_no_nan():
    certain = tokens([[1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]], [0])
    sure = Tokens(
        certain.targets_N,
        certain.student_hidden_ND,
        torch.tensor([[50.0, -50.0, -50.0]], requires_grad=True),
        certain.teacher_hidden_ND,
        torch.tensor([[60.0, -60.0, -60.0]]),
        2.0,
    )
    for name in ("ce", "kl", "dkd"):
        loss = TERMS[name].loss(sure).sum()
        (gradient,) = torch.autograd.grad(loss, sure.student_logits_NV)
        assert torch.isfinite(loss), name
        assert torch.isfinite(gradient).all(), name


# --- the weighted sum ---

ALL = {"ce": 0.8, "kl": 1.0, "hidden_mse": 0.5, "dkd": 0.3}


def sides(n=37, d=8, v=11):
    torch.manual_seed(1)
    student, teacher = torch.nn.Linear(d, v), torch.nn.Linear(d, v)
    hidden = torch.randn(n, d, requires_grad=True)
    return Sides(torch.randint(v, (n,)), hidden, student, torch.randn(n, d), teacher, v), student


def test_the_teachers_decoder_runs_only_for_terms_that_read_it():
    """Cross-entropy alone, the cheapest objective, needs no teacher."""
    assert {name: each.reads_teacher for name, each in TERMS.items()} == {
        "ce": False,
        "kl": True,
        "hidden_mse": True,
        "dkd": True,
    }


def test_a_term_added_from_outside_is_part_of_the_sum(monkeypatch):
    """The entropy of the student: a new term on its logits, defined only here."""

    def entropy(tokens):
        log_probs = tokens.student_logits_NV.log_softmax(-1)
        return -(log_probs.exp() * log_probs).sum(-1)

    monkeypatch.setitem(TERMS, "entropy", Term(entropy, reads_student_logits=True, reads_teacher_logits=False))
    both, layer = sides(n=5)
    objective = Objective({"ce": 1.0, "entropy": 0.1}, 2.0, chunk_elements=2 * both.n_vocabulary)
    log_probs = layer(both.student_hidden_ND).log_softmax(-1)
    assert objective.reads_logits
    assert objective.sums(both)["entropy"].item() == pytest.approx(-(log_probs.exp() * log_probs).sum().item())


@pytest.mark.parametrize("n_tokens_per_piece", [1, 5, 36, 37, 1000])
@pytest.mark.parametrize("weights", [ALL, {"ce": 0.8, "kl": 1.0}, {"hidden_mse": 1.0}])
def test_computed_in_pieces_it_equals_the_naive_formula_in_value_and_gradient(weights, n_tokens_per_piece):
    both, layer = sides()
    objective = Objective(weights, 2.0, chunk_elements=n_tokens_per_piece * both.n_vocabulary)
    loss = weighted(objective, both) / 37
    got = torch.autograd.grad(loss, [both.student_hidden_ND, *layer.parameters()], allow_unused=True)
    naive = naive_loss(weights, both)
    expected = torch.autograd.grad(naive, [both.student_hidden_ND, *layer.parameters()], allow_unused=True)
    assert loss.item() == pytest.approx(naive.item(), abs=1e-5)
    for mine, theirs in zip(got, expected, strict=True):
        assert (mine is None) == (theirs is None)
        assert mine is None or torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("n_tokens_per_piece", [4, 1000])
def test_a_weight_multiplies_the_loss_of_its_place(n_tokens_per_piece):
    """A place of weight 2 counts as two places, and one of weight 0 as none."""
    both, _ = sides(n=9)
    objective = Objective(ALL, 2.0, chunk_elements=n_tokens_per_piece * both.n_vocabulary)
    weights_N = torch.tensor([2.0, 0.0, 1.0] * 3)
    places = [n for n, weight in enumerate(weights_N.tolist()) for _ in range(int(weight))]
    repeated = replace(
        both,
        targets_N=both.targets_N[places],
        student_hidden_ND=both.student_hidden_ND[places],
        teacher_hidden_ND=both.teacher_hidden_ND[places],
    )
    found, expected = objective.sums(replace(both, weights_N=weights_N)), objective.sums(repeated)
    for name in ALL:
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-5)


def weighted(objective, both):
    return sum(objective.weights[name] * value for name, value in objective.sums(both).items())


def naive_loss(weights, both, t=2.0):
    student, teacher = both.student_output(both.student_hidden_ND), both.teacher_output(both.teacher_hidden_ND).detach()
    parts = {
        "ce": F.cross_entropy(student, both.targets_N),
        "kl": F.kl_div((student / t).log_softmax(-1), (teacher / t).softmax(-1), reduction="batchmean") * t * t,
        "hidden_mse": F.mse_loss(both.student_hidden_ND, both.teacher_hidden_ND),
    }
    if "dkd" in weights:
        whole = Tokens(both.targets_N, both.student_hidden_ND, student, both.teacher_hidden_ND, teacher, t)
        parts["dkd"] = dkd(whole).mean()
    return sum(weight * parts[name] for name, weight in weights.items())


def test_the_printed_formula_is_the_sum_at_temperature_1():
    both, _ = sides(n=3)
    objective = Objective({"ce": 0.8, "kl": 1.0}, temperature=1.0)
    student, teacher = both.student_output(both.student_hidden_ND), both.teacher_output(both.teacher_hidden_ND)
    p, q = student.softmax(-1).tolist(), teacher.softmax(-1).tolist()
    printed = 0.0
    for n, target in enumerate(both.targets_N.tolist()):
        kl_sum = sum(b * math.log(b / a) for a, b in zip(p[n], q[n], strict=True))
        printed += 0.8 * -math.log(p[n][target]) + kl_sum
    assert weighted(objective, both).item() == pytest.approx(printed, rel=1e-5)


def test_the_teacher_gets_no_gradient_and_unused_logits_are_not_computed():
    both, _ = sides()
    teacher = both.teacher_output
    Objective({"kl": 1.0}, 2.0).sums(both)["kl"].backward()
    assert teacher.weight.grad is None

    def fail(hidden):
        raise AssertionError("nobody asked for these logits")

    without = Sides(both.targets_N, both.student_hidden_ND, both.student_output, both.teacher_hidden_ND, fail, 11)
    Objective({"ce": 1.0}, 2.0).sums(without)


def test_wrong_terms_are_refused_at_once():
    with pytest.raises(UsageError, match=r"unknown term 'kll'; there are ce, kl, hidden_mse, dkd, ctc"):
        Objective({"kll": 1.0}, 2.0)
    with pytest.raises(UsageError, match="nothing to train"):
        Objective({"ce": 0.0}, 2.0)


ADDED = """
import sys
from k2d.objectives.terms import term
@term(student_logits=True, teacher_logits=False)
def entropy(tokens): ...
from k2d.config import ConfigError, load_config
print(load_config(sys.argv[1], ["distill.objective={entropy: 0.5}"]).distill.objective)
try:
    load_config(sys.argv[1], ["distill.objective={entropie: 0.5}"])
except ConfigError as error:
    print(error)
print("torch" in sys.modules)
"""


@pytest.mark.slow
def test_the_config_accepts_registered_terms_without_torch():
    """One decorated function is enough: the config accepts its name, and lists it if a name is unknown."""
    conf = str(PROJECT_ROOT / "conf" / "smoke.yaml")
    code = ADDED.replace("load_config(sys.argv[1]", "load_config(__import__('pathlib').Path(sys.argv[1])")
    done = subprocess.run([sys.executable, "-c", code, conf], cwd=PROJECT_ROOT, capture_output=True, text=True)
    first, *fault, has_torch = done.stdout.splitlines()
    assert first == "{'entropy': 0.5}", done.stderr
    assert "'ce', 'kl', 'hidden_mse', 'dkd', 'entropy' or 'ctc'" in "".join(fault)
    assert has_torch == "False"
