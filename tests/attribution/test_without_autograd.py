"""Attribution as a graph without autograd, against autograd."""

from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from sonoprior.attribution import attribution_maps
from sonoprior.attribution.gradients import Method
from sonoprior.attribution.without_autograd import Attributed, write_attribution, written_out
from sonoprior.cases.loading.shrink import area_weights, averaged
from sonoprior.core.errors import ModelError
from sonoprior.models import ModelSpec, build_network
from sonoprior.models.heads import Heads
from sonoprior.models.onnx_file import run_onnx
from sonoprior.models.taps import Tap
from untraceable import UNTRACEABLE

SIZE, SIDE = 64, 96
CLASSES = 3
HEADS = Heads(classes=CLASSES)
AREA = area_weights(SIDE, SIZE)
SQUARES = torch.randint(
    0, 256, (4, 1, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
)


def network_of(backbone, tap, outputs=CLASSES):
    torch.manual_seed(0)
    network, found = build_network(ModelSpec(backbone=backbone, tap=tap), outputs, SIZE)
    for module in network.modules():  # statistics that are no identity
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval(), found


def compared(of, path, target="sum"):
    """The exported maps and those of autograd, and what was written."""
    made = write_attribution(of, SQUARES[:3], AREA, path)
    images = averaged(SQUARES, AREA)
    looked = attribution_maps(
        of.network,
        of.tap,
        images,
        priors=of.priors,
        method=of.method,
        target=target,
        heads=of.heads,
        allocation=of.allocation,
    )
    logits = of.heads.logits(looked.outputs)
    weights = {
        "sum": torch.ones(len(SQUARES), of.width),
        "predicted": nn.functional.one_hot(logits.argmax(1), of.width).float()
        if of.heads.classifies
        else None,
    }[target]
    with torch.no_grad(), of.tap.capture(of.network) as captured:
        of.network(images)
    inputs = {"map": captured.features, "weights": weights, "squares": SQUARES}
    maps = run_onnx(path, {name: inputs[name] for name in made.inputs})["maps"]
    return maps, torch.cat([looked.allocated, looked.free[:, None]], 1).numpy(), made


def assert_same(maps, wanted):
    assert maps.shape == wanted.shape
    assert np.abs(wanted).max() > 0
    np.testing.assert_allclose(maps, wanted, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("target", ["sum", "predicted"])
@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_and_target(method, target, tmp_path):
    network, place = network_of("test_resnet", "last")
    of = Attributed(network, place, HEADS, method, "half", priors=3)
    maps, wanted, made = compared(of, tmp_path / "o.onnx", target)
    assert_same(maps, wanted)
    assert made.how == "closed form"
    assert made.inputs == ("map", "weights")


@pytest.mark.parametrize(
    ("method", "target"), [("grad", "sum"), ("grad_input", "predicted"), ("grad_cam", "predicted")]
)
def test_a_traced_tail_without_the_stem(method, target, tmp_path):
    network, place = network_of("test_resnet", "stage3")
    of = Attributed(network, place, HEADS, method, "half", priors=3)
    maps, wanted, made = compared(of, tmp_path / "o.onnx", target)
    assert_same(maps, wanted)
    assert made.how == "graph"
    assert made.inputs == ("map", "weights")
    layers = (network.backbone.layer4, network.backbone.fc)
    tail = sum(parameter.numel() for layer in layers for parameter in layer.parameters()) * 4
    assert (tmp_path / "o.onnx").stat().st_size < 1.1 * tail


@pytest.mark.parametrize("allocation", ["mean", "all", "quarter", "first 7"])
def test_every_allocation(allocation, tmp_path):
    network, place = network_of("test_resnet", "last")
    of = Attributed(network, place, HEADS, allocation=allocation, priors=2)
    maps, wanted, _ = compared(of, tmp_path / "o.onnx")
    assert_same(maps, wanted)


@pytest.mark.parametrize(
    "heads",
    [
        Heads(0, ("view",), 4, ("view",)),
        Heads(2, ("view", "meta"), 4, ("view",)),
        Heads(0, clusters=5),
        Heads(3, several=True, combinations=2),
    ],
)
def test_only_the_attributed_outputs_count(heads, tmp_path):
    network, place = network_of("test_resnet", "last", heads.width)
    maps, wanted, made = compared(Attributed(network, place, heads), tmp_path / "o.onnx")
    assert_same(maps, wanted)
    assert made.how == "closed form"


class Residual(nn.Module):
    """A layer with a path around it, average and max pooling after it, and a leaky activation."""

    def __init__(self, num_classes, in_chans):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 5, stride=2, padding=2)
        self.middle = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.mean = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.end = nn.Conv2d(8, 16, 4, stride=3, padding=1, dilation=2, groups=2)
        self.adaptive = nn.AdaptiveAvgPool2d(2)
        self.head = nn.Linear(64, num_classes)

    def forward(self, images):
        start = torch.relu(self.stem(images))
        found = nn.functional.leaky_relu_(start + self.middle(start))
        found = self.adaptive(nn.functional.gelu(self.end(self.mean(self.pool(found)))))
        return self.head(found.flatten(1))


def residual(num_classes, in_chans):
    return Residual(num_classes, in_chans)


def test_what_the_tail_reads_beside_the_map_is_an_input(tmp_path):
    network, place = network_of(f"{__name__}:residual", "middle")
    maps, wanted, made = compared(Attributed(network, place, HEADS, priors=2), tmp_path / "o.onnx")
    assert_same(maps, wanted)
    assert made.inputs == ("map", "weights", "squares")


@pytest.mark.parametrize("backbone", ["test_vit", "test_convnext", "test_efficientnet"])
def test_tokens_channels_last_and_gates(backbone, tmp_path):
    network, place = network_of(backbone, "default")
    maps, wanted, made = compared(Attributed(network, place, HEADS, priors=2), tmp_path / "o.onnx")
    assert_same(maps, wanted)
    assert ("squares" in made.inputs) == (backbone == "test_vit")  # the class token does not stand in the map


@pytest.mark.long
@pytest.mark.parametrize(
    "backbone",
    [
        "regnetx_002",
        "resnet18",
        "resnet26d",
        "mobilenetv3_small_100",
        "mobilenetv3_large_100",
        "convnext_atto",
        "efficientnet_b0",
        "vit_tiny_patch16_224",
        "swin_tiny_patch4_window7_224",
        "densenet121",
    ],
)
def test_every_named_tap_of_backbones_that_are_in_use(backbone, tmp_path):
    for tap in ("default", "last"):
        network, place = network_of(backbone, tap)
        maps, wanted, _ = compared(Attributed(network, place, HEADS, priors=3), tmp_path / f"{tap}.onnx")
        np.testing.assert_allclose(maps, wanted, atol=1e-3 * max(np.abs(wanted).max(), 1e-9))


def test_a_tail_that_depends_on_what_it_sees_is_refused(tmp_path):
    network, place = network_of(UNTRACEABLE, "stem")
    with pytest.raises(ModelError, match=r"the attribution at 'backbone\.stem' cannot be traced"):
        written_out(Attributed(network, place, HEADS), SQUARES, AREA)


def test_no_hook_and_no_mode_is_left_behind(tmp_path):
    network, place = network_of("test_resnet", "stage2")
    network.train()
    written_out(Attributed(network, place, HEADS), SQUARES, AREA)
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    with pytest.raises(ModelError, match="tap must name a layer"):
        written_out(Attributed(network, Tap("nowhere"), HEADS), SQUARES, AREA)
