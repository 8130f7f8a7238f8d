"""The nearest known cases of images, from the command to the page."""

import json

import numpy as np
import pytest
import yaml

from sonoprior.cases import CaseSet
from sonoprior.cli.main import main
from sonoprior.training import load
from sonoprior.training.similar import Similar
from tiny import EMBEDDING, write_views


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """The folder of a set, and of a run that embeds it."""
    folder = tmp_path_factory.mktemp("similar")
    data = write_views(folder / "set")
    (folder / "r.yaml").write_text(yaml.safe_dump(EMBEDDING))
    assert ran("train", folder / "r.yaml", "--data", data, "--out", folder / "run", "--device", "cpu") == 0
    return data, folder / "run"


def test_the_nearest_cases_are_those_of_a_slow_search(embedded):
    data, run = embedded
    case_set = CaseSet.open(data)
    known = Similar(load(run, "cpu"), case_set)
    every = np.stack(list(load(run, "cpu").embed(case_set.read_image(at) for at in range(60)).values()))
    found = known.to(case_set.image_path(7), k=4)
    groups, near = case_set.groups(), every @ every[7]
    wanted = [at for at in np.argsort(-near) if groups[at] != groups[7]][:4]
    assert found.positions.tolist() == wanted
    assert found.similarity == pytest.approx(near[wanted], abs=1e-5)


def test_an_image_from_elsewhere_may_find_any_case(embedded, tmp_path):
    data, run = embedded
    copy = tmp_path / "copy.png"
    copy.write_bytes(CaseSet.open(data).image_path(7).read_bytes())
    found = Similar(load(run, "cpu"), CaseSet.open(data)).to(copy, k=1)
    assert found.positions.tolist() == [7]
    assert found.similarity[0] == pytest.approx(1, abs=1e-5)


def test_a_page_and_a_table(embedded, tmp_path, capsys):
    data, run = embedded
    images, out = [data / "images" / f"case0{n}.png" for n in (1, 2)], tmp_path / "out"
    given = ["similar", run, *images, "--data", data, "--out", out, "--k", "3", "--device", "cpu"]
    assert ran(*given, "--json") == 0
    said = json.loads(capsys.readouterr().out)["images"]
    assert [row["image"] for row in said] == [str(path) for path in images]
    assert all(len(row["nearest"]) == 3 for row in said)
    assert said == json.loads((out / "similar.json").read_text())
    page = (out / "index.html").read_text()
    assert page.count("<img") == 2 * 4
    assert said[0]["nearest"][0]["case"] in page


def test_a_run_that_classifies_is_refused(trained, blobs, tmp_path, capsys):
    image, out = blobs / "images" / "case01.png", tmp_path / "out"
    assert ran("similar", trained.run, image, "--data", blobs, "--out", out, "--device", "cpu") == 2
    assert "was trained to classify and gives no embeddings" in capsys.readouterr().err
    assert not out.exists()


def test_a_run_that_embeds_can_be_explained_and_not_asked_for_a_class(embedded, tmp_path, capsys):
    data, run = embedded
    image = data / "images" / "case01.png"
    assert ran("explain", run, image, "--out", tmp_path / "looked", "--device", "cpu") == 0
    assert "predicted" not in capsys.readouterr().out
    assert ran("predict", run, image, "--device", "cpu") == 2
    assert "sonoprior similar" in capsys.readouterr().err
