"""FixMatch in its three forms: against slow loops that follow the paper, finite differences, and edges."""

import math

import pytest
import torch
from pydantic import ValidationError

from sonoprior.core.errors import RecipeError
from sonoprior.objectives.fixmatch import FixMatch
from sonoprior.objectives.fixmatch_one_head import OneHeadFixMatch
from sonoprior.objectives.fixmatch_two_heads import HeadLogits, TwoHeadCrossEntropy, TwoHeadFixMatch
from sonoprior.objectives.label_combinations import combination_numbers, labels_shown
from sonoprior.objectives.multi_label_cross_entropy import multi_label_cross_entropy
from sonoprior.objectives.semi_supervised_settings import (
    FixMatchSettings,
    OneHeadFixMatchSettings,
    TwoHeadFixMatchSettings,
)

COMBINATIONS = torch.tensor([[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 0]])
TAU = 0.6
ALL_UNKNOWN = torch.full((9,), -1)


def logits(columns=4, size=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(size, columns, generator=generator, dtype=torch.float64)).requires_grad_()


def heads(seed, size=9):
    return HeadLogits(logits(4, size, seed), logits(3, size, seed + 100))


def softmax(row):
    total = sum(map(math.exp, row))
    return [math.exp(each) / total for each in row]


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def slow_bce(row, labels):
    """Eq 9 for one image, over its known labels."""
    terms = [
        v * math.log(sigmoid(x)) + (1 - v) * math.log(1 - sigmoid(x))
        for x, v in zip(row, labels, strict=True)
        if v >= 0
    ]
    return -sum(terms) / len(terms)


def slow_pseudo_labels(weak, tau=TAU):
    """Image to class, of the images whose largest probability is at least tau."""
    found = {}
    for i, row in enumerate(weak.tolist()):
        p = softmax(row)
        if max(p) >= tau:
            found[i] = p.index(max(p))
    return found


def single(**given):
    return FixMatch(FixMatchSettings(**{"threshold": TAU, **given}), 4)


def two_heads(**given):
    return TwoHeadFixMatch(TwoHeadFixMatchSettings(**{"threshold": TAU, **given}), COMBINATIONS)


def test_the_defaults_are_those_of_the_authors():
    for settings in (FixMatchSettings(), OneHeadFixMatchSettings(), TwoHeadFixMatchSettings()):
        assert settings.threshold == 0.95
    settings = FixMatchSettings()
    choices = (settings.alignment, settings.debiasing, settings.flexible, settings.inliers)
    assert choices == (None, None, None, None)


def test_single_label_is_its_slow_loop():
    weak, strong = logits(seed=0), logits(seed=1)
    found = slow_pseudo_labels(weak)
    assert 0 < len(found) < 9
    total = sum(-math.log(softmax(strong[i].tolist())[c]) for i, c in found.items())
    truth = torch.tensor([0, 1, 2, 3, -1, 0, 1, 2, -1])
    term = single()(weak, strong, truth)
    assert term.count == 9  # unused images count in the mean
    assert term.total.item() == pytest.approx(total)
    judged = [truth[i] == c for i, c in found.items() if truth[i] >= 0]
    assert term.monitors == {
        "pseudo_label_rate": (float(len(found)), 9.0),
        "pseudo_label_accuracy": (float(sum(judged)), float(len(judged))),
    }
    assert list(single()(weak, strong).monitors) == ["pseudo_label_rate"]
    assert single()(weak, strong, ALL_UNKNOWN).monitors["pseudo_label_accuracy"] == (0.0, 0.0)


def slow_one_head(weak, strong, truth):
    total, used, whole, single_labels = 0.0, 0, [], []
    for i, row in enumerate(weak.tolist()):
        p = [sigmoid(x) for x in row]
        if max(p) < TAU:
            continue
        labels = [int(each >= 0.5) for each in p]
        used, total = used + 1, total + slow_bce(strong[i].tolist(), labels)
        single_labels += [a == b for a, b in zip(labels, truth[i].tolist(), strict=True) if b >= 0]
        whole += [labels == truth[i].tolist()] if truth[i].min() >= 0 else []
    return total, used, whole, single_labels


