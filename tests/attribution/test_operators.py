"""The operators against autograd's own derivatives, and against finite differences."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from sonoprior.attribution.guided import guided_pass
from sonoprior.attribution.operators import AttributedOperators, Pass
from sonoprior.models.taps import Tap

GEOMETRIES = [
    {"padding": 1},
    {"stride": 2, "padding": 1},
    {"groups": 2},
    {"dilation": 2, "padding": 2, "bias": False},
    {"padding": "same"},
]


def small_net(**geometry) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, **geometry),
        nn.BatchNorm2d(4),
        nn.Softplus(),
        nn.AdaptiveMaxPool2d(2),
        nn.Conv2d(4, 5, 2),
        nn.Flatten(),
        nn.Tanh(),
        nn.Linear(5, 3),
    ).double()


def guided_gradients(net, images, batch_norm, rows=None):
    """The attribution and the parameters' gradients of a loss that runs through it."""
    net = copy.deepcopy(net)
    logits, guided = guided_pass(net, Tap("2"), images, batch_norm)
    maps = guided.attribute(logits, rows=rows)
    (functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])) + maps.square().sum()).backward()
    return maps.detach(), [parameter.grad for parameter in net.parameters()]


def plain_gradients(net, images, rows=slice(None)):
    """The same, as autograd takes it by itself."""
    net = copy.deepcopy(net)
    with Tap("2").capture(net) as captured:
        logits = net(images)
    (gradient,) = torch.autograd.grad(logits.sum(), captured.features, create_graph=True)
    maps = (gradient.abs() * captured.features)[rows]
    (functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])) + maps.square().sum()).backward()
    return maps.detach(), [parameter.grad for parameter in net.parameters()]


def same(one, other):
    torch.testing.assert_close(one[0], other[0])
    for mine, theirs in zip(one[1], other[1], strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("training", [True, False])
def test_mixed_statistics_give_what_autograd_gives(geometry, training):
    net, images = small_net(**geometry).train(training), torch.rand(4, 1, 9, 9).double()
    same(guided_gradients(net, images, "mixed"), plain_gradients(net, images))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_rows_give_what_autograd_gives_for_these_images(geometry):
    net, images = small_net(**geometry).eval(), torch.rand(4, 1, 9, 9).double()
    rows = torch.tensor([0, 3])
    same(guided_gradients(net, images, "detached", rows), plain_gradients(net, images, rows))


@pytest.mark.parametrize("batch_norm", ["detached", "running", "mixed"])
def test_rows_in_training_are_those_of_all(batch_norm):
    net, images = small_net(padding=1).train(), torch.rand(4, 1, 9, 9).double()
    rows = torch.tensor([1, 2])
    some, _ = guided_gradients(net, images, batch_norm, rows)
    every, _ = guided_gradients(net, images, batch_norm)
    torch.testing.assert_close(some, every[rows])


def test_detached_statistics_are_constants():
    """A slow oracle: the same net with its batch statistics written in as running ones, in eval mode."""
    net, images = small_net(padding=1).train(), torch.rand(4, 1, 9, 9).double()
    frozen = copy.deepcopy(net).eval()
    reached = images
    for mine, theirs in zip(net, frozen, strict=True):
        if isinstance(mine, nn.BatchNorm2d):
            theirs.running_mean = reached.mean((0, 2, 3)).detach()
            theirs.running_var = reached.var((0, 2, 3), unbiased=False).detach()
        reached = theirs(reached)
    detached, _ = guided_gradients(net, images, "detached")
    as_frozen, _ = plain_gradients(frozen, images)
    torch.testing.assert_close(detached, as_frozen)


def test_detached_statistics_keep_the_whole_gradient_of_the_loss():
    net, images = small_net(padding=1).train(), torch.rand(4, 1, 9, 9).double()
    labels = torch.tensor([0, 1, 2, 0])
    guided, plain = copy.deepcopy(net), copy.deepcopy(net)
    logits, _ = guided_pass(guided, Tap("2"), images, "detached")
    functional.cross_entropy(logits, labels).backward()
    functional.cross_entropy(plain(images), labels).backward()
    same(
        (logits, [p.grad for p in guided.parameters()]), (plain(images), [p.grad for p in plain.parameters()])
    )


def test_an_image_attributes_alone_when_detached_and_with_others_when_mixed():
    net, images = small_net(padding=1).train(), torch.rand(4, 1, 9, 9).double()

    def leak(batch_norm):
        logits, guided = guided_pass(net, Tap("2"), images, batch_norm)
        guided._state.attributing = True
        (gradient,) = torch.autograd.grad(logits[0].sum(), guided.features)
        return float(gradient[1:].abs().max())

    assert leak("detached") == 0
    assert leak("mixed") > 0


def test_running_statistics_and_buffers_are_updated_once():
    net, images = small_net(padding=1).train(), torch.rand(4, 1, 9, 9).double()
    for batch_norm in ("detached", "running", "mixed"):
        guided, plain = copy.deepcopy(net), copy.deepcopy(net)
        logits, made = guided_pass(guided, Tap("2"), images, batch_norm)
        made.attribute(logits)
        plain(images)
        for name, buffer in plain.named_buffers():
            torch.testing.assert_close(dict(guided.named_buffers())[name], buffer, msg=f"{batch_norm} {name}")


def test_second_derivative_by_finite_differences():
    torch.manual_seed(0)
    weight = torch.randn(4, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    images = torch.randn(2, 2, 5, 5, dtype=torch.float64, requires_grad=True)

    def attribution(images, weight):
        state = Pass(attributing=True)
        with AttributedOperators(state):
            output = torch.conv2d(images, weight, None, 2, 1).tanh().sum()
        (gradient,) = torch.autograd.grad(output, images, create_graph=True)
        state.attributing = False
        return gradient

    assert torch.autograd.gradcheck(attribution, (images, weight))


def under_autocast(gradients, *given):
    """Attribution and gradients as the forward pass in bfloat16 gives them; autograd runs outside of it."""
    with torch.autocast("cpu", torch.bfloat16):
        return gradients(*given)


def close(one, other, tolerance):
    """Equal but for the rounding of bfloat16, whose numbers have eight digits of two."""
    # All parameters in one: that of a bias before a normalisation is nothing but rounding.
    mine, theirs = (torch.cat([gradient.flatten() for gradient in made[1]]) for made in (one, other))
    assert (mine - theirs).norm() <= tolerance * theirs.norm()
    assert (one[0] - other[0]).norm() <= tolerance * other[0].norm()


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_autocast_gives_what_autograd_gives_under_it(geometry):
    net, images = small_net(**geometry).float().train(), torch.rand(4, 1, 9, 9)
    guided = under_autocast(guided_gradients, net, images, "mixed")
    close(guided, under_autocast(plain_gradients, net, images), 0.03)


@pytest.mark.parametrize("batch_norm", ["detached", "running", "mixed"])
def test_autocast_gives_nearly_what_single_precision_gives(batch_norm):
    net, images = small_net(padding=1).float().train(), torch.rand(4, 1, 9, 9)
    guided = under_autocast(guided_gradients, net, images, batch_norm)
    assert guided[0].dtype == torch.float32
    assert all(gradient.dtype == torch.float32 for gradient in guided[1])
    close(guided, guided_gradients(net, images, batch_norm), 0.1)


def test_double_precision_is_left_alone_by_autocast_as_torch_leaves_it():
    net, images = small_net(padding=1).train(), torch.rand(4, 1, 9, 9).double()
    same(under_autocast(guided_gradients, net, images, "detached"), guided_gradients(net, images, "detached"))
