import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from made_study import SMALL, write_study
from sonoprior.core.errors import FolderError
from sonoprior.metrics import Interval
from sonoprior.studies.finished import FinishedRun
from sonoprior.studies.formats import bounds, number
from sonoprior.studies.measures import measure_named
from sonoprior.studies.results import StudyResults
from sonoprior.studies.wording import answer, choice, lines

KEYS = [(fold, seed) for fold in range(3) for seed in range(2)]


@pytest.fixture(scope="module")
def results(made):
    """The made study, read once."""
    return StudyResults.read(made.study)


@pytest.fixture
def copied(small, tmp_path):
    """A copy of the small study, to be damaged."""
    return shutil.copytree(small.study, tmp_path / "study")


def table_of(study, variant, fold, seed, file="predictions"):
    table = pd.read_csv(study / "runs" / variant / f"fold{fold}-seed{seed}" / f"{file}.csv")
    return table[table["part"] == "test"]


def test_a_variant_is_the_mean_and_std_of_its_runs(made, results):
    slow = []
    for fold, seed in KEYS:
        table = table_of(made.study, "alpha-10", fold, seed)
        slow.append(balanced_accuracy_score(table["label"], table["predicted"]))
    found = results.outcome("alpha-10")
    assert found.of_runs == pytest.approx(slow)
    assert found.interval.value == pytest.approx(np.mean(slow))
    assert found.std == pytest.approx(np.std(slow, ddof=1))
    assert found.interval.low < found.interval.value < found.interval.high


def test_other_measures_are_there_too(made, results):
    tables = [table_of(made.study, "plain", *key) for key in KEYS]
    classes = ["benign", "malignant", "normal"]
    slow = [
        roc_auc_score(one["label"], one[[f"p.{name}" for name in classes]], multi_class="ovr", labels=classes)
        for one in tables
    ]
    assert results.outcome("plain", measure_named("auroc")).interval.value == pytest.approx(np.mean(slow))
    looked = [table_of(made.study, "plain", *key, "localisation")["inside"].mean() for key in KEYS]
    assert results.outcome("plain", measure_named("inside")).of_runs == pytest.approx(looked)
    assert results.measures[0].name == "balanced_accuracy"


def test_the_difference_is_that_of_the_means_and_its_interval_agrees_with_a_slow_loop(made, results):
    """The slow loop draws patients by name and stacks their rows, run by run."""
    tables = {(name, key): table_of(made.study, name, *key) for name in ("plain", "alpha-10") for key in KEYS}
    groups = np.unique(np.concatenate([table["group"] for table in tables.values()]))
    rows = {
        place: {name: rows[["label", "predicted"]].to_numpy() for name, rows in table.groupby("group")}
        for place, table in tables.items()
    }
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(300):
        chosen = rng.choice(groups, len(groups))
        of_runs = []
        for key in KEYS:
            score = {}
            for name in ("plain", "alpha-10"):
                here = [rows[name, key][group] for group in chosen if group in rows[name, key]]
                labels, predicted = np.concatenate(here).T
                score[name] = np.mean([(predicted[labels == one] == one).mean() for one in np.unique(labels)])
            of_runs.append(score["alpha-10"] - score["plain"])
        drawn.append(np.mean(of_runs))
    found = results.outcome("alpha-10").difference
    means = [results.outcome(name).interval.value for name in ("plain", "alpha-10")]
    assert found.interval.value == pytest.approx(means[1] - means[0])
    assert (found.interval.low, found.interval.high) == pytest.approx(
        tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.025
    )
    assert found.better == sum(value > 0 for value in found.of_runs)


def test_the_baseline_has_no_difference_and_the_choice_is_made_on_validation(made, results):
    assert results.outcome("plain").difference is None
    assert results.compared == ["alpha-1", "alpha-10"]
    scores = {}
    for name in results.compared:
        runs = [
            made.study / "runs" / name / f"fold{fold}-seed{seed}" / "predictions.csv" for fold, seed in KEYS
        ]
        tables = [pd.read_csv(path).query("part == 'validation'") for path in runs]
        scores[name] = np.mean([balanced_accuracy_score(one["label"], one["predicted"]) for one in tables])
    assert results.chosen == max(scores, key=scores.get)


