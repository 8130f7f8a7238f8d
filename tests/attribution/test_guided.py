"""Attribution maps against Captum, finite differences and the closed form; laws over every kind of pass."""

from typing import get_args

import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam, LayerGradientXActivation
from torch import nn
from torch.nn.functional import cross_entropy

from sonoprior.attribution import attribution_maps, guided_pass, integrated_gradients
from sonoprior.attribution.gradients import Method, attribution, target_weights
from sonoprior.attribution.guided import replay
from sonoprior.core.errors import ModelError
from sonoprior.models import ModelSpec, build_network
from sonoprior.models.head import linear_after_average
from sonoprior.models.taps import Tap
from sonoprior.objectives.base import averaged
from sonoprior.objectives.prior_guided_attribution import guided_term
from sonoprior.objectives.settings import PriorGuidedAttributionSettings


def pooled_net() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 4, 3, padding=1),
        nn.Softplus(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4, 3),
    )


IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def test_grad_input_against_captum():
    net = pooled_net().eval()
    logits, guided = guided_pass(net, Tap("1"), IMAGES)
    mine = guided.attribute(logits, target="label", labels=torch.tensor([0, 1, 2]))
    theirs = LayerGradientXActivation(net, net[1]).attribute(IMAGES, target=[0, 1, 2])
    # Captum keeps the sign of the gradient, eq 2.4 does not; the features after a ReLU are not negative.
    torch.testing.assert_close(mine, theirs.abs())


def test_grad_cam_against_captum():
    net, labels = pooled_net().eval(), torch.tensor([0, 1, 2])
    logits, guided = guided_pass(net, Tap("1"), IMAGES)
    mine = guided.attribute(logits, method="grad_cam", target="label", labels=labels)
    theirs = LayerGradCam(net, net[1]).attribute(IMAGES, target=[0, 1, 2])
    assert (theirs < 0).any()
    torch.testing.assert_close(mine.sum(1, keepdim=True), theirs)


def test_before_average_pooling_and_a_linear_layer_it_is_cam():
    """The class's row of the last layer, times the map, over the positions that pooling averages."""
    net, labels = pooled_net().eval(), torch.tensor([2, 0, 1])
    logits, guided = guided_pass(net, Tap("3"), IMAGES)
    mine = guided.attribute(logits, method="grad_cam", target="label", labels=labels).sum(1)
    rows = net[7].weight[labels]
    cam = (rows[:, :, None, None] * net[:4](IMAGES)).sum(1)
    torch.testing.assert_close(mine, cam / cam[0].numel())


@pytest.mark.parametrize("target", ["sum", "label", "predicted"])
def test_grad_against_finite_differences(target):
    net = pooled_net().eval().double()
    images, labels, tap = IMAGES.double(), torch.tensor([2, 0, 1]), Tap("1")
    logits, guided = guided_pass(net, tap, images)
    mine = guided.attribute(logits, method="grad", target=target, labels=labels)
    weights = target_weights(logits, target, labels).detach()
    features, step = guided.features.detach(), 1e-6
    for position in [(0, 0, 0, 0), (1, 3, 4, 2), (2, 5, 7, 7)]:
        moved = features.clone()
        moved[position] += step
        change = (replay(net, tap, images, moved) - replay(net, tap, images, features)) * weights
        assert mine[position].item() == pytest.approx(abs(change.sum().item()) / step, abs=1e-6)


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("target", ["sum", "label", "predicted"])
def test_closed_form_is_autograd(method, target):
    net, labels = pooled_net().eval(), torch.tensor([0, 1, -1])
    head = linear_after_average(net, Tap("3"), IMAGES)
    assert head == "7"
    rows = torch.tensor([2, 0])
    maps = []
    for closed in (head, None):
        logits, guided = guided_pass(net, Tap("3"), IMAGES, closed_head=closed)
        maps.append(guided.attribute(logits, method=method, target=target, labels=labels, rows=rows))
    torch.testing.assert_close(*maps)


