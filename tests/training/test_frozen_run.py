"""Runs that begin with the backbone of another one, and leave a part of it as it is."""

import pytest
from safetensors.torch import load_file

from sonoprior.core.errors import ModelError
from sonoprior.training.machine import choose_device
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import WEIGHTS, Computing, plan_run, start_folder, train_run

CPU = Computing(choose_device("cpu"))


def begun_with(trained, tiny_recipe, frozen):
    changes = [f"model.weights={trained.run}", f"training.frozen={frozen}", "training.epochs=1"]
    return plan_run(load_recipe(tiny_recipe, changes=changes, variant="plain"), trained.case_set, "plain")


@pytest.mark.parametrize("frozen", ["backbone", "stage2", "nothing"])
def test_what_is_frozen_ends_as_the_first_run_left_it(trained, tiny_recipe, tmp_path, frozen):
    run = train_run(begun_with(trained, tiny_recipe, frozen), tmp_path / "second", CPU)
    first, second = (load_file(folder / WEIGHTS) for folder in (trained.run, run))
    assert first.keys() == second.keys()
    last, above = ("backbone.fc",), ("backbone.fc", "backbone.layer3", "backbone.layer4")
    moving = {"backbone": last, "stage2": above, "nothing": ("backbone.",)}[frozen]
    for name, value in first.items():
        moves = name.startswith(moving)
        assert value.equal(second[name]) != moves, name


def test_an_unknown_stage_is_refused_before_anything_is_written(trained, tiny_recipe, tmp_path):
    with pytest.raises(ModelError, match=r"frozen must be one of nothing, backbone, .* but got 'stage9'"):
        start_folder(begun_with(trained, tiny_recipe, "stage9"), tmp_path / "second", CPU)
    assert not (tmp_path / "second").exists()