def test_one_head_is_its_slow_loop():
    weak, strong = logits(3, seed=2), logits(3, seed=3)
    with torch.no_grad():
        weak[4] = -1.0  # shows nothing
    truth = (weak.detach() > 0).long()
    truth[0], truth[1, 2], truth[2, 0], truth[3] = -1, -1, 1 - truth[2, 0], 1 - truth[3]
    total, used, whole, single_labels = slow_one_head(weak, strong, truth)
    assert 0 < used < 9
    term = OneHeadFixMatch(OneHeadFixMatchSettings(threshold=TAU))(weak, strong, truth)
    assert (term.count, term.total.item()) == (9, pytest.approx(total))
    assert term.monitors == {
        "pseudo_label_rate": (float(used), 9.0),
        "pseudo_label_accuracy": (float(sum(whole)), float(len(whole))),
        "pseudo_label_agreement": (float(sum(single_labels)), float(len(single_labels))),
    }


@pytest.mark.parametrize("learner", ["single_label", "multi_label", "both"])
def test_two_heads_are_their_slow_loop(learner):
    weak, strong = heads(4), heads(5)
    found = slow_pseudo_labels(weak.single)
    assert 0 < len(found) < 9
    wanted = {
        "single_label": sum(-math.log(softmax(strong.single[i].tolist())[k]) for i, k in found.items()),
        "multi_label": sum(
            slow_bce(strong.multi[i].tolist(), COMBINATIONS[k].tolist()) for i, k in found.items()
        ),
    }
    wanted["both"] = sum(wanted.values())
    truth = COMBINATIONS[weak.single.argmax(1)].clone()
    wrong, partly = list(found)[:2]
    truth[wrong], truth[partly, 0] = 1 - truth[wrong], -1
    loss = two_heads(learner=learner)
    term = loss(weak, strong, truth)
    assert (term.count, term.total.item()) == (9, pytest.approx(wanted[learner]))
    used = len(found)
    assert term.monitors == {
        "pseudo_label_rate": (float(used), 9.0),
        "pseudo_label_accuracy": (used - 2.0, used - 1.0),
        "pseudo_label_agreement": (3 * used - 4.0, 3 * used - 1.0),
    }
    term.total.backward()
    assert (strong.single.grad is not None) == (learner != "multi_label")
    assert (strong.multi.grad is not None) == (learner != "single_label")


def test_eq_13_of_two_heads_with_its_labelled_part():
    """w for the head of the combinations, v for the binary cross-entropy; unknown labels are left out."""
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 1, -1], [-1, -1, -1]])
    given = heads(6, size=5)
    of_combinations = [
        -math.log(softmax(given.single[0].tolist())[2]),
        -math.log(softmax(given.single[1].tolist())[3]),  # [1, 1, 1] is no combination
    ]
    of_labels = [slow_bce(given.multi[i].tolist(), labels[i].tolist()) for i in range(4)]
    labelled = TwoHeadCrossEntropy(COMBINATIONS)(given, labels)
    wanted = sum(of_combinations) / 2 + sum(of_labels) / 4
    assert labelled.count == 4
    assert (labelled.total / labelled.count).item() == pytest.approx(wanted)
    assert labelled.monitors["single_label"] == (pytest.approx(sum(of_combinations)), 2.0)
    unlabelled = two_heads()(heads(4), heads(5))
    whole = labelled.total / labelled.count + 0.5 * unlabelled.total / unlabelled.count
    found = slow_pseudo_labels(heads(4).single)
    mean = sum(-math.log(softmax(heads(5).single[i].tolist())[k]) for i, k in found.items()) / 9
    assert whole.item() == pytest.approx(wanted + 0.5 * mean)


