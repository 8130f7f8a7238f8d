import json

import numpy as np
import pytest
from PIL import Image

import sonoprior
from sonoprior.training.explanation import FREE, PIXELS, write_explanations


@pytest.fixture(scope="module")
def attributions(trained):
    images = [trained.case_set.read_image(at) for at in (1, 3)]
    return sonoprior.load(trained.run, device="cpu").attribution(images)


def test_an_overlay_for_each_map_and_one_page(attributions, tmp_path):
    rows = write_explanations(tmp_path, attributions, "A run", simulated=True)
    assert json.loads((tmp_path / "explained.json").read_text()) == rows
    names = [*attributions[0].maps, FREE]
    for row, looked in zip(rows, attributions, strict=True):
        assert list(row["overlays"]) == names
        for file in row["overlays"].values():
            assert np.asarray(Image.open(tmp_path / file)).shape == (*looked.picture.shape, 3)
    page = (tmp_path / "index.html").read_text()
    assert "not a diagnosis" in page
    assert "imulated" in page
    assert page.count("data:image/jpeg") == len(rows) * (len(names) + 1)


def test_two_images_of_one_name_do_not_overwrite_each_other(attributions, tmp_path):
    rows = write_explanations(tmp_path, [attributions[0], attributions[0]], "A run")
    files = [file for row in rows for file in row["overlays"].values()]
    assert len(set(files)) == len(files)


def test_integrated_gradients_come_if_asked_for(trained, tmp_path):
    image = trained.case_set.read_image(1)
    (looked,) = sonoprior.load(trained.run, device="cpu").attribution([image], integrated=True)
    assert looked.pixels.shape == image.shape
    assert looked.pixels.max() > 0
    (row,) = write_explanations(tmp_path, [looked], "A run")
    assert list(row["overlays"])[-1] == PIXELS
