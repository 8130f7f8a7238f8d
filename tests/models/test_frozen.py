"""What is frozen stays bit for bit, and what is frozen is what the named map is made with."""

import copy

import pytest
import torch
from torch import nn

from sonoprior.attribution.guided import guided_pass
from sonoprior.core.errors import ModelError
from sonoprior.models import ModelSpec, build_network
from sonoprior.models.catalogue import last_layers, tap_path
from sonoprior.models.frozen import freeze
from sonoprior.models.taps import Tap

SIZE = 32
KINDS = [
    ("test_resnet", "stage2"),
    ("test_convnext", "stage3"),
    ("test_efficientnet", "stage2"),
    ("test_vit", "stage1"),
    ("test_resnet", "layer2.0.bn1"),
]
OTHERS = [("regnetx_002", "stage1"), ("test_resnet", "backbone"), ("test_vit", "backbone")]


def built(backbone, dropout=0.0, size=SIZE):
    torch.manual_seed(0)
    return build_network(ModelSpec(backbone=backbone, tap="last", dropout=dropout), 3, size)[0]


def side(backbone):
    return 64 if backbone == "test_vit" else SIZE


def a_map(network, tap, images):
    network.eval()
    with torch.no_grad(), Tap(f"backbone.{tap_path(network.backbone, tap)}").capture(network) as captured:
        network(images)
    return captured.features


def trained(network, size, steps=3):
    """The network after some steps in training mode, as an experiment takes them."""
    torch.manual_seed(1)
    images, labels = torch.rand(6, 1, size, size), torch.arange(6) % 3
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=0.01, weight_decay=0.1)
    nn.ModuleList([network]).train()
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()
    return network


@pytest.mark.parametrize(("backbone", "tap"), KINDS)
def test_frozen_are_the_parameters_that_move_the_map(backbone, tap):
    """The oracle disturbs one parameter after the other and looks whether the map changes."""
    size = side(backbone)
    network = built(backbone, size=size)
    with torch.no_grad():  # a branch that begins with a factor of 0 would hide its parameters
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))
    images = torch.rand(2, 1, size, size)
    before = a_map(network, tap, images)
    moving = set()
    for name, parameter in network.named_parameters():
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter.add_(1 + torch.rand_like(parameter))
            moves = not torch.equal(a_map(network, tap, images), before)
            parameter.copy_(kept)
        if moves:
            moving.add(name)
    freeze(network, tap, size)
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert frozen == moving
    assert moving


@pytest.mark.parametrize(("backbone", "frozen"), [*KINDS, *OTHERS])
def test_training_moves_all_of_the_rest_and_nothing_of_it(backbone, frozen):
    size = side(backbone)
    network = built(backbone, size=size)
    freeze(network, frozen, size)
    before = copy.deepcopy(network.state_dict())
    trained(network, size)
    still = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert 0 < len(still) < len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name]) == (name in still), name
    norms = {
        name: module.weight.requires_grad
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    }
    for name, learns in norms.items():
        same = torch.equal(network.state_dict()[f"{name}.running_mean"], before[f"{name}.running_mean"])
        assert same != learns, name


@pytest.mark.parametrize("backbone", ["test_resnet", "test_convnext", "test_vit", "regnetx_002"])
def test_all_but_the_last_layer(backbone):
    network = built(backbone, size=side(backbone))
    freeze(network, "backbone", side(backbone))
    (last,) = last_layers(network.backbone)
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning == {f"backbone.{last}.weight", f"backbone.{last}.bias"}


def test_the_map_of_a_frozen_part_in_training_mode_is_that_of_inference():
    network = built("test_resnet")
    images = torch.rand(4, 1, SIZE, SIZE)
    plain = a_map(network, "stage2", images)
    freeze(network, "stage2", SIZE)
    network.train()
    with torch.no_grad(), Tap("backbone.layer2").capture(network) as captured:
        network(images)
    torch.testing.assert_close(captured.features, plain, rtol=0, atol=0)
    assert network.training


