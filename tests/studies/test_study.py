import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sonoprior.cases import CaseSet
from sonoprior.core.errors import DataError, FolderError, ModelError, SonopriorError
from sonoprior.studies.layout import planned_runs
from sonoprior.studies.lock import only_trainer
from sonoprior.studies.runs import PRELOAD, Machines, take_up
from sonoprior.studies.study import STUDY, run_study
from sonoprior.studies.workers import work_through
from sonoprior.training.parts import read_parts
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import WEIGHTS, is_finished

SMALL = ["training.epochs=1", "split.protocol=cross_evaluation", "split.folds=2"]


def work(tell, what):
    """A piece of work for `work_through`: report, fail in a foreseen or another way, or die."""
    tell(1)
    if what == "known":
        raise SonopriorError("the sentence.")
    if what == "unforeseen":
        raise KeyError("thing")
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    tell(2)


def test_a_piece_of_work_that_fails_or_dies_takes_no_other_along():
    pieces = {name: (name,) for name in ("known", "good", "dies", "unforeseen", "well")}
    # The server that forks the processes is started once; the studies below want these modules in it.
    news = list(work_through(pieces, work, workers=2, preload=PRELOAD))
    ends = {item.name: item for item in news if item.steps is None}
    assert ends.keys() == pieces.keys()
    assert ends["good"].error is None
    assert ends["well"].error is None
    assert ends["known"].error == "the sentence."
    assert not ends["known"].trace
    assert ends["unforeseen"].error == "KeyError: 'thing'"
    assert "raise KeyError" in ends["unforeseen"].trace
    assert "ended from outside (exit status -9)" in ends["dies"].error
    assert [item.steps for item in news if item.name == "good"] == [1, 2, None]


def test_whoever_is_killed_takes_along_the_processes_that_work_for_it(tmp_path):
    beating = tmp_path / "beating"
    killed = subprocess.Popen([sys.executable, str(Path(__file__).with_name("endless.py")), str(beating)])
    try:
        within(120, beating.exists)
    finally:
        killed.kill()
        killed.wait()

    def still():
        before = beating.read_text()
        time.sleep(0.5)
        return beating.read_text() == before

    within(10, still)


