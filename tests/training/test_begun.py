"""Runs that begin with another run: what that one learnt from must not be measured."""

import shutil

import numpy as np
import pandas as pd
import pytest

from sonoprior.cases import CaseSet
from sonoprior.core.errors import DataError
from sonoprior.training.begun import check_begun
from sonoprior.training.machine import choose_device
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import Computing, plan_run, start_folder

CPU = Computing(choose_device("cpu"))
SEEN = r"what this run learnt from must hold no {column} of the parts that are measured"


def on_another_split(recipe, run, case_set, *changes):
    changes = [f"model.weights={run}", "split.seed=1", *changes]
    return plan_run(load_recipe(recipe, changes=changes, variant="plain"), case_set, "plain")


def checked(plan, case_set=None):
    check_begun(plan.recipe, case_set or plan.case_set, plan.parts)


def shared(trained, plan, column):
    """By slow loops: what the training part of the first run and the measured parts of the other share."""
    values = trained.case_set.column(column)
    learnt = {values[at] for at in trained.plan.parts["train"]}
    return sorted(learnt & {values[at] for part in ("validation", "test") for at in plan.parts[part]})


def test_a_run_that_learnt_from_what_is_measured_is_refused_before_anything_is_written(
    trained, tiny_recipe, tmp_path
):
    plan = on_another_split(tiny_recipe, trained.run, trained.case_set)
    names = shared(trained, plan, "exam")
    with pytest.raises(DataError, match=rf"{SEEN.format(column='exam')}.*shares {len(names)}: {names[0]}"):
        start_folder(plan, tmp_path / "second", CPU)
    assert not (tmp_path / "second").exists()
    with pytest.raises(DataError, match=SEEN.format(column="exam")):
        checked(on_another_split(tiny_recipe, trained.run / "weights.safetensors", trained.case_set))


def test_a_run_on_the_same_split_and_weights_of_nobody_s_run_are_not(trained, tiny_recipe, tmp_path):
    checked(on_another_split(tiny_recipe, trained.run, trained.case_set, "split.seed=0"))
    shutil.copy(trained.run / "weights.safetensors", tmp_path / "file.safetensors")
    checked(on_another_split(tiny_recipe, tmp_path / "file.safetensors", trained.case_set))


def without_exams(case_set, folder, of=None):
    """A copy of a set whose cases belong to no exam, but to a patient each two, where asked for."""
    shutil.copytree(case_set.root, folder)
    table = case_set.table.drop(columns="exam")
    if of == "patient":
        table["patient"] = case_set.column("exam")
    table.to_parquet(folder / "cases.parquet")
    return CaseSet.open(folder)


def run_on(trained, case_set, folder):
    """The first run as if it had been trained on this set."""
    shutil.copytree(trained.run, folder)
    said = (folder / "environment.json").read_text()
    root = str(trained.case_set.root.resolve())
    assert root in said
    (folder / "environment.json").write_text(said.replace(root, str(case_set.root.resolve())))
    return folder


@pytest.mark.parametrize("column", ["patient", "case"])
def test_patients_and_cases_are_told_where_there_are_no_exams(trained, tiny_recipe, tmp_path, column):
    case_set = without_exams(trained.case_set, tmp_path / "set", column)
    run = run_on(trained, case_set, tmp_path / "run")
    with pytest.raises(DataError, match=SEEN.format(column=column)):
        checked(on_another_split(tiny_recipe, run, case_set))


def test_the_set_is_told_by_its_place_or_its_table_or_if_it_is_gone_by_its_name(
    trained, tiny_recipe, tmp_path
):
    copy = CaseSet.open(shutil.copytree(trained.case_set.root, tmp_path / "copy"))
    plan = on_another_split(tiny_recipe, trained.run, copy)
    with pytest.raises(DataError, match=SEEN.format(column="exam")):
        checked(plan)
    twin = shutil.copytree(copy.root, tmp_path / "twin")  # other patients, who are called alike
    table = pd.read_parquet(twin / "cases.parquet")
    table["label.tone"] = np.roll(table["label.tone"], 1)
    table.to_parquet(twin / "cases.parquet")
    checked(plan, CaseSet.open(twin))
    run = run_on(trained, copy, tmp_path / "run")
    shutil.rmtree(copy.root)
    with pytest.raises(DataError, match=SEEN.format(column="exam")):
        checked(on_another_split(tiny_recipe, run, trained.case_set))


def test_what_a_run_before_begins_with_is_held_to_what_is_measured_after_it(trained, tiny_recipe):
    changes = [
        "streams.unlabelled={views: two}",
        "pretraining.before.objectives={contrastive: {type: nt_xent}}",
        "pretraining.before.model.embedding={dimension: 8}",
        "pretraining.before.model.weights=given",
        "pretraining.before.training.monitor=recall@1.tone",
        f"model.given={trained.run}",
        "model.weights=pretraining:before",
    ]
    same = on_another_split(tiny_recipe, "none", trained.case_set, "split.seed=0", *changes)
    checked(same)
    with pytest.raises(DataError, match=SEEN.format(column="exam")):
        checked(on_another_split(tiny_recipe, "none", trained.case_set, *changes))
