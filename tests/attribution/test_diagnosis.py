"""What is found at a tap before training."""

import pytest
import torch
from torch import nn

from sonoprior.attribution.diagnosis import diagnose
from sonoprior.models import ModelSpec, build_network
from sonoprior.models.taps import Tap

IMAGES = torch.rand(2, 1, 64, 64)


@pytest.mark.parametrize(
    ("backbone", "tap", "guided", "closed", "pooled"),
    [
        ("resnet18", "last", True, "backbone.fc", False),
        ("resnet18", "default", True, None, False),
        ("vgg11", "default", True, None, False),
        ("vgg11", "stage5", True, None, True),
        ("mobilenetv3_large_100", "stage4", False, None, False),
        ("mobilenetv3_large_100", "last", True, None, False),
    ],
)
def test_known_networks(backbone, tap, guided, closed, pooled):
    network, place = build_network(ModelSpec(backbone=backbone, tap=tap), 3)
    found = diagnose(network, place, IMAGES)
    assert (found.guided, found.closed_head, found.before_max_pool) == (guided, closed, pooled)
    assert bool(found.reason) is not guided


def test_a_map_that_a_max_pool_and_others_read_is_not_degenerate():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.linear = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

        def forward(self, images):
            features = self.first(images).relu()
            return self.linear(nn.functional.max_pool2d(features, 62).flatten(1) + features.mean((2, 3)))

    assert not diagnose(Both(), Tap("first"), IMAGES).before_max_pool


def test_a_tiny_map_is_said():
    network, tap = build_network(ModelSpec(backbone="resnet18", tap="last"), 3)
    (warning,) = diagnose(network, tap, IMAGES).warnings("grad_input")
    assert "only 2 x 2 positions" in warning
