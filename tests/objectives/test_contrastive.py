"""Contrastive losses on two views: each against a slow loop, another library, closed forms and its edges."""

import math

import pytest
import torch
from pydantic import ValidationError
from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss, SupConLoss
from pytorch_metric_learning.reducers import MeanReducer

from sonoprior.core.errors import RecipeError
from sonoprior.objectives.contrastive_settings import NTXentSettings, SupervisedContrastiveSettings
from sonoprior.objectives.nt_xent import NTXent
from sonoprior.objectives.supervised_contrastive import SupervisedContrastive

LABELS = torch.tensor([0, 1, -1, 1, 0, 2, -1])


def views(size=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(size, 5, generator=generator, dtype=torch.float64) for _ in range(2)]
    return [each.requires_grad_() for each in drawn]


def slow(first, second, groups, temperature):
    """L_out, view by view; with a group an image it is NT-Xent."""
    z = torch.cat([first, second]).detach()
    z = z / z.norm(dim=1, keepdim=True)
    groups = [*groups, *groups]
    total = 0.0
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        denominator = sum(math.exp(float(z[i] @ z[a]) / temperature) for a in others)
        positives = [p for p in others if groups[p] == groups[i]]
        for p in positives:
            total -= math.log(math.exp(float(z[i] @ z[p]) / temperature) / denominator) / len(positives)
    return total


def mean(term):
    return term.total / term.count.clamp(min=1)


def supervised(**given):
    return SupervisedContrastive(SupervisedContrastiveSettings(**given))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_nt_xent_is_its_slow_loop_and_the_library(temperature):
    x, y = views()
    loss = NTXent(NTXentSettings(temperature=temperature))
    term = loss(x, y)
    assert term.count == 14
    assert term.total.item() == pytest.approx(slow(x, y, range(7), temperature))
    torch.testing.assert_close(mean(term), SelfSupervisedLoss(NTXentLoss(temperature))(x, y))
    torch.testing.assert_close(loss(y, 3 * x).total, term.total)  # neither order nor length matters
    assert torch.autograd.gradcheck(lambda *pair: loss(*pair).total, (x, y))


@pytest.mark.parametrize("given", [{}, {"temperature": 0.5}, {"unknown": "left_out"}], ids=str)
def test_supervised_contrastive_is_its_slow_loop_and_the_library(given):
    x, y = views()
    temperature, left_out = given.get("temperature", 0.1), "unknown" in given
    kept = [i for i in range(7) if LABELS[i] >= 0 or not left_out]
    groups = torch.tensor([int(LABELS[i]) if LABELS[i] >= 0 else 100 + i for i in kept])
    loss = supervised(**given)
    term = loss(x, y, LABELS)
    assert term.count == 2 * len(kept)
    assert term.total.item() == pytest.approx(slow(x[kept], y[kept], groups.tolist(), temperature))
    theirs = SupConLoss(temperature, reducer=MeanReducer())
    torch.testing.assert_close(mean(term), theirs(torch.cat([x[kept], y[kept]]), groups.repeat(2)))
    assert torch.autograd.gradcheck(lambda *pair: loss(*pair, LABELS).total, (x, y))


def test_without_any_label_supervised_contrastive_is_nt_xent():
    x, y = views()
    wanted = NTXent(NTXentSettings(temperature=0.3))(x, y).total
    found = supervised(temperature=0.3)(x, y, torch.full((7,), -1)).total
    torch.testing.assert_close(found, wanted)


def test_closed_forms():
    """All views alike: log(2 B - 1). Orthogonal images with like views: log(e^(1/T) + 2 B - 2) - 1/T."""
    alike = torch.ones(4, 3, requires_grad=True)
    orthogonal = torch.eye(4, requires_grad=True)
    for temperature in (0.2, 1.0):
        loss = NTXent(NTXentSettings(temperature=temperature))
        assert mean(loss(alike, alike)).item() == pytest.approx(math.log(7), rel=1e-5)
        wanted = math.log(math.exp(1 / temperature) + 6) - 1 / temperature
        term = loss(orthogonal, orthogonal)
        assert mean(term).item() == pytest.approx(wanted, rel=1e-4)
        assert term.monitors == {"partner_is_nearest": (8.0, 8.0)}
        term.total.backward()
        assert torch.isfinite(orthogonal.grad).all()


@pytest.mark.parametrize(
    ("size", "labels"),
    [(0, []), (1, [-1]), (1, [3]), (4, [2, 2, 2, 2])],
    ids=["empty", "one unknown", "one image", "one class"],
)
def test_nothing_to_tell_apart_is_a_zero_on_the_graph(size, labels):
    terms = [(supervised(), (torch.tensor(labels, dtype=torch.int64),))]
    if size < 2:
        terms.append((NTXent(NTXentSettings()), ()))
    for loss, more in terms:
        x, y = views(size)
        term = loss(x, y, *more)
        assert (term.total, term.count) == (0, 0)
        term.total.backward()
        assert not x.grad.any()
        assert not y.grad.any()


def test_images_left_out_change_nothing_whatever_they_hold():
    x, y = views()
    known = LABELS >= 0
    loss = supervised(unknown="left_out")
    wanted = loss(x[known], y[known], LABELS[known]).total
    strange = torch.where(known[:, None], x, torch.nan)
    torch.testing.assert_close(loss(strange, y, LABELS).total, wanted)
    assert loss(strange, y, torch.full((7,), -1)).total == 0


def test_half_precision_is_compared_in_single():
    x, y = (each.detach().bfloat16() for each in views())
    for loss, more in [(NTXent(NTXentSettings()), ()), (supervised(), (LABELS,))]:
        with torch.autocast("cpu", torch.bfloat16):
            found = loss(x, y, *more).total
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, loss(x.float(), y.float(), *more).total)


def test_a_zero_embedding_stays_finite():
    x, y = (each.detach() for each in views())
    x[0] = 0
    x.requires_grad_()
    NTXent(NTXentSettings())(x, y).total.backward()
    assert torch.isfinite(x.grad).all()


def test_bad_input_is_refused():
    x, y = views()
    with pytest.raises(RecipeError, match=r"one shape \(B, D\), but got \(7, 5\) and \(6, 5\)"):
        NTXent(NTXentSettings())(x, y[1:])
    with pytest.raises(RecipeError, match=r"one shape \(B, D\), but got \(7,\) and \(7,\)"):
        supervised()(x[:, 0], y[:, 0], LABELS)
    with pytest.raises(RecipeError, match=r"labels \(B,\), but got \(7, 5\) and \(6,\)"):
        supervised()(x, y, LABELS[1:])
    with pytest.raises(ValidationError, match="greater than 0"):
        NTXentSettings(temperature=0)
    with pytest.raises(ValidationError, match="'own_class' or 'left_out'"):
        SupervisedContrastiveSettings(unknown="negative")
