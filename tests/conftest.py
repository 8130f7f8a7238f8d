"""What several folders of tests share: the tiny case set of `tiny.py`, and a run trained on it."""

from types import SimpleNamespace

import pytest
import yaml

from tiny import TINY, write_blobs


@pytest.fixture(scope="session")
def blobs(tmp_path_factory):
    """The folder of a case set of 36 tiny images."""
    return write_blobs(tmp_path_factory.mktemp("blobs") / "set")


@pytest.fixture
def tiny_recipe(tmp_path):
    """The path of a recipe that trains on `blobs` in a second."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def trained(blobs, tmp_path_factory):
    """A finished guided run on `blobs`: its folder `run`, its `plan` and the `case_set`."""
    from sonoprior.cases import CaseSet
    from sonoprior.training.machine import choose_device
    from sonoprior.training.recipe_file import load_recipe
    from sonoprior.training.run import Computing, plan_run, train_run

    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    recipe = load_recipe(folder / "tiny.yaml", variant="guided")
    case_set = CaseSet.open(blobs)
    plan = plan_run(recipe, case_set, "guided")
    run = train_run(plan, folder / "run", Computing(choose_device("cpu")))
    return SimpleNamespace(run=run, plan=plan, case_set=case_set)
