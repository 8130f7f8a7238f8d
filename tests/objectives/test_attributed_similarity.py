"""What is attributed where there are no logits: the scalars against loops, their maps against autograd."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from sonoprior.attribution import guided_pass
from sonoprior.core.errors import RecipeError
from sonoprior.models.head import linear_after_average
from sonoprior.models.taps import Tap
from sonoprior.objectives.attributed_similarity import (
    OUTPUTS,
    attributed_output,
    has_positive,
    mean_positive,
    output_weights,
)

LABELS = torch.tensor([0, 1, 0, 2, 1, -1, 0, -1])
IMAGES = torch.rand(8, 1, 10, 10, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
outputs = pytest.mark.parametrize("output", OUTPUTS)


def net(norm=False):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.Softplus(),
        nn.Conv2d(6, 4, 3, padding=1),
        nn.BatchNorm2d(4) if norm else nn.Identity(),
        nn.Softplus(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    ).double()


def embeddings():
    made = torch.randn(8, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return made.requires_grad_()


def test_the_scalars_are_their_loops():
    x = embeddings()
    torch.testing.assert_close(attributed_output(x, LABELS, "sum"), torch.stack([sum(row) for row in x]))
    found = attributed_output(x, LABELS, "positives")
    for i in range(8):
        others = [j for j in range(8) if j != i and LABELS[j] == LABELS[i] >= 0]
        wanted = sum(cosine_similarity(x[i], x[j], dim=0).item() for j in others) / max(len(others), 1)
        assert found[i].item() == pytest.approx(wanted)
        assert has_positive(LABELS)[i] == bool(others)


@outputs
def test_the_weights_are_the_derivative_and_so_is_theirs(output):
    x = embeddings()
    (wanted,) = torch.autograd.grad(attributed_output(x, LABELS, output).sum(), x, create_graph=True)
    found = output_weights(x, LABELS, output)
    torch.testing.assert_close(found, wanted)
    if output == "positives":
        towards = mean_positive(x, LABELS)
        probe = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)
        mine, theirs = (torch.autograd.grad((each * probe).sum(), x)[0] for each in (found, wanted))
        torch.testing.assert_close(mine, theirs)
        assert not towards.requires_grad


def test_each_image_attributes_itself_alone():
    x = embeddings()
    for i in range(8):
        (gradient,) = torch.autograd.grad(attributed_output(x, LABELS, "positives")[i], x)
        assert not gradient[torch.arange(8) != i].any()
        assert gradient[i].any() == has_positive(LABELS)[i]


def maps_by_autograd(model, output, create_graph=False):
    """Eq 2.4 with nothing of the project but the scalar."""
    features = model[:2](IMAGES)
    scalars = attributed_output(model[2:](features), LABELS, output)
    (gradient,) = torch.autograd.grad(scalars.sum(), features, create_graph=create_graph)
    return gradient.abs() * features


@outputs
def test_the_maps_of_a_pass_are_those_of_autograd(output):
    model = net()
    found, guided = guided_pass(model, Tap("1"), IMAGES)
    maps = guided.attribute(found, weights=output_weights(found, LABELS, output))
    torch.testing.assert_close(maps, maps_by_autograd(model, output))
    rows = torch.tensor([1, 4])
    some = guided.attribute(found, weights=output_weights(found, LABELS, output), rows=rows)
    torch.testing.assert_close(some, maps[rows])


@outputs
def test_a_loss_on_the_maps_has_the_gradient_of_autograd(output):
    model = net()
    probe = torch.rand(8, 6, 10, 10, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found, guided = guided_pass(model, Tap("1"), IMAGES)
    maps = guided.attribute(found, weights=output_weights(found, LABELS, output))
    mine = torch.autograd.grad((maps * probe).sum(), list(model.parameters()), allow_unused=True)
    wanted = maps_by_autograd(model, output, create_graph=True)
    theirs = torch.autograd.grad((wanted * probe).sum(), list(model.parameters()), allow_unused=True)
    for one, other in zip(mine, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


@outputs
def test_the_closed_form_and_the_running_statistics_agree_at_inference(output):
    model = net(norm=True).eval()
    ways = []
    for settings in [{}, {"batch_norm": "running"}, {"batch_norm": "mixed"}]:
        found, guided = guided_pass(model, Tap("4"), IMAGES, **settings)
        ways.append(guided.attribute(found, weights=output_weights(found, LABELS, output)))
    head = linear_after_average(model, Tap("4"), IMAGES)
    assert head == "7"
    found, guided = guided_pass(model, Tap("4"), IMAGES, closed_head=head)
    ways.append(guided.attribute(found, weights=output_weights(found, LABELS, output)))
    for way in ways[1:]:
        torch.testing.assert_close(way, ways[0])


def test_no_positive_no_attribution():
    labels = torch.arange(8)
    assert not has_positive(labels).any()
    for made in (attributed_output, output_weights):
        found = made(embeddings(), labels, "positives")
        assert not found.any()
        found.sum().backward()


def test_an_unknown_output_is_refused():
    for made in (attributed_output, output_weights):
        with pytest.raises(
            RecipeError, match="attributed output must be one of sum, positives, but got 'sums'"
        ):
            made(embeddings(), LABELS, "sums")