def within(seconds, true):
    """Wait until something is true, and fail if it is not in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory):
    import yaml

    from tiny import TINY

    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


@pytest.fixture(scope="module")
def case_set(blobs):
    return CaseSet.open(blobs)


@pytest.fixture(scope="module")
def study(recipe_path, case_set, tmp_path_factory):
    """A finished study: two variants, two folds, one seed."""
    out = tmp_path_factory.mktemp("studies") / "study"
    assert run_study(load_recipe(recipe_path, changes=SMALL), case_set, out) == {}
    return out


def test_every_run_is_finished(study, recipe_path):
    runs = planned_runs(load_recipe(recipe_path, changes=SMALL))
    assert len(runs) == 4
    assert all(is_finished(run.folder(study)) for run in runs)


def test_all_variants_see_the_same_parts_and_each_case_is_tested_once(study, case_set):
    splits = pd.read_csv(study / "splits.csv", keep_default_na=False)
    assert splits["case"].tolist() == case_set.ids
    for fold in (0, 1):
        read = [
            (study / "runs" / variant / f"fold{fold}-seed0" / "split.csv").read_text()
            for variant in ("plain", "guided")
        ]
        assert read[0] == read[1]
    assert ((splits["fold0"] == "test") ^ (splits["fold1"] == "test")).all()


def test_the_pixels_are_decoded_once_for_all(study):
    assert len(list((study / "cache").glob("*/images.npy"))) == 1
    assert not list(study.glob("runs/*/*/cache"))


def test_a_study_grows_by_seeds_and_keeps_what_is_finished(study, recipe_path, case_set, tmp_path):
    import shutil

    out = shutil.copytree(study, tmp_path / "study")
    kept = out / "runs" / "plain" / "fold1-seed0" / WEIGHTS
    before = kept.stat().st_mtime_ns
    shutil.rmtree(out / "runs" / "guided" / "fold0-seed0")
    changes = [*SMALL, "study.seeds=2", "study.shown=[plain]"]
    recipe = load_recipe(recipe_path, changes=changes)
    assert run_study(recipe, case_set, out, Machines(jobs=2)) == {}
    assert all(is_finished(run.folder(out)) for run in planned_runs(recipe))
    assert kept.stat().st_mtime_ns == before


def test_a_finished_study_does_nothing(study, recipe_path, case_set, monkeypatch):
    monkeypatch.setattr("sonoprior.studies.runs.work_through", pytest.fail)
    assert run_study(load_recipe(recipe_path, changes=SMALL), case_set, study) == {}


def test_a_run_that_fails_is_reported_and_the_others_go_on(recipe_path, case_set, tmp_path):
    variants = "study.variants={plain: {objectives.guidance.weight: 0}, wild: {training.learning_rate: 1e30}}"
    recipe = load_recipe(recipe_path, changes=["training.epochs=2", variants])
    failed = run_study(recipe, case_set, tmp_path / "study")
    assert list(failed) == ["wild, fold 0, seed 0"]
    assert "the loss must stay a finite number" in failed["wild, fold 0, seed 0"]
    assert is_finished(tmp_path / "study" / "runs" / "plain" / "fold0-seed0")


def test_a_study_of_another_recipe_is_refused(study, recipe_path, case_set):
    other = load_recipe(recipe_path, changes=[*SMALL, "training.batch_size=4"])
    with pytest.raises(FolderError, match=r"holds a study that differs in training\.batch_size; name a new"):
        take_up(STUDY, other, case_set, study)


@pytest.fixture
def at_work(study):
    """Another process that holds the lock of the study; whoever kills it frees the folder."""
    code = (
        "import sys, time; from pathlib import Path; from sonoprior.studies.lock import only_process\n"
        "with only_process(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(study)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_two_studies_into_one_folder_are_refused(study, recipe_path, case_set, at_work):
    recipe = load_recipe(recipe_path, changes=SMALL)
    with pytest.raises(FolderError, match=r"another process is training in .*study; wait until it has ended"):
        run_study(recipe, case_set, study)
    at_work.kill()
    at_work.wait()
    assert run_study(recipe, case_set, study) == {}


def test_a_run_waits_until_its_former_trainer_has_let_go(tmp_path):
    refused = pytest.raises(FolderError, match="another process is training in")
    with (
        only_trainer(tmp_path, tmp_path / "run"),
        refused,
        only_trainer(tmp_path, tmp_path / "run", patience_s=0.1),
    ):
        pytest.fail("two trainers")
    with only_trainer(tmp_path, tmp_path / "run", patience_s=0.1):
        pass


def test_variants_with_fewer_labels_train_on_nested_parts_of_the_same_folds(recipe_path, case_set, tmp_path):
    variants = "{plain: {}, third: {split.label_fraction: 0.3}, half: {split.label_fraction: 0.5}}"
    recipe = load_recipe(
        recipe_path, changes=[*SMALL, f"study.variants={variants}", "objectives.guidance.weight=0"]
    )
    out = tmp_path / "study"
    assert run_study(recipe, case_set, out) == {}
    for fold in range(2):
        parts = {
            name: read_parts(out / "runs" / name / f"fold{fold}-seed0" / "split.csv", case_set)
            for name in recipe.study.variants
        }
        train = {name: set(of["train"]) for name, of in parts.items()}
        assert train["third"] < train["half"] < train["plain"]
        # Exams hold up to three cases, and none is cut.
        assert len(train["half"]) == pytest.approx(len(train["plain"]) / 2, abs=2)
        for name, of in parts.items():
            outside = set(case_set.groups()[sorted(train["plain"] - train[name])])
            assert not outside & set(case_set.groups()[of["train"]])
            assert np.array_equal(of["test"], parts["plain"]["test"])


def test_a_fraction_below_the_studys_own_is_a_fraction_of_all_training_cases(recipe_path, case_set, tmp_path):
    variants = "{plain: {}, whole: {split.label_fraction: 1}}"
    changes = [f"study.variants={variants}", "objectives.guidance.weight=0", "split.label_fraction=0.5"]
    out = tmp_path / "study"
    assert run_study(load_recipe(recipe_path, changes=[*SMALL, *changes]), case_set, out) == {}
    counts = [
        len(read_parts(out / "runs" / name / "fold0-seed0" / "split.csv", case_set)["train"])
        for name in ("plain", "whole")
    ]
    assert counts[0] == pytest.approx(counts[1] / 2, abs=2)


def test_other_cases_are_refused(study, recipe_path, tmp_path):
    from tiny import write_blobs

    fewer = CaseSet.open(write_blobs(tmp_path / "fewer", cases=20))
    with pytest.raises(FolderError, match=r"splits\.csv was made for other cases than those of .*fewer"):
        take_up(STUDY, load_recipe(recipe_path, changes=SMALL), fewer, study)


def test_something_else_in_the_folder_is_refused(recipe_path, case_set, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FolderError, match="is not a study folder"):
        take_up(STUDY, load_recipe(recipe_path, changes=SMALL), case_set, tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ("study.variants.guided.model.tap=stage9", ModelError, "tap must be one of"),
        ("study.variants.guided.data.priors.source=landmarks", DataError, "landmarks"),
        ("split.label_fraction=0.1", DataError, "the train part of fold 0 must hold cases with outlines"),
        ("split.folds=30", DataError, "30 parts need at least 30 groups"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(
    recipe_path, case_set, tmp_path, change, error, said
):
    with pytest.raises(error, match=said):
        run_study(load_recipe(recipe_path, changes=[*SMALL, change]), case_set, tmp_path / "study")
    assert not list(tmp_path.iterdir())


def test_no_jobs(recipe_path, case_set, tmp_path):
    with pytest.raises(SonopriorError, match="the number of jobs must be at least 1, but got 0"):
        run_study(load_recipe(recipe_path), case_set, tmp_path / "study", Machines(jobs=0))


COMMANDS = "import sys; from sonoprior.cli.main import main; main(sys.argv[1:])"


@pytest.mark.long
def test_a_study_that_is_killed_goes_on(recipe_path, blobs, tmp_path):
    def start(out):
        command = [sys.executable, "-c", COMMANDS, "study", str(recipe_path), "--data", str(blobs)]
        settings = ["--set", "training.epochs=6", "--out", str(out)]
        return subprocess.Popen([*command, *settings], env=os.environ | {"OMP_NUM_THREADS": "1"})

    assert start(tmp_path / "whole").wait() == 0
    out = tmp_path / "killed"
    process = start(out)
    while not list(out.glob("runs/*/*/log.csv")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert start(out).wait() == 0
    for run in (tmp_path / "whole").glob("runs/*/*"):
        other = out / run.relative_to(tmp_path / "whole")
        assert (run / WEIGHTS).read_bytes() == (other / WEIGHTS).read_bytes()
    assert json.loads((out / "summary.json").read_text())["complete"]