def test_an_error_that_falls_is_better(results):
    found = results.outcome("alpha-10", measure_named("ece")).difference
    assert found.better == sum(value < 0 for value in found.of_runs)


def test_results_are_written_whole(copied):
    results = StudyResults.read(copied)
    results.write()
    table = pd.read_csv(copied / "results.csv")
    assert set(table["variant"]) == {"plain", "alpha-10"}
    row = table.query("variant == 'alpha-10' and measure == 'balanced_accuracy'").iloc[0]
    assert row["difference"] == pytest.approx(results.outcome("alpha-10").difference.interval.value)
    assert (row["runs"], row["pairs"]) == (2, 2)
    summary = json.loads((copied / "summary.json").read_text())
    assert summary["complete"] is True
    assert summary["simulated"] is True
    assert summary["primary"] == "balanced_accuracy"
    assert summary["variants"]["plain"]["mean"] == pytest.approx(results.outcome("plain").interval.value)


def test_the_answer_says_the_difference_and_where_zero_lies(results):
    found = answer(results)
    assert found.text.startswith("alpha-10 reached a balanced accuracy of ")
    assert "The interval leaves zero out" in found.text
    # Over three folds the t-test has two degrees of freedom: it is not sure, and the answer says so.
    assert found.tone == "warning"
    assert "But the corrected t-test over 3 folds, which asks about other training sets" in found.text
    assert "the luck of training, of which 2 seeds a fold shows little" in found.text
    assert "best on the validation cases; over all folds these are the test cases too" in choice(results)
    split = results.recipe.split.model_copy(update={"protocol": "single_split"})
    once = replace(results, recipe=results.recipe.model_copy(update={"split": split}))
    assert "best on the validation cases; the test cases had no part in that choice" in choice(once)
    shown = lines(results)
    assert shown[0].startswith("plain     balanced accuracy ")
    assert "95 % interval +" in shown[2]


def test_a_difference_that_may_be_nothing_is_said_so(copied):
    for fold in range(2):  # the same guesses, on one patient luckier and on another unluckier
        path = copied / "runs" / "alpha-10" / f"fold{fold}-seed0" / "predictions.csv"
        table = pd.read_csv(path.parents[2] / "plain" / path.parent.name / "predictions.csv")
        first, last = table.index[:2], table.index[-2:]
        table.loc[first, ["p.benign", "p.malignant", "p.normal"]] = [1.0, 0.0, 0.0]
        table.loc[last, ["p.benign", "p.malignant", "p.normal"]] = [0.0, 0.0, 1.0]
        table.to_csv(path, index=False)
    found = answer(StudyResults.read(copied))
    assert found.tone == "warning"
    assert "The interval includes zero" in found.text


def test_an_incomplete_study_says_what_is_missing(small, tmp_path):
    study = write_study(tmp_path / "study", small.case_set, SMALL, leave_out=1)
    results = StudyResults.read(study)
    assert len(results.missing) == 1
    assert "alpha-10" in results.missing[0]
    assert len(results.matched("alpha-10", "plain")) == 1
    assert results.summary()["complete"] is False
    assert lines(results)[-1].startswith("not complete: 1 run missing (")


def test_only_the_baseline_can_answer_nothing(copied):
    shutil.rmtree(copied / "runs" / "alpha-10")
    results = StudyResults.read(copied)
    assert results.chosen is None
    assert choice(results) == ""
    assert answer(results).text.startswith("Nothing can be compared yet: plain has finished runs")
    assert results.summary()["chosen_on_validation"] is None


def test_runs_on_other_folds_are_never_compared(copied):
    shutil.rmtree(copied / "runs" / "plain" / "fold1-seed0")
    shutil.rmtree(copied / "runs" / "alpha-10" / "fold0-seed0")
    results = StudyResults.read(copied)
    assert results.matched("alpha-10", "plain") == []
    assert results.compared == []


def test_one_run_has_no_standard_deviation(small, tmp_path):
    recipe = {**SMALL, "split": {"protocol": "single_split"}}
    results = StudyResults.read(write_study(tmp_path / "study", small.case_set, recipe))
    assert np.isnan(results.outcome("plain").std)
    assert "±" not in lines(results)[0]
    assert "(1 run)" in lines(results)[0]
    assert results.summary()["variants"]["plain"]["std"] is None


