"""BYOL, VICReg and DINO: lightly's parts against slow loops, the momentum network in closed form."""

import copy
import math
import sys

import pytest
import torch
from torch import nn

from objective_inputs import batches, context, drawn, heads, objective
from sonoprior.core.errors import MissingExtraError, RecipeError
from sonoprior.objectives.momentum import MomentumNetwork
from sonoprior.objectives.self_supervised_settings import MomentumSettings
from sonoprior.training.experiment import Experiment

SMALL = {
    "byol": {"hidden": 16, "projection": 8},
    "vicreg": {"hidden": 16, "projection": 8},
    "dino": {"hidden": 16, "bottleneck": 8, "prototypes": 12},
}


def small(name, given=None, **settings):
    return objective(name, given, **(SMALL[name] | settings))


def leaf(outputs, view):
    return outputs[view].outputs[:, 4:12]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


# The losses


def teacher_outputs(momentum, found, given):
    """What the momentum network makes of both views, by hand."""
    return [
        momentum.head(momentum.network(found[view].fields["image"])[:, 4:12]) for view in ("first", "second")
    ]


def test_byol_is_its_slow_loop():
    given, found = context(), batches()["unlabelled"]
    one, outputs = small("byol", given), drawn(given)
    term = one(outputs, found)
    predictions = [one.prediction(one.projection(leaf(outputs, view))) for view in ("first", "second")]
    of_first, of_second = teacher_outputs(one.target, found, given)
    pairs = [*zip(predictions[0], of_second, strict=True), *zip(predictions[1], of_first, strict=True)]
    wanted = -sum(cosine(p.tolist(), t.tolist()) for p, t in pairs) / 2
    assert term.total.item() == pytest.approx(wanted, rel=1e-4)
    assert int(term.count) == 8


def test_vicreg_is_its_slow_loop():
    given, found = context(), batches()["unlabelled"]
    one, outputs = small("vicreg", given, invariance=2, variance=3, covariance=5), drawn(given)
    term = one(outputs, found)
    a, b = (one.projection(leaf(outputs, view)).tolist() for view in ("first", "second"))
    n, d = len(a), len(a[0])
    invariance = (
        sum((x - y) ** 2 for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)) / n / d
    )

    def moments(z):
        means = [sum(row[j] for row in z) / n for j in range(d)]

        def covariance(i, j):
            return sum((row[i] - means[i]) * (row[j] - means[j]) for row in z) / (n - 1)

        hinge = sum(max(0, 1 - math.sqrt(covariance(j, j) + 1e-4)) for j in range(d)) / d
        return hinge, sum(covariance(i, j) ** 2 for i in range(d) for j in range(d) if i != j) / d

    (hinge_a, spread_a), (hinge_b, spread_b) = moments(a), moments(b)
    wanted = 2 * invariance + 3 * (hinge_a + hinge_b) / 2 + 5 * (spread_a + spread_b)
    assert (term.total / term.count).item() == pytest.approx(wanted, rel=1e-4)


def test_dino_is_its_slow_loop_and_the_mean_of_its_targets_follows():
    given, found = context(), batches()["unlabelled"]
    one, outputs = (
        small("dino", given, temperature=0.2, teacher_temperature=0.1, center_momentum=0.7),
        drawn(given),
    )
    centre = torch.randn(12)
    one.loss.center.copy_(centre)
    students = [one.projection(leaf(outputs, view)) for view in ("first", "second")]
    term = one(outputs, found)
    teachers = teacher_outputs(one.teacher, found, given)
    wanted = 0.0
    for teacher, student in ((teachers[0], students[1]), (teachers[1], students[0])):
        for t, s in zip(teacher, student, strict=True):
            p = ((t - centre) / 0.1).exp()
            p = (p / p.sum()).tolist()
            logs = (s / 0.2 - (s / 0.2).exp().sum().log()).tolist()
            wanted -= sum(x * y for x, y in zip(p, logs, strict=True)) / 2
    assert term.total.item() == pytest.approx(wanted, rel=1e-4)
    followed = 0.7 * centre + 0.3 * torch.cat(teachers).mean(0)
    torch.testing.assert_close(one.loss.center.flatten(), followed)


# The momentum network


def linear(value):
    made = nn.Linear(2, 2)
    nn.init.constant_(made.weight, value)
    nn.init.constant_(made.bias, value)
    return made


