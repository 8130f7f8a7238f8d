"""A bundle answers as its run did: the whole way from training to the torch-free answer."""

import numpy as np
import pytest

import sonoprior
from sonoprior.cases import CaseSet
from sonoprior.export.run import export_run
from sonoprior.runtime import Recogniser

ENGINES = ["onnxruntime", "openvino"]


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "bundle"
    export_run(trained.run, out, case_set=trained.case_set)
    return out


@pytest.fixture(scope="module")
def frames(trained):
    rng = np.random.default_rng(0)
    others = [rng.integers(0, 256, shape).astype(np.uint8) for shape in [(16, 90), (200, 31), (300, 400)]]
    return [trained.case_set.read_image(at) for at in range(8)] + others


def at_temperature(probabilities, temperature):
    """Softmax probabilities as they would be with their logits divided by a temperature."""
    scaled = np.asarray(probabilities) ** (1 / temperature)
    return scaled / scaled.sum(1, keepdims=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_views_with_the_same_probabilities(trained, bundle, frames, engine):
    recogniser = Recogniser(bundle, engine=engine, threads=1)
    wanted = sonoprior.load(trained.run, device="cpu").predict(frames)
    found = recogniser.answers(frames)
    assert [one.view for one in found] == [one.label for one in wanted]
    as_run = at_temperature(
        [list(one.probabilities.values()) for one in wanted], recogniser.confidence.temperature
    )
    assert np.allclose([list(one.probabilities.values()) for one in found], as_run, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_looked_where_the_run_looked(trained, bundle, frames, engine):
    recogniser = Recogniser(bundle, engine=engine, threads=1)
    wanted = sonoprior.load(trained.run, device="cpu").attribution(frames)
    for frame, run in zip(frames, wanted, strict=True):
        maps = {**run.maps, "free channels": run.free}
        looked = recogniser.overlay(frame)
        assert list(looked.maps) == list(maps)
        highest = max(one.max() for one in maps.values())
        for name, one in looked.maps.items():
            assert np.abs(one - maps[name]).max() <= 1e-3 * highest


@pytest.mark.long
def test_every_test_frame_of_the_simulated_exams(tmp_path):
    """Equal to the torch model within 1e-4 over the whole test part of a small phantom."""
    from sonoprior.cases.phantom import make_phantom
    from sonoprior.training.machine import choose_device
    from sonoprior.training.recipe_file import load_recipe
    from sonoprior.training.run import Computing, plan_run, train_run

    make_phantom(tmp_path / "phantom", patients=24, seed=3)
    case_set = CaseSet.open(tmp_path / "phantom")
    recipe = load_recipe("phantom-pga", quick=True, variant="three-zones-1", changes=["training.epochs=1"])
    plan = plan_run(recipe, case_set, "three-zones-1")
    run = train_run(plan, tmp_path / "run", Computing(choose_device("cpu")))
    export_run(run, tmp_path / "bundle", case_set=case_set)
    predictor = sonoprior.load(run, device="cpu")
    test = [case_set.read_image(at) for at in predictor.parts_of(case_set)["test"]]
    recogniser = Recogniser(tmp_path / "bundle")
    wanted = [list(one.probabilities.values()) for one in predictor.predict(test)]
    found = [list(one.probabilities.values()) for one in recogniser.answers(test)]
    assert len(found) > 100
    assert np.allclose(found, at_temperature(wanted, recogniser.confidence.temperature), atol=1e-4)