class Windowed(nn.Module):
    """A network whose tail convolves windows of the maps: four for each image, along the first axis."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.stem, self.tail = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.stem(images)
        count, channels, height, width = features.shape
        cut = features.view(count, channels, 2, height // 2, 2, width // 2).permute(0, 2, 4, 1, 3, 5)
        windows = self.tail(cut.reshape(4 * count, channels, height // 2, width // 2)).relu()
        return self.head(windows.view(count, 4, channels, -1).square().mean((1, 3)))


@pytest.mark.parametrize("net", [Windowed, pooled_net])
def test_images_attributed_by_themselves_have_the_maps_that_they_have_among_all(net):
    model, rows = net().eval(), torch.tensor([2, 0])
    tap = Tap("stem" if isinstance(model, Windowed) else "1")
    maps = []
    for wanted in (None, rows):
        logits, guided = guided_pass(model, tap, IMAGES)
        maps.append(guided.attribute(logits, method="grad", rows=wanted))
    assert maps[1].abs().amax() > 0
    torch.testing.assert_close(maps[0][rows], maps[1])


@pytest.mark.parametrize("method", ["grad_input", "grad_cam"])
def test_closed_form_trains_the_same_weights(method):
    gradients = []
    for closed in ("7", None):
        net = pooled_net().eval()
        logits, guided = guided_pass(net, Tap("3"), IMAGES, closed_head=closed)
        guided.attribute(logits, method=method).var().backward()
        gradients.append([parameter.grad for parameter in net.parameters()])
    for mine, theirs in zip(*gradients, strict=True):  # the last bias has no part in it
        torch.testing.assert_close(
            *(value if value is not None else torch.zeros(3) for value in (mine, theirs))
        )


def test_no_closed_form_where_something_else_follows():
    net = pooled_net()
    assert linear_after_average(net, Tap("1"), IMAGES) is None
    net.insert(4, nn.AdaptiveMaxPool2d(2))
    assert linear_after_average(net, Tap("3"), IMAGES) is None


def test_an_unlabelled_image_attributes_nothing():
    logits, guided = guided_pass(pooled_net().eval(), Tap("1"), IMAGES)
    maps = guided.attribute(logits, target="label", labels=torch.tensor([0, -1, 1]))
    assert maps[1].abs().max() == 0
    assert maps[0].abs().max() > 0
    with pytest.raises(ValueError, match="target 'label' needs the labels"):
        guided.attribute(logits, target="label")


def test_no_hook_and_no_mode_stay_behind():
    net, tap = pooled_net(), Tap("1")
    guided_pass(net, tap, IMAGES)
    with pytest.raises(RuntimeError), tap.capture(net):
        net(torch.rand(1, 2, 8, 8))
    replay(net, tap, IMAGES, torch.rand(3, 6, 8, 8))
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in net.modules())
    assert torch.overrides._get_current_function_mode() is None
    assert net.training
    assert torch.is_grad_enabled()


def test_an_in_place_activation_after_the_tap_changes_nothing():
    maps = []
    for in_place in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(inplace=in_place), nn.Flatten(), nn.LazyLinear(2))
        net(IMAGES)
        logits, guided = guided_pass(net, Tap("0"), IMAGES)
        maps.append((guided.features, guided.attribute(logits)))
    torch.testing.assert_close(*maps)
    assert maps[0][0].min() < 0, "the tap stands before the activation"


def test_a_frozen_stem_is_no_obstacle():
    net = pooled_net()
    net[0].requires_grad_(requires_grad=False)
    logits, guided = guided_pass(net, Tap("0"), IMAGES)
    guided.attribute(logits).sum().backward()
    assert net[0].weight.grad is None
    assert net[2].weight.grad is not None


def test_a_compiled_stem_is_guided_like_any_other():
    net = pooled_net().eval()
    compiled = nn.Sequential(torch.compile(net[0], backend="eager"), *net[1:])
    maps = []
    for model in (net, compiled):
        logits, guided = guided_pass(model, Tap("1"), IMAGES)
        maps.append(guided.attribute(logits))
    torch.testing.assert_close(*maps)


def trained_with(batch_norm):
    """A small net guided for a while on bright discs, and the median correlation of its two maps."""
    torch.manual_seed(0)
    network, tap = build_network(ModelSpec(backbone="test_resnet", tap="stage2"), 2)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    settings = PriorGuidedAttributionSettings(batch_norm=batch_norm)
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        images, discs, labels = discs_on_speckle(generator)
        logits, guided = guided_pass(network, tap, images, batch_norm)
        there = torch.ones(16, 1, dtype=torch.bool)
        term = guided_term(guided, logits, discs, there, torch.ones_like(logits), settings)
        optimiser.zero_grad()
        (cross_entropy(logits, labels) + 10 * averaged(term)).backward()
        optimiser.step()
    images, _, _ = discs_on_speckle(generator)
    evaluated = attribution_maps(network, tap, images, priors=1).allocated[:, 0]
    logits, guided = guided_pass(network, tap, images, batch_norm)
    trained = guided.attribute(logits).unflatten(1, (2, -1))[:, 0].mean(1)
    pairs = zip(trained.flatten(1).detach(), evaluated.flatten(1), strict=True)
    return torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs]).median()


def discs_on_speckle(generator):
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    centre = torch.randint(8, 24, (2, 16, 1, 1, 1), generator=generator)
    discs = ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 36).float()
    labels = torch.arange(16) % 2
    images = torch.rand(16, 1, 32, 32, generator=generator) * 0.4 + discs * (
        0.2 + 0.3 * labels.view(-1, 1, 1, 1)
    )
    return images, discs, labels


def test_training_and_evaluation_see_the_same_map():
    """With the statistics detached, what training guides is what a report shows."""
    assert trained_with("detached") >= 0.95


def test_maps_of_priors_and_the_free_channels():
    net = pooled_net().eval()
    maps = attribution_maps(net, Tap("1"), IMAGES, priors=2, allocation="first 4")
    logits, guided = guided_pass(net, Tap("1"), IMAGES)
    every = guided.attribute(logits)
    torch.testing.assert_close(maps.allocated[:, 1], every[:, 2:4].mean(1))
    torch.testing.assert_close(maps.free, every[:, 4:].mean(1))
    assert attribution_maps(net, Tap("1"), IMAGES, priors=1, allocation="mean").free.abs().max() == 0


def test_integrated_gradients_against_captum_and_completeness():
    net = pooled_net().eval()
    labels = torch.tensor([0, 1, 2])
    mine = integrated_gradients(net, IMAGES, target="label", labels=labels, steps=50)
    theirs = IntegratedGradients(net).attribute(IMAGES, target=labels, n_steps=50)
    torch.testing.assert_close(mine, theirs.float(), rtol=1e-3, atol=1e-5)
    difference = (net(IMAGES) - net(torch.zeros_like(IMAGES)))[range(3), labels]
    torch.testing.assert_close(mine.sum((1, 2, 3)), difference, rtol=1e-3, atol=1e-4)


def test_eq_2_3_and_2_4():
    features, gradient = torch.tensor([2.0, -3.0]), torch.tensor([-1.0, 4.0])
    assert attribution(features, gradient, "grad").tolist() == [1, 4]
    assert attribution(features, gradient, "grad_input").tolist() == [2, -12]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("stem", "tap must name a layer of the network, but got 'stem'. Known are 0, 1"),
        ("5", r"tap '5' must give a feature map \(B, C, h, w\) or .*, but gives \(3, 4\)"),
    ],
)
def test_a_layer_that_is_no_tap_is_refused(layer, message):
    with pytest.raises(ModelError, match=message):
        guided_pass(pooled_net(), Tap(layer), IMAGES)
