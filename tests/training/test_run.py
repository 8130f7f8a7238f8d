import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
import yaml

from sonoprior.cases import CaseSet
from sonoprior.core.errors import DataError, FolderError, ModelError, RecipeError
from sonoprior.training import checkpoint, loop, run
from sonoprior.training.machine import choose_device, computing
from sonoprior.training.parts import without_test
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import CHECKPOINT, WEIGHTS, Computing, Plan, plan_run, train_run

CPU = Computing(choose_device("cpu"))
CHANGES = ["training.epochs=4", "training.monitor=auroc"]


class Killed(BaseException):
    """Ends a run like a kill does: nothing of ours handles it."""


@pytest.fixture(scope="module")
def plan(blobs, tmp_path_factory) -> Plan:
    from tiny import TINY

    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    recipe = load_recipe(path, changes=CHANGES, variant="guided")
    return plan_run(recipe, CaseSet.open(blobs), "guided", seed=3)


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    """The folder of a run that was never stopped."""
    return train_run(plan, tmp_path_factory.mktemp("runs") / "whole", CPU)


def same_result(one, other) -> bool:
    files = (WEIGHTS, "predictions.csv", "localisation.csv", "metrics.json", "split.csv", "recipe.yaml")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in files)


def without_seconds(run) -> pd.DataFrame:
    return pd.read_csv(run / "log.csv").drop(columns="seconds")


def test_a_run_folder_holds_what_it_takes_to_repeat_it(whole, plan):
    assert json.loads((whole / "sonoprior.json").read_text())["kind"] == "run"
    assert load_recipe(whole / "recipe.yaml") == plan.recipe
    assert json.loads((whole / "environment.json").read_text())["threads"] == 1
    split = pd.read_csv(whole / "split.csv")
    assert split["part"].value_counts().to_dict() == {part: len(at) for part, at in plan.parts.items()}
    identity = json.loads((whole / "run.json").read_text())
    assert (identity["variant"], identity["fold"], identity["seed"]) == ("guided", 0, 3)
    assert identity["classes"] == ["dark", "bright"]
    assert not identity["simulated"]


def test_a_finished_run_keeps_no_pixels_and_no_checkpoint(whole):
    assert not (whole / "cache").exists()
    assert not (whole / CHECKPOINT).exists()
    assert not list(whole.glob(".*"))


def test_the_log_names_every_term(whole):
    log = pd.read_csv(whole / "log.csv")
    assert log["epoch"].tolist() == [1, 2, 3, 4]
    assert {"lr", "train.loss", "train.classification", "train.guidance", "val.auroc"} <= set(log.columns)
    expected = log["train.classification"] + 2 * log["train.guidance"]
    assert log["lr"].is_monotonic_decreasing
    assert (log["train.loss"] - expected).abs().max() < 0.5  # means over steps and over pairs differ a little


def test_the_same_numbers_on_a_second_run(whole, plan, tmp_path):
    second = train_run(plan, tmp_path / "second", CPU)
    assert same_result(whole, second)
    assert without_seconds(whole).equals(without_seconds(second))


def changed_plan(plan, **changes) -> Plan:
    content = plan.recipe.content()
    for key, value in changes.items():
        content[key] = content[key] | value
    return plan_run(type(plan.recipe).model_validate(content), plan.case_set, "guided")


def stop_in_step(monkeypatch, number):
    count, step = iter(range(1000)), loop._train_step

    def counted(*arguments):
        if next(count) == number:
            raise Killed
        return step(*arguments)

    monkeypatch.setattr(loop, "_train_step", counted)


def stop_while_saving(monkeypatch, number):
    count, save = iter(range(1000)), checkpoint.save_file

    def counted(tensors, path, metadata):
        save(tensors, path, metadata=metadata)
        if next(count) == number:
            path.write_bytes(path.read_bytes()[:100])
            raise Killed

    monkeypatch.setattr(checkpoint, "save_file", counted)


def stop_after_training(monkeypatch, _number):
    def stopped(*_arguments):
        raise Killed

    monkeypatch.setattr(run, "evaluate", stopped)


def stop_before_training(monkeypatch, _number):
    def stopped(*_arguments):
        raise Killed

    monkeypatch.setattr(run, "_train_and_measure", stopped)


