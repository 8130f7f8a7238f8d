"""Network and objectives as one module."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sonoprior.core.errors import RecipeError
from sonoprior.models.taps import Tap
from sonoprior.objectives import PriorGuidedAttribution
from sonoprior.objectives.base import Context
from sonoprior.objectives.cross_entropy import CrossEntropy
from sonoprior.objectives.prior_guided_attribution import PriorGuidance
from sonoprior.objectives.settings import CrossEntropySettings, PriorGuidedAttributionSettings
from sonoprior.training.experiment import Experiment


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(6 * 64, 3))


def record(with_priors: bool = True):
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(6, 1, 8, 8, generator=generator)
    priors = (torch.rand(6, 1, 8, 8, generator=generator) > 0.7).float()
    present = torch.tensor([[True], [False], [True], [False], [False], [True]]) & with_priors
    fields = {"image": images, "label.view": torch.arange(6) % 3, "prior": priors}
    return SimpleNamespace(fields=fields, present={"prior": present})


def context(net) -> Context:
    example = torch.rand(2, 1, 8, 8)
    return Context(net, Tap("2"), example, "view", torch.tensor([2, 2, 2]), ("zone",))


def experiment(net, alpha: float, **settings) -> Experiment:
    about = context(net)
    objectives = {"classification": (1.0, CrossEntropy(CrossEntropySettings(), about))}
    if alpha:
        guidance = PriorGuidance(PriorGuidedAttributionSettings(**settings), about)
        objectives["guidance"] = (alpha, guidance)
    return Experiment(net, objectives)


def test_a_step_is_that_of_the_module_for_ones_own_loop():
    net, other = network(), network()
    batch = record()
    outcome = experiment(net, 4.0)({"labelled": {"only": batch}})
    outcome.loss.backward()
    guided = PriorGuidedAttribution(other, "2", alpha=4.0)
    logits, term = guided(batch.fields["image"], batch.fields["prior"], batch.present["prior"])
    (cross_entropy(logits, batch.fields["label.view"]) + term).backward()
    for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
    assert set(outcome.terms) == {"classification", "guidance"}


def test_a_batch_without_priors_is_a_plain_step():
    net, plain = network(), network()
    batch = record(with_priors=False)
    experiment(net, 4.0)({"labelled": {"only": batch}}).loss.backward()
    cross_entropy(plain(batch.fields["image"]), batch.fields["label.view"]).backward()
    for mine, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@pytest.mark.parametrize("batch_norm", ["detached", "running", "mixed"])
def test_bfloat16_computes_the_network_in_it_and_all_else_in_single_precision(batch_norm):
    seen = []
    exact, rounded = (experiment(network(), 4.0, batch_norm=batch_norm) for _ in range(2))
    rounded.precision = "bfloat16"
    rounded.network[0].register_forward_hook(lambda *given: seen.append(given[-1].dtype))
    outcomes = [each({"labelled": {"only": record()}}) for each in (exact, rounded)]
    for outcome in outcomes:
        outcome.loss.backward()
    assert seen[0] == torch.bfloat16
    assert outcomes[1].loss.dtype == torch.float32
    torch.testing.assert_close(outcomes[1].loss, outcomes[0].loss, rtol=0.03, atol=0.01)
    assert not torch.equal(outcomes[1].loss, outcomes[0].loss)
    mine, theirs = (
        torch.cat([each.grad.flatten() for each in of.network.parameters()]) for of in (rounded, exact)
    )
    assert mine.dtype == torch.float32
    assert (mine - theirs).norm() <= 0.1 * theirs.norm()


def test_copies_live_on_their_own():
    original = experiment(network(), 2.0)
    copied = copy.deepcopy(original)
    with torch.no_grad():
        copied.network[0].weight.add_(1)
    losses = [each({"labelled": {"only": record()}}).loss for each in (original, copied)]
    assert not torch.isclose(*losses)


def test_two_guidances_that_need_different_passes_are_refused():
    net = network()
    about = context(net)
    objectives = {
        name: (1.0, PriorGuidance(PriorGuidedAttributionSettings(batch_norm=kind), about))
        for name, kind in (("first", "detached"), ("second", "mixed"))
    }
    with pytest.raises(
        RecipeError, match=r"objectives.second: the objectives of one stream share one guided"
    ):
        Experiment(net, objectives)