@pytest.mark.parametrize("over", [None, 4])
def test_momentum_in_closed_form(over):
    """The trained weights stand at 1; every step shrinks the copy's distance to them by the momentum."""
    network, head = linear(0.0), linear(0.0)
    settings = MomentumSettings(momentum=0.8, momentum_steps=over)
    momentum = MomentumNetwork(settings, network, head, nn.Linear(2, 2))
    for each in (network, head):
        for parameter in each.parameters():
            nn.init.ones_(parameter)
    away = 1.0
    for k in range(6):
        done = 0 if over is None else min(k / over, 1)
        rate = 1 - 0.2 * (math.cos(math.pi * done) + 1) / 2
        assert momentum.momentum() == pytest.approx(rate)
        momentum.follow()
        away *= rate
        for parameter in momentum.parameters():
            torch.testing.assert_close(parameter, torch.full_like(parameter, 1 - away))
    assert not any(parameter.requires_grad for parameter in momentum.parameters())


def test_the_schedule_is_that_of_lightly():
    from lightly.utils.scheduler import cosine_schedule

    momentum = MomentumNetwork(
        MomentumSettings(momentum=0.9, momentum_steps=10), linear(0), linear(0), nn.Linear(2, 2)
    )
    for k in range(11):
        assert momentum.momentum() == pytest.approx(cosine_schedule(k, 11, 0.9, 1.0))
        momentum.follow()


def steps(experiment, count, start=0):
    optimiser = torch.optim.SGD([of for of in experiment.parameters() if of.requires_grad], lr=0.05)
    for number in range(start, start + count):
        views = batches()
        for each in views["unlabelled"].values():
            each.fields["image"] = (each.fields["image"] + 0.1 * number) % 1
        optimiser.zero_grad()
        experiment(views).loss.backward()
        optimiser.step()
        experiment.after_step()


@pytest.mark.parametrize("name", ["byol", "dino"])
def test_a_run_goes_on_from_its_state_as_if_it_had_never_stopped(name):
    def made():
        given = context()
        one = small(name, given, momentum=0.5, momentum_steps=5)
        return Experiment(given.network, {"one": (1.0, one)}, given.heads)

    torch.manual_seed(0)
    whole = made()
    begun = {key: of.clone() for key, of in whole.state_dict().items()}
    steps(whole, 3)
    stopped = made()
    stopped.load_state_dict(begun)
    steps(stopped, 1)
    resumed = made()
    resumed.load_state_dict(stopped.state_dict())
    steps(resumed, 2, start=1)
    for key, of in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], of, msg=key)
    trained, own = whole.network[0].weight, begun["network.0.weight"]
    momentum = whole.objectives["one"].target if name == "byol" else whole.objectives["one"].teacher
    copied = momentum.network[0].weight
    assert 0 < (copied - own).norm() < (trained - own).norm()


def test_a_copy_of_an_experiment_follows_its_own_network():
    given = context()
    experiment = Experiment(given.network, {"one": (1.0, small("byol", given))}, given.heads)
    other = copy.deepcopy(experiment)
    nn.init.zeros_(experiment.network[0].weight)
    before = other.objectives["one"].target.network[0].weight.clone()
    other.after_step()
    torch.testing.assert_close(other.objectives["one"].target.network[0].weight, before)


# Edges


@pytest.mark.parametrize("name", ["byol", "vicreg"])
def test_one_image_has_no_batch_statistics_and_adds_nothing(name):
    given = context()
    one, outputs = small(name, given), drawn(given, size=1)
    term = one(outputs, batches(1)["unlabelled"])
    term.total.backward()
    assert (term.total.item(), int(term.count)) == (0, 0)


@pytest.mark.parametrize("name", SMALL)
def test_a_missing_extra_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightly.loss", None)
    monkeypatch.setitem(sys.modules, "lightly.models.modules.heads", None)
    with pytest.raises(MissingExtraError, match=r"need lightly, .*pip install 'sonoprior\[lightly\]'"):
        small(name)


@pytest.mark.parametrize("name", SMALL)
def test_an_embedding_is_needed(name):
    with pytest.raises(RecipeError, match=f"{name} needs an embedding"):
        small(name, context(heads=heads(levels=(), dimension=0)))