def test_gradients_are_those_of_finite_differences_and_the_weak_view_has_none():
    weak, strong = logits(seed=0), logits(seed=1)
    assert torch.autograd.gradcheck(lambda x: single()(weak, x).total, (strong,))
    single()(weak, strong).total.backward()
    assert weak.grad is None
    one_head = OneHeadFixMatch(OneHeadFixMatchSettings(threshold=TAU))
    assert torch.autograd.gradcheck(lambda x: one_head(weak, x).total, (strong,))
    pair, of_weak = heads(5), heads(4)
    loss = two_heads(learner="both")
    assert torch.autograd.gradcheck(lambda *x: loss(of_weak, HeadLogits(*x)).total, tuple(pair))
    labels = COMBINATIONS[torch.arange(9) % 4]
    labelled = TwoHeadCrossEntropy(COMBINATIONS)
    assert torch.autograd.gradcheck(lambda *x: labelled(HeadLogits(*x), labels).total, tuple(pair))


def forms(threshold):
    """Every form as a function of (weak, strong), both (B, 3)."""
    three = TwoHeadFixMatch(
        TwoHeadFixMatchSettings(threshold=threshold, learner="both"), torch.eye(3, dtype=torch.int64)
    )
    return {
        "single": FixMatch(FixMatchSettings(threshold=threshold), 3),
        "one_head": OneHeadFixMatch(OneHeadFixMatchSettings(threshold=threshold)),
        "two_heads": lambda w, s: three(HeadLogits(w, w), HeadLogits(s, s)),
    }


@pytest.mark.parametrize("name", ["single", "one_head", "two_heads"])
class TestEveryForm:
    def test_all_below_the_threshold_is_a_zero_on_the_graph(self, name):
        strong = torch.full((9, 3), torch.inf, dtype=torch.float64, requires_grad=True)
        term = forms(1.0)[name](logits(3), strong)
        assert (term.total, term.count) == (0, 9)
        assert term.monitors["pseudo_label_rate"] == (0.0, 9.0)
        term.total.backward()
        assert not strong.grad.any()

    def test_all_above_the_threshold(self, name):
        term = forms(0.0)[name](logits(3), logits(3, seed=1))
        assert term.monitors["pseudo_label_rate"] == (9.0, 9.0)

    @pytest.mark.parametrize("size", [0, 1])
    def test_one_image_or_none(self, name, size):
        strong = logits(3, size, seed=1)
        term = forms(0.0)[name](logits(3, size), strong)
        assert term.count == size
        term.total.backward()
        assert torch.isfinite(strong.grad).all()

    def test_a_probability_of_exactly_tau_is_used(self, name):
        """Much greater than tau, as printed, is at least tau."""
        weak = torch.tensor([[0.0, 0.0, -torch.inf]])
        assert forms(0.5)[name](weak, torch.zeros(1, 3)).monitors["pseudo_label_rate"] == (1.0, 1.0)

    def test_what_is_not_a_number_is_not_used(self, name):
        weak, strong = logits(3), logits(3, seed=1)
        wanted = forms(0.0)[name](weak[1:], strong[1:]).total
        strange = torch.where(torch.arange(9)[:, None] == 0, torch.nan, weak)
        of_strong = torch.where(torch.arange(9)[:, None] == 0, torch.nan, strong)
        torch.testing.assert_close(forms(0.0)[name](strange, of_strong).total, wanted)

    def test_half_precision_is_judged_in_single(self, name):
        weak, strong = logits(3).detach().bfloat16(), logits(3, seed=1).detach().bfloat16()
        wanted = forms(TAU)[name](weak.float(), strong.float())
        for enabled in (True, False):
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                found = forms(TAU)[name](weak, strong)
            assert found.total.dtype == torch.float32
            torch.testing.assert_close(found.total, wanted.total)
            assert found.monitors == wanted.monitors


