"""A vision transformer from training to an overlay."""

import pytest
import torch

from sonoprior.core.folder import read_json
from sonoprior.training.explanation import write_explanations
from sonoprior.training.machine import choose_device
from sonoprior.training.predictor import load
from sonoprior.training.recipe_file import validated, with_value
from sonoprior.training.run import Computing, Plan, train_run

SETTINGS = {"model.backbone": "test_vit", "model.tap": "default", "training.epochs": 1, "data.size": 48}


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    content = trained.plan.recipe.content()
    for key, value in SETTINGS.items():
        content = with_value(content, key, value)
    plan = Plan(validated(content, "tiny"), trained.case_set, trained.plan.parts, trained.plan.groups)
    return train_run(plan, tmp_path_factory.mktemp("vit") / "run", Computing(choose_device("cpu")))


def test_it_is_trained_and_measured_at_the_size_of_the_recipe(run):
    assert "inside" in read_json(run / "metrics.json")["test"]
    backbone = load(run, "cpu").model.network.backbone
    assert backbone.patch_embed.grid_size == (3, 3)


def test_it_labels_and_shows_where_it_looked(run, trained, tmp_path):
    predictor = load(run, "cpu")
    images = [trained.case_set.read_image(at) for at in range(2)]
    assert {found.label for found in predictor.predict(images)} <= set(predictor.classes)
    looked = predictor.attribution(images, integrated=True)
    assert looked[0].maps["all"].shape == images[0].shape
    assert looked[0].pixels is not None
    assert torch.from_numpy(looked[0].maps["all"]).std() > 0
    write_explanations(tmp_path, looked, "where it looked")
    assert (tmp_path / "index.html").is_file()