class Dropping(nn.Module):
    """Dropout in the middle, and right before the last layer."""

    def __init__(self, num_classes, in_chans):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 8, 3)
        self.inside = nn.Dropout(0.5)
        self.second = nn.Conv2d(8, 8, 3)
        self.unused = nn.Conv2d(8, 8, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flat = nn.Flatten()
        self.outside = nn.Dropout(0.5)
        self.last = nn.Linear(8, num_classes)

    def forward(self, images):
        features = self.second(self.inside(self.first(images)))
        return self.last(self.outside(self.flat(self.pool(features))))


def test_dropout_before_the_last_layer_belongs_to_it():
    network = dropping()
    freeze(network, "backbone", SIZE)
    network.train()
    assert not network.backbone.inside.training
    assert network.backbone.outside.training
    images = torch.rand(2, 1, SIZE, SIZE)
    assert not torch.equal(network(images), network(images))
    assert torch.equal(network.backbone.inside(images), images)


def dropping():
    torch.manual_seed(0)
    spec = ModelSpec(backbone=f"{__name__}:Dropping", tap="second")
    return build_network(spec, 3)[0]


def test_copies_stay_frozen_too():
    network = built("test_resnet")
    freeze(network, "stage1", SIZE)
    copied = copy.deepcopy(network).train()
    assert not copied.backbone.layer1.training
    assert copied.backbone.layer2.training
    assert not any(parameter.requires_grad for parameter in copied.backbone.layer1.parameters())


def test_nothing_is_frozen_by_nothing_and_no_draw_is_taken():
    network, other = built("test_resnet"), built("test_resnet")
    state = torch.random.get_rng_state()
    freeze(network, "nothing", SIZE)
    freeze(other, "stage2", SIZE)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in other.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


@pytest.mark.parametrize("batch_norm", ["detached", "running"])
@pytest.mark.parametrize(
    ("frozen", "tap"), [("stage2", "layer1"), ("backbone", "layer2"), ("stage1", "layer3")]
)
def test_attribution_in_a_frozen_part_is_guided(frozen, tap, batch_norm):
    """The map is that of the same network unfrozen in eval mode, and what is left to train has a gradient."""
    network = built("test_resnet")
    images = torch.rand(4, 1, SIZE, SIZE)
    network.eval()
    outputs, seen = guided_pass(network, Tap(f"backbone.{tap}"), images, batch_norm)
    expected = seen.attribute(outputs).detach()
    freeze(network, frozen, SIZE)
    network.train()
    outputs, seen = guided_pass(network, Tap(f"backbone.{tap}"), images, batch_norm)
    found = seen.attribute(outputs)
    if frozen == "backbone":  # else what is not frozen normalises by the batch, and learns its statistics
        torch.testing.assert_close(found, expected)
    (outputs.sum() + found.square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    assert network.backbone.fc.weight.grad.isfinite().all()


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        (
            "stage9",
            "frozen must be one of nothing, backbone, default, stage1.*path of a submodule, but got 'stage9'",
        ),
        ("fc", "frozen must leave something to be trained, but 'fc' is the whole network"),
    ],
)
def test_what_cannot_be_frozen(frozen, message):
    with pytest.raises(ModelError, match=message):
        freeze(built("test_resnet"), frozen, SIZE)


def test_a_layer_that_is_never_called():
    with pytest.raises(
        ModelError, match=r"frozen must name a layer that the forward pass calls, .* no 'unused'"
    ):
        freeze(dropping(), "unused", SIZE)


def by_hand(num_classes, in_chans):
    """A last layer whose weight is used without calling it."""

    class ByHand(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.last = nn.Conv2d(in_chans, 4, 3), nn.Linear(4, num_classes)

        def forward(self, images):
            return self.conv(images).mean((2, 3)) @ self.last.weight.T

    return ByHand()


def test_a_last_layer_that_is_never_called():
    network, _ = build_network(ModelSpec(backbone=f"{__name__}:by_hand", tap="conv"), 2)
    with pytest.raises(ModelError, match="frozen 'backbone' needs a forward pass that calls the last layer"):
        freeze(network, "backbone", SIZE)