def test_a_combination_has_a_number_and_its_labels():
    labels = torch.tensor([[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, -1, 1], [0, 1, 0], [1, 1, 1]])
    combinations = torch.tensor([[0, 0, 1], [0, 1, 0], [1, 1, 0]])
    numbers = combination_numbers(labels, combinations)
    assert numbers.tolist() == [2, 0, 2, -1, 1, -1]
    assert combination_numbers(labels[:0], combinations).shape == (0,)
    shown = labels_shown(numbers, combinations.bool())
    for number, row, label in zip(numbers.tolist(), shown.tolist(), labels.tolist(), strict=True):
        assert row == ([-1, -1, -1] if number < 0 else label)
    assert labels_shown(numbers[:0], combinations.bool()).shape == (0, 3)


def test_multi_label_cross_entropy_without_a_known_label_is_a_zero_on_the_graph():
    strange = torch.full((2, 3), torch.nan, requires_grad=True)
    term = multi_label_cross_entropy(strange, torch.full((2, 3), -1))
    assert (term.total, term.count) == (0, 0)
    term.total.backward()
    assert not strange.grad.any()
    partly = torch.tensor([[torch.nan, 0.0]], requires_grad=True)
    term = multi_label_cross_entropy(partly, torch.tensor([[-1.0, 1.0]]))
    assert term.total.item() == pytest.approx(math.log(2))
    term.total.backward()
    assert partly.grad.tolist() == [[0, -0.5]]


def test_bad_input_is_refused():
    x = logits()
    with pytest.raises(RecipeError, match=r"logits \(B, 4\), but got \(9, 4\) and \(8, 4\)"):
        single()(x, x[1:])
    with pytest.raises(RecipeError, match=r"logits \(B, 4\), but got \(9, 3\) and \(9, 3\)"):
        single()(x[:, 1:], x[:, 1:])
    with pytest.raises(RecipeError, match=r"must have shape \(9,\), but got \(9, 4\)"):
        single()(x, x, torch.zeros(9, 4))
    with pytest.raises(RecipeError, match="at least 2 classes to tell apart, but got 1"):
        FixMatch(FixMatchSettings(), 1)
    one_head = OneHeadFixMatch(OneHeadFixMatchSettings())
    with pytest.raises(RecipeError, match=r"must be 1, 0, or -1 for unknown, but got 2"):
        one_head(x, x, torch.full((9, 4), 2))
    with pytest.raises(RecipeError, match=r"must be 1, 0, or -1 for unknown, but got nan"):
        multi_label_cross_entropy(x, torch.full((9, 4), torch.nan))
    with pytest.raises(RecipeError, match=r"must both be \(B, C\), but got \(9, 4\) and \(9, 3\)"):
        multi_label_cross_entropy(x, torch.zeros(9, 3))
    with pytest.raises(RecipeError, match=r"must be \(B, C\), but got \(9,\)"):
        multi_label_cross_entropy(x, torch.zeros(9))
    for combinations in (COMBINATIONS[[0, 0]], -COMBINATIONS):
        with pytest.raises(RecipeError, match="distinct rows of 0 and 1"):
            TwoHeadCrossEntropy(combinations)
    with pytest.raises(RecipeError, match=r"\(B, 4\) and \(B, 3\), but got \(9, 4\) and \(9, 4\)"):
        two_heads()(HeadLogits(x, x), HeadLogits(x, x))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threshold": 1.1}, "less than or equal to 1"),
        ({"tau": 0.9}, "Extra inputs"),
        ({"alignment": {}, "debiasing": {}}, "correct for the same mean; choose one"),
        ({"debiasing": {"decay": 1}}, "less than 1"),
        ({"flexible": {}, "inliers": {"energy": -5}}, "say which images are used; choose one"),
        ({"inliers": {}}, "energy\n  Field required"),
        ({"inliers": {"energy": float("nan")}}, "finite number"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        FixMatchSettings(**given)