@pytest.mark.parametrize(
    ("stop", "number"),
    [
        (stop_before_training, 0),
        (stop_in_step, 4),
        (stop_in_step, 11),
        (stop_while_saving, 2),
        (stop_after_training, 0),
    ],
)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(plan, whole, tmp_path, monkeypatch, stop, number):
    out = tmp_path / "stopped"
    stop(monkeypatch, number)
    with pytest.raises(Killed):
        train_run(plan, out, CPU)
    monkeypatch.undo()
    train_run(plan, out, CPU, resume=True)
    assert same_result(whole, out)
    assert without_seconds(whole).equals(without_seconds(out))


def test_checkpoints_may_be_rare(plan, whole, tmp_path, monkeypatch):
    content = plan.recipe.content()
    content["training"]["checkpoint_every"] = 3
    rare = Plan(
        type(plan.recipe).model_validate(content), plan.case_set, plan.parts, plan.groups, "guided", 0, 3
    )
    stop_in_step(monkeypatch, 7)  # in the third epoch, before any checkpoint
    with pytest.raises(Killed):
        train_run(rare, tmp_path / "rare", CPU)
    monkeypatch.undo()
    train_run(rare, tmp_path / "rare", CPU, resume=True)
    assert (tmp_path / "rare" / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_resume_starts_where_there_is_nothing_yet(plan, whole, tmp_path):
    assert same_result(whole, train_run(plan, tmp_path / "new", CPU, resume=True))


def test_a_finished_run_is_left_as_it_is(plan, whole):
    before = (whole / WEIGHTS).stat().st_mtime_ns
    train_run(plan, whole, CPU, resume=True)
    assert (whole / WEIGHTS).stat().st_mtime_ns == before


def test_the_recorded_threads_are_used_again(plan, tmp_path, monkeypatch):
    stop_in_step(monkeypatch, 4)
    with pytest.raises(Killed):
        train_run(plan, tmp_path / "run", CPU)
    monkeypatch.undo()
    path = tmp_path / "run" / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threads": 2}))
    used = []

    def recorded(threads, seed):
        used.append(threads)
        return computing(1, seed)

    monkeypatch.setattr(run, "computing", recorded)
    train_run(plan, tmp_path / "run", CPU, resume=True)
    assert used == [2]


def test_a_plain_run_measures_where_it_looked_too(plan, tmp_path):
    guidance = plan.recipe.content()["objectives"]["guidance"] | {"weight": 0}
    plain = changed_plan(plan, objectives={"guidance": guidance}, training={"epochs": 1})
    out = train_run(plain, tmp_path / "plain", CPU)
    assert "train.guidance" not in pd.read_csv(out / "log.csv")
    assert len(pd.read_csv(out / "localisation.csv")) > 0


def test_patience_ends_a_run_and_the_best_weights_are_kept(plan, tmp_path):
    seen = []
    train_run(
        changed_plan(plan, training={"epochs": 30, "patience": 2, "learning_rate": 1e-12}),
        tmp_path / "tired",
        CPU,
        after_epoch=lambda fit: seen.append(fit.progress.best_epoch),
    )
    assert len(seen) == seen[-1] + 2 < 30


def untested(plan):
    return replace(plan, parts=without_test(plan.parts))


def test_what_was_trained_without_the_test_part_is_measured_only(plan, whole, tmp_path):
    before = train_run(untested(plan), tmp_path / "before", CPU)
    seen = []
    after = train_run(plan, tmp_path / "after", CPU, trained=before, after_epoch=seen.append)
    assert not seen
    assert same_result(after, whole)
    assert (after / "log.csv").read_bytes() == (before / "log.csv").read_bytes()
    assert {path.name for path in after.iterdir()} == {path.name for path in whole.iterdir()}


def test_where_it_was_trained_is_kept(plan, tmp_path):
    before = train_run(untested(changed_plan(plan, training={"epochs": 1})), tmp_path / "before", CPU)
    machine = json.loads((before / "environment.json").read_text())
    (before / "environment.json").write_text(json.dumps(machine | {"device": "another", "case_set": "gone"}))
    after = train_run(changed_plan(plan, training={"epochs": 1}), tmp_path / "after", CPU, trained=before)
    kept = json.loads((after / "environment.json").read_text())
    assert kept == machine | {"device": "another"}


def test_what_learnt_something_else_or_saw_the_test_part_is_not_taken(plan, whole, tmp_path):
    with pytest.raises(FolderError, match="whose test part has other cases"):
        train_run(plan, tmp_path / "seen", CPU, trained=whole)
    before = train_run(untested(changed_plan(plan, training={"epochs": 1})), tmp_path / "before", CPU)
    with pytest.raises(FolderError, match=r"before holds another run, which differs in training\.epochs"):
        train_run(plan, tmp_path / "other", CPU, trained=before)
    (before / WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(FolderError, match=r"weights\.safetensors is damaged"):
        train_run(changed_plan(plan, training={"epochs": 1}), tmp_path / "damaged", CPU, trained=before)


def test_a_folder_that_exists_is_refused(plan, whole):
    with pytest.raises(FolderError, match="exists already"):
        train_run(plan, whole, CPU)


def test_another_run_in_the_folder_is_refused(plan, whole):
    other = replace(changed_plan(plan, training={"epochs": 9}), seed=3)
    with pytest.raises(FolderError, match=r"differs in training\.epochs; name a new folder"):
        train_run(other, whole, CPU, resume=True)
    with pytest.raises(FolderError, match="differs in seed"):
        train_run(replace(plan, seed=4), whole, CPU, resume=True)


def test_other_cases_in_the_folder_are_refused(plan, whole):
    moved = dict(plan.parts) | {"test": plan.parts["test"][1:]}
    other = replace(plan, parts=moved)
    with pytest.raises(FolderError, match="whose test part has other cases"):
        train_run(other, whole, CPU, resume=True)


def test_a_damaged_checkpoint_is_refused(plan, tmp_path, monkeypatch):
    stop_in_step(monkeypatch, 4)
    with pytest.raises(Killed):
        train_run(plan, tmp_path / "run", CPU)
    monkeypatch.undo()
    path = tmp_path / "run" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FolderError, match=r"checkpoint\.safetensors is damaged"):
        train_run(plan, tmp_path / "run", CPU, resume=True)


def test_a_tap_that_does_not_exist_is_refused_before_anything_is_written(plan, tmp_path):
    wrong = changed_plan(plan, model={"tap": "stage9"})
    with pytest.raises(ModelError, match=r"tap must be one of .*stage9"):
        train_run(wrong, tmp_path / "run", CPU)
    assert not list(tmp_path.iterdir())


def test_a_level_that_the_set_does_not_have(plan):
    with pytest.raises(RecipeError, match=r"data\.level must be one of tone, .* but got 'view'"):
        changed_plan(plan, data={"level": "view"})


def test_guidance_without_priors_in_the_set(plan, tmp_path):
    wrong = changed_plan(plan, data={"priors": {"source": "landmarks"}})
    with pytest.raises(DataError, match="landmarks"):
        train_run(wrong, tmp_path / "run", CPU)
    assert not list(tmp_path.iterdir())


def test_fewer_groups_than_folds(plan):
    with pytest.raises(DataError, match="30 parts need at least 30 groups of cases"):
        changed_plan(plan, split={"protocol": "cross_evaluation", "folds": 30})


@pytest.mark.parametrize("fold", [-1, 1])
def test_a_fold_that_the_recipe_does_not_make(plan, fold):
    with pytest.raises(RecipeError, match=f"fold must lie between 0 and 0, but got {fold}"):
        plan_run(plan.recipe, plan.case_set, "guided", fold=fold)


def test_a_loss_that_is_no_number_ends_the_run(plan, tmp_path):
    wrong = changed_plan(plan, training={"learning_rate": 1e30})
    with pytest.raises(
        RecipeError, match=r"the loss must stay a finite number.*lower training\.learning_rate"
    ):
        train_run(wrong, tmp_path / "run", CPU)


TRAIN = """
import sys
from sonoprior.cli.main import main
main(sys.argv[1:])
"""


def start(*arguments) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", TRAIN, *map(str, arguments)], env=environment)


def kill_when(process: subprocess.Popen, condition) -> bool:
    """Kill as soon as the condition holds; False if the process ended before."""
    while process.poll() is None:
        if condition():
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.005)
    return False


@pytest.mark.long
def test_killed_again_and_again_it_ends_with_the_same_weights(tiny_recipe, blobs, tmp_path):
    command = ["train", tiny_recipe, "--data", blobs, "--variant", "guided", "--set", "training.epochs=12"]
    assert start(*command, "--out", tmp_path / "whole").wait() == 0
    out = tmp_path / "killed"
    moments = [
        (out / "sonoprior.json").exists,
        (out / "log.csv").exists,
        lambda: (out / CHECKPOINT).exists() and list(out.glob(f".{CHECKPOINT}*")),  # while it is written
        lambda: (out / "log.csv").read_text().count("\n") > 7,
        (out / WEIGHTS).exists,
    ]
    for moment in moments:
        kill_when(start(*command, "--out", out, "--resume"), moment)
    assert start(*command, "--out", out, "--resume").wait() == 0
    assert same_result(tmp_path / "whole", out)
