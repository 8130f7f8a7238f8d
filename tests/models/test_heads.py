"""Heads: which columns are what, what is compared, and that one last layer is a projection a level."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from sonoprior.models import ModelSpec, build_network
from sonoprior.models.heads import Heads

BOTH = Heads(classes=3, levels=("view", "meta"), dimension=4, inference=("view", "meta"))
OUTPUTS = torch.randn(5, 11, generator=torch.Generator().manual_seed(0))


def test_columns_are_logits_then_an_embedding_a_level():
    assert (BOTH.width, BOTH.classifies, BOTH.embeds) == (11, True, True)
    torch.testing.assert_close(BOTH.logits(OUTPUTS), OUTPUTS[:, :3])
    found = BOTH.embeddings(OUTPUTS)
    torch.testing.assert_close(found["view"], OUTPUTS[:, 3:7])
    torch.testing.assert_close(found["meta"], OUTPUTS[:, 7:])


def test_what_is_compared_weighs_every_level_alike():
    found = BOTH.compared(OUTPUTS * torch.tensor([1.0] * 7 + [100.0] * 4))
    parts = [normalize(each) for each in BOTH.embeddings(OUTPUTS).values()]
    wanted = sum(part @ part.T for part in parts) / 2
    torch.testing.assert_close(found @ found.T, wanted)
    leaf = Heads(3, ("view", "meta"), 4, ("view",))
    torch.testing.assert_close(leaf.compared(OUTPUTS), parts[0])


@pytest.mark.parametrize("columns", [slice(0, 3), slice(3, 7), slice(7, 11)])
def test_weights_of_some_columns_leave_the_others_out(columns):
    weights = torch.rand(5, columns.stop - columns.start)
    found = BOTH.only(columns, weights)
    assert found.shape == (5, 11)
    torch.testing.assert_close(found[:, columns], weights)
    assert found.sum() == pytest.approx(weights.sum().item())


def test_the_last_layer_is_a_projection_a_level():
    """Eqs 3.11 and 3.12: phi^l of the shared features."""
    torch.manual_seed(0)
    network, _ = build_network(ModelSpec(backbone="resnet18", tap="last"), BOTH.width)
    network.eval()
    last = network.backbone.get_classifier()
    seen = []
    handle = last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        outputs = network(torch.rand(2, 1, 32, 32))
    handle.remove()
    for level in BOTH.levels:
        columns = BOTH.columns(level)
        projection = nn.functional.linear(seen[0], last.weight[columns], last.bias[columns])
        torch.testing.assert_close(BOTH.embeddings(outputs)[level], projection)
