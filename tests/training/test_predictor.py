import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import sonoprior
from sonoprior.cases import CaseSet
from sonoprior.core.errors import DataError, FolderError
from tiny import write_blobs


@pytest.fixture(scope="module")
def predictor(trained):
    return sonoprior.load(trained.run, device="cpu")


@pytest.fixture
def copy(trained, tmp_path):
    """A run folder that a test may damage."""
    return shutil.copytree(trained.run, tmp_path / "run")


def test_it_says_of_each_image_what_the_evaluation_said(trained, predictor):
    """The same preparation: the loader's batches and the predictor's images give the same numbers."""
    table = pd.read_csv(trained.run / "predictions.csv")
    at = [trained.case_set.ids.index(case) for case in table["case"]]
    found = predictor.predict([trained.case_set.read_image(i) for i in at], batch_size=5)
    assert [one.label for one in found] == table["predicted"].tolist()
    assert np.allclose([one.confidence for one in found], table["confidence"], atol=1e-6)
    assert np.allclose([one.probabilities["bright"] for one in found], table["p.bright"], atol=1e-6)


def test_probabilities_sum_to_one_and_name_every_class(trained, predictor):
    (one,) = predictor.predict([trained.case_set.read_image(0)])
    assert list(one.probabilities) == ["dark", "bright"] == list(predictor.classes)
    assert sum(one.probabilities.values()) == pytest.approx(1)
    assert one.confidence == max(one.probabilities.values())


def test_a_folder_a_file_or_several(blobs, predictor):
    whole = predictor.predict(blobs / "images")
    assert len(whole) == 36
    files = sorted((blobs / "images").iterdir())
    (single,) = predictor.predict(files[3])
    assert single == predictor.predict(str(files[3]))[0]
    assert single.image == str(files[3])
    assert single.confidence == pytest.approx(whole[3].confidence, abs=1e-6)


def test_images_of_any_shape(predictor):
    rng = np.random.default_rng(0)
    shapes = [(48, 48), (300, 20), (1, 1), (17, 500)]
    images = [rng.integers(0, 255, shape).astype(np.uint8) for shape in shapes]
    assert [one.image for one in predictor.predict(images)] == ["0", "1", "2", "3"]


def test_an_image_that_cannot_be_read_is_an_error_or_listed(tmp_path, blobs, predictor):
    shutil.copy(next((blobs / "images").iterdir()), tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"b\.png"):
        predictor.predict(tmp_path)
    listed: list[str] = []
    assert len(predictor.predict(tmp_path, on_unreadable=listed.append)) == 1
    assert len(listed) == 1
    assert "b.png" in listed[0]


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_an_array_that_is_no_grey_image(predictor, image):
    with pytest.raises(DataError, match=r"image 0 must be a uint8 array \(H, W\) of grey levels, but is"):
        predictor.predict([image])


def test_attribution_has_the_size_of_the_image(predictor):
    image = np.random.default_rng(0).integers(0, 255, (60, 44)).astype(np.uint8)
    (looked,) = predictor.attribution([image])
    assert list(looked.maps) == predictor.priors
    assert looked.maps[predictor.priors[0]].shape == looked.free.shape == (60, 44)
    assert looked.prediction == predictor.predict([image])[0]


def test_measured_on_its_own_parts_it_gives_the_metrics_of_the_run(trained, predictor):
    stored = json.loads((trained.run / "metrics.json").read_text())
    again = predictor.evaluate(trained.case_set, predictor.parts_of(trained.case_set))
    assert again.metrics["test"]["accuracy"] == stored["test"]["accuracy"]
    assert again.metrics["test"]["inside"]["value"] == pytest.approx(stored["test"]["inside"]["value"])
    assert set(again.metrics) == {"train", "validation", "test"}


def test_cases_of_another_set_are_new(trained, predictor, tmp_path):
    other = CaseSet.open(write_blobs(tmp_path / "other", cases=8, name="others"))
    assert list(predictor.parts_of(other)) == ["new"]
    assert list(predictor.evaluate(other).metrics) == ["all"]


def test_a_set_without_the_priors_of_the_run_is_measured_without_them(predictor, tmp_path):
    folder = write_blobs(tmp_path / "bare", cases=8, name="bare")
    case_set = CaseSet.open(folder)
    bare = CaseSet(folder, case_set.info, case_set.table.drop(columns="outline.disc"))
    found = predictor.evaluate(bare)
    assert found.localisation.empty
    assert "inside" not in found.metrics["all"]


def test_other_classes_are_refused(predictor, tmp_path):
    folder = write_blobs(tmp_path / "more", cases=8, levels={"tone": ["dark", "bright", "grey"]})
    with pytest.raises(DataError, match=r"must have the classes of .*run, dark, bright, but has dark, br"):
        predictor.evaluate(CaseSet.open(folder))


def test_nothing_labelled_to_measure(trained, predictor, tmp_path):
    case_set = trained.case_set
    bare = CaseSet(case_set.root, case_set.info, case_set.table.drop(columns="label.tone"))
    with pytest.raises(DataError, match="has no case whose 'tone' label is known"):
        predictor.evaluate(bare)


def test_no_run_folder(tmp_path):
    with pytest.raises(FolderError, match="is not a run folder"):
        sonoprior.load(tmp_path)


def test_a_newer_format_is_refused(copy):
    (copy / "sonoprior.json").write_text('{"kind": "run", "format": 2}')
    with pytest.raises(
        FolderError, match="this run has format 2, and this version of sonoprior reads up to 1"
    ):
        sonoprior.load(copy)


def test_a_run_that_is_not_finished(copy):
    (copy / "weights.safetensors").unlink()
    with pytest.raises(FolderError, match=r"is not finished: it has no weights\.safetensors; resume"):
        sonoprior.load(copy)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-50])


def drop_a_tensor(path):
    state = load_file(path)
    del state[next(name for name in state if name.endswith("weight"))]
    save_file(state, path)


def pickle_instead(path):
    torch.save({"weights": 1}, path)


@pytest.mark.parametrize("damage", [truncate, drop_a_tensor, pickle_instead])
def test_damaged_weights_are_refused(copy, damage):
    damage(copy / "weights.safetensors")
    with pytest.raises(FolderError, match=r"weights\.safetensors is (damaged|not of this run)"):
        sonoprior.load(copy)


def test_the_graph_of_a_guided_run_is_that_of_a_plain_one(trained, predictor):
    """Nothing of the guidance is left in what is used: no hook, no further module."""
    from sonoprior.models.network import build_network

    plain, _ = build_network(trained.plan.recipe.model, 2)
    guided = predictor.model.network
    assert [type(m) for m in plain.modules()] == [type(m) for m in guided.modules()]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in guided.modules())
