"""What answers without torch gives what the run gives, over the whole test part of simulated exams."""

import numpy as np
import pytest
import torch

import sonoprior
from sonoprior.attribution import attribution_maps
from sonoprior.cases.loading.letterbox import letterbox
from sonoprior.cases.loading.shrink import network_input
from sonoprior.cases.phantom import make_phantom
from sonoprior.export.run import export_run
from sonoprior.models.onnx_file import run_onnx
from sonoprior.runtime import Recogniser
from sonoprior.training.machine import choose_device
from sonoprior.training.parts import read_parts
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import Computing, plan_run, train_run

pytestmark = pytest.mark.long
_AT_A_TIME = 32


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return make_phantom(tmp_path_factory.mktemp("phantom") / "set", patients=24, seed=3)


@pytest.fixture(scope="module", params=[("phantom-pga", "three-zones-1"), ("phantom-sal", None)])
def used(request, phantom, tmp_path_factory):
    """A run of a recipe of the project in its quick form, in torch and as a bundle."""
    name, variant = request.param
    folder = tmp_path_factory.mktemp("used")
    recipe = load_recipe(name, quick=True, changes=["training.epochs=2"], variant=variant)
    plan = plan_run(recipe, phantom, variant or name)
    run = train_run(plan, folder / "run", Computing(choose_device("cpu")))
    export_run(run, folder / "bundle")
    test = read_parts(run / "split.csv", phantom)["test"]
    frames = [phantom.read_image(at) for at in test]
    return sonoprior.load(run, device="cpu"), Recogniser(folder / "bundle"), frames


def batches(frames):
    return [frames[start : start + _AT_A_TIME] for start in range(0, len(frames), _AT_A_TIME)]


def test_views_and_embeddings(used):
    predictor, recogniser, frames = used
    heads, temperature = predictor.model.heads, recogniser.confidence.temperature
    assert len(frames) > 100
    for some in batches(frames):
        answers = recogniser.answers(some)
        with torch.no_grad():
            outputs = predictor.model.network(network_input(some, predictor.recipe.data.size))
        if heads.classifies:
            wanted = torch.softmax(heads.logits(outputs).double() / temperature, 1).numpy()
            given = [list(answer.probabilities.values()) for answer in answers]
            np.testing.assert_allclose(given, wanted, atol=1e-4)
        if heads.embeds:
            embeddings = [answer.embedding for answer in answers]
            np.testing.assert_allclose(embeddings, heads.compared(outputs).numpy(), atol=1e-4)


def test_where_it_looked(used):
    """Of the same map the same attribution; one that differs in its last digit may switch a single ReLU."""
    predictor, recogniser, frames = used
    model, told = predictor.model, recogniser.manifest.overlay
    further = []
    for some in batches(frames):
        images = network_input(some, predictor.recipe.data.size)
        squares = torch.from_numpy(
            np.stack([letterbox(frame, recogniser.manifest.side) for frame in some])[:, None]
        )
        looked = attribution_maps(
            model.network,
            model.tap,
            images,
            priors=max(1, len(predictor.priors)),
            method=told.method,
            heads=model.heads,
            allocation=model.attribution.allocation,
        )
        wanted = torch.cat([looked.allocated, looked.free[:, None]], 1).numpy()
        scale = np.abs(wanted).max(axis=(1, 2, 3), keepdims=True)
        with torch.no_grad(), model.tap.capture(model.network) as captured:
            model.network(images)
        weights = torch.ones(len(some), told.width)
        features = run_onnx(recogniser.folder / "network.onnx", {"squares": squares})["map"]
        for feature, tolerance in ((captured.features, 1e-3), (torch.from_numpy(features), 1e-2)):
            inputs = {"map": feature, "weights": weights}
            maps = run_onnx(recogniser.folder / "overlay.onnx", inputs)["maps"]
            apart = np.abs(maps - wanted) / scale
            assert apart.max() < tolerance
            further += list(apart.max(axis=(1, 2, 3)) > 1e-3)
    assert np.mean(further) < 0.01