def test_where_two_looked_is_not_compared_if_it_is_measured_against_other_outlines(copied):
    inside = measure_named("inside")
    before = StudyResults.read(copied)
    assert before.outcome("alpha-10", inside).difference is not None
    for path in copied.glob("runs/alpha-10/*/run.json"):
        said = json.loads(path.read_text())
        path.write_text(json.dumps(said | {"priors": ["each", "of", "them"]}))
    after = StudyResults.read(copied)
    assert after.outcome("alpha-10", inside).difference is None
    assert after.outcome("alpha-10").difference is not None
    assert after.outcome("alpha-10", inside).interval == before.outcome("alpha-10", inside).interval


def test_without_outlines_there_is_no_localisation(copied):
    for path in copied.glob("runs/*/*/localisation.csv"):
        path.write_text(path.read_text().splitlines()[0] + "\n")
    assert "inside" not in {measure.name for measure in StudyResults.read(copied).measures}


def test_a_run_without_outlined_cases_does_not_stop_the_others(copied):
    path = copied / "runs" / "alpha-10" / "fold0-seed0" / "localisation.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    found = StudyResults.read(copied).outcome("alpha-10", measure_named("inside"))
    assert np.isnan(found.of_runs[0])
    assert np.isfinite(found.interval.value)
    assert len(found.difference.of_runs) == 1


def test_formats():
    accuracy, correlation = measure_named("accuracy"), measure_named("correlation")
    assert number(0.7123, accuracy) == "71.2"
    assert number(-0.0312, accuracy, sign=True) == "−3.1"
    assert number(0.5, correlation) == "0.50"
    assert number(float("nan"), accuracy) == "–"
    assert bounds(Interval(0.5, 0.1, 0.9), accuracy) == "10.0 to 90.0"
    assert bounds(Interval(0.5, float("nan"), float("nan")), accuracy) == "too few groups"


RUN = "runs/plain/fold0-seed0"


def rewritten(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_folder_that_is_no_study_is_refused(small, tmp_path):
    with pytest.raises(FolderError, match="is not a study folder: it has no sonoprior"):
        StudyResults.read(tmp_path)
    with pytest.raises(FolderError, match="must be a study folder, but it is marked as 'run'"):
        StudyResults.read(small.study / RUN)


def test_a_study_without_a_finished_run_is_refused(copied):
    shutil.rmtree(copied / "runs")
    with pytest.raises(FolderError, match="holds no finished run yet"):
        StudyResults.read(copied)


def test_a_run_that_is_not_finished_is_refused(copied):
    (copied / RUN / "metrics.json").unlink()
    with pytest.raises(FolderError, match="is not finished: it has no metrics"):
        FinishedRun.read(copied / RUN)


@pytest.mark.parametrize(
    ("file", "old", "new", "text"),
    [
        (
            "predictions.csv",
            "p.benign",
            "p.other",
            "predictions.csv must have the column 'p.benign', but lacks it",
        ),
        (
            "predictions.csv",
            ",benign,",
            ",cyst,",
            "a label must be one of benign, malignant, normal, but got 'cyst'",
        ),
        ("localisation.csv", "inside", "within", "localisation.csv must have the column 'inside'"),
        ("log.csv", "1.0,", "soon,", "log.csv must hold numbers in epoch, .*: could not convert"),
    ],
)
def test_damaged_tables_are_refused(copied, file, old, new, text):
    rewritten(copied / RUN / file, old, new)
    run = FinishedRun.read(copied / RUN)
    with pytest.raises(FolderError, match=text):
        _ = run.predictions("validation"), run.predictions("test"), run.localisation(), run.log


def test_a_run_that_does_not_say_what_it_is_is_refused(copied):
    path = copied / RUN / "run.json"
    path.write_text(json.dumps({"variant": "plain", "fold": 0}))
    with pytest.raises(FolderError, match=r"run.json must name variant, .* but lacks seed, level, classes"):
        FinishedRun.read(copied / RUN)


def test_reading_results_needs_no_torch(small):
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from sonoprior.studies.results import StudyResults;"
        f" StudyResults.read(Path({str(small.study)!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
