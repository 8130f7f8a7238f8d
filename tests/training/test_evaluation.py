import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score
from torch import nn

from sonoprior.cases.loading.cache import Cache
from sonoprior.models.heads import Heads
from sonoprior.training.assemble import without_priors
from sonoprior.training.evaluation import given, in_order, measured, softmax


@pytest.fixture(scope="module")
def tables(trained):
    predictions = pd.read_csv(trained.run / "predictions.csv")
    return predictions, pd.read_csv(trained.run / "localisation.csv")


class Brightness(nn.Module):
    """Logits from the mean grey level, and a batch normalisation that must not be touched."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, images):
        level = self.norm(images).mean((1, 2, 3))
        return torch.stack([-level, level], 1)


def test_probabilities_come_in_the_order_of_the_positions(trained, tmp_path):
    cache = Cache.build(trained.case_set, tmp_path, size=32, priors=None)
    positions = np.array([7, 2, 30, 11, 5])
    network = Brightness().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def seen(some):
        return given(network, Heads(2), in_order(cache, some, 2, ["tone"]), torch.device("cpu"))

    found = seen(positions)
    assert found.positions.tolist() == positions.tolist()
    assert np.allclose(found.probabilities.sum(1), 1)
    alone = [seen(positions[[i]]).probabilities[0] for i in range(5)]
    assert np.allclose(found.probabilities, alone)
    assert found.embeddings is None
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_softmax_of_large_logits_sums_to_one():
    given = softmax(torch.tensor([[1e4, -1e4], [3.0, 3.0]]))
    assert given.sum(1).tolist() == [1.0, 1.0]
    assert given[1].tolist() == [0.5, 0.5]


def test_each_tested_case_stands_once(trained, tables):
    predictions, _ = tables
    assert sorted(predictions["case"]) == sorted(
        trained.case_set.ids[at] for part in ("validation", "test") for at in trained.plan.parts[part]
    )


def test_only_outlines_that_are_drawn_are_measured(trained, tables):
    predictions, localisation = tables
    drawn = {f"case{number:02}" for number in range(3, 36, 3)}  # case00 is outlined, and empty
    assert set(localisation["case"]) == drawn & set(predictions["case"])
    assert localisation["inside"].between(0, 1).all()
    assert localisation["area"].between(0, 1).all()


def test_metrics_are_those_of_scikit_learn(tables):
    predictions, localisation = tables
    found = measured(predictions, localisation, ["dark", "bright"])
    for part, rows in predictions.groupby("part"):
        assert found[part]["accuracy"]["value"] == accuracy_score(rows["label"], rows["predicted"])
        for measure, score in {"f1": f1_score, "precision": precision_score, "recall": recall_score}.items():
            labels = ["dark", "bright"]
            theirs = score(
                rows["label"], rows["predicted"], average=None, labels=labels, zero_division=np.nan
            )
            ours = [found[part][f"{measure}.{name}"]["value"] for name in labels]
            assert np.array(ours, float) == pytest.approx(theirs, nan_ok=True)  # None is NaN


def predicted(rows):
    columns = ["case", "part", "group", "label", "predicted", "confidence", "p.a", "p.b"]
    return pd.DataFrame(rows, columns=columns)


def test_a_number_that_is_not_defined_is_none():
    rows = predicted([("1", "test", "g", "a", "a", 0.9, 0.9, 0.1)])
    nothing = pd.DataFrame(columns=["case", "part", "label", "prior", "inside", "pointing", "correlation"])
    found = measured(rows, nothing, ["a", "b"])["test"]
    for name in ("auroc", "f1.b", "precision.b", "recall.b"):
        assert found[name] == {"value": None, "low": None, "high": None}
    assert found["accuracy"] == {"value": 1.0, "low": None, "high": None}  # one group says nothing of others
    assert "inside" not in found


def test_a_case_with_many_priors_counts_once():
    rows = predicted(
        [("1", "test", "g", "a", "a", 0.9, 0.9, 0.1), ("2", "test", "h", "b", "b", 0.9, 0.1, 0.9)]
    )
    looked = [("1", "test", "a", prior, value, 1.0, 0.0) for prior, value in (("x", 0.2), ("y", 0.4))]
    looked += [("2", "test", "b", "x", 0.9, 0.0, np.nan)]
    columns = ["case", "part", "label", "prior", "inside", "pointing", "correlation"]
    found = measured(rows, pd.DataFrame(looked, columns=columns), ["a", "b"])["test"]
    assert found["inside"]["value"] == pytest.approx((0.3 + 0.9) / 2)
    assert found["correlation"]["value"] == 0.0


def test_a_cache_without_priors_gives_the_same_images(trained, tmp_path):
    cache = Cache.build(trained.case_set, tmp_path, size=32, priors=trained.plan.recipe.data.priors)
    bare = without_priors(cache)
    (one,) = in_order(cache, np.arange(6), 6, ["tone"]).epoch(0)
    (other,) = in_order(bare, np.arange(6), 6, ["tone"]).epoch(0)
    assert torch.equal(one["image"], other["image"])
    assert "prior" not in other
