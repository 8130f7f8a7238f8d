"""Studies of runs that decide on each class by itself: their measures, tables and page."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import f1_score, precision_recall_fscore_support

from sonoprior.cases import CaseSet
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import stamp
from sonoprior.studies import tables
from sonoprior.studies.ensemble import refuse_what_has_no_ensemble
from sonoprior.studies.finished import FinishedRun
from sonoprior.studies.layout import planned_runs
from sonoprior.studies.measures import measure_named
from sonoprior.studies.published import published_table
from sonoprior.studies.report import run_report, study_report
from sonoprior.studies.results import StudyResults
from sonoprior.studies.verdicts import verdicts
from sonoprior.training.ensemble import load_ensemble
from sonoprior.training.machine import choose_device
from sonoprior.training.recipe import PublishedTable
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import Computing, plan_run, train_run
from tiny_several import CLUSTERS, SEVERAL, SHAPES, write_shapes

VARIANTS = {"slow": {"training.learning_rate": 0.0001}, "fast": {"training.learning_rate": 0.01}}
STUDY = {"primary": "weighted_f1", "seeds": 1, "baseline": "slow", "variants": VARIANTS}


def study_of(content, folder, case_set):
    """A finished study of two variants."""
    folder.mkdir(parents=True)
    short = content["training"] | {"epochs": 2}
    content = content | {"study": STUDY, "training": short}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    stamp(folder, "study", 1)
    recipe = load_recipe(folder / "recipe.yaml")
    for planned in planned_runs(recipe):
        plan = plan_run(planned.recipe(recipe), case_set, planned.variant, planned.fold, planned.seed)
        train_run(plan, planned.folder(folder), Computing(choose_device("cpu")))
    return SimpleNamespace(folder=folder, recipe=recipe, results=StudyResults.read(folder))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return CaseSet.open(write_shapes(tmp_path_factory.mktemp("shapes") / "set", hidden=2))


@pytest.fixture(scope="module")
def studies(shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    return {of["name"]: study_of(of, folder / of["name"], shapes) for of in (SEVERAL, CLUSTERS)}


@pytest.fixture(params=[SEVERAL["name"], CLUSTERS["name"]])
def study(request, studies):
    return studies[request.param]


def decisions_of(run, part="test"):
    table = pd.read_csv(run.folder / "predictions.csv", keep_default_na=False)
    table = table[table["part"] == part]
    shown = [
        [[name in one.split(" + ") for name in SHAPES] for one in table[of]] for of in ("label", "predicted")
    ]
    return np.array(shown[0]), np.array(shown[1])


def test_the_numbers_of_a_study_are_those_of_its_predictions(study):
    results = study.results
    for variant, runs in results.runs.items():
        labels, predicted = decisions_of(runs[0])
        wanted = f1_score(labels, predicted, average="weighted", zero_division=np.nan)
        assert results.outcome(variant).interval.value == pytest.approx(wanted)
    macro = results.outcome("fast", measure_named("macro_f1"))
    labels, predicted = decisions_of(results.runs["fast"][0])
    by_class = precision_recall_fscore_support(labels, predicted, zero_division=np.nan)
    assert macro.interval.value == pytest.approx(np.nanmean(by_class[2]))
    for at, shape in enumerate(SHAPES):
        of_class = results.outcome("fast", measure_named(f"recall.{shape}"))
        assert of_class.interval.value == pytest.approx(by_class[1][at], nan_ok=True)
    names = [one.name for one in results.measures]
    assert names[:2] == ["weighted_f1", "weighted_precision"]
    assert ("cluster_nmi" in names) == (study.recipe.name == "tiny-clusters")


def test_two_variants_are_compared_on_the_same_decisions(study):
    found = study.results.outcome("fast").difference
    scores = {}
    for name, (run,) in study.results.runs.items():
        scores[name] = f1_score(*decisions_of(run), average="weighted", zero_division=np.nan)
    assert found.interval.value == pytest.approx(scores["fast"] - scores["slow"])


def test_a_table_has_every_class_and_the_weighted_average(study):
    table = tables.decided_table(study.results.runs, SHAPES)
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    labels, predicted = decisions_of(study.results.runs["slow"][0])
    by_class = precision_recall_fscore_support(labels, predicted, zero_division=np.nan)
    for title, values in zip(("precision, %", "recall, %", "F1, %"), by_class[:3], strict=True):
        for shape, value in zip(SHAPES, values, strict=True):
            assert rows[title, shape][0] == ("–" if np.isnan(value) else f"{100 * value:.1f}")
    assert ("F1, %", "weighted average") in rows


def test_published_numbers_of_a_class_have_ours_of_that_class_beside(study):
    rows = [
        {"class": "bar", "variant": "fast", "metric": "f1.bar", "value": 60},
        {"class": "all", "variant": "fast", "metric": "weighted_f1", "value": 70},
        {"class": "all", "variant": "another", "metric": "weighted_f1", "value": 70},
    ]
    table = published_table(study.results, PublishedTable(table="2", metric="F1, %", rows=rows))
    labels, predicted = decisions_of(study.results.runs["fast"][0])
    by_class = f1_score(labels, predicted, average=None, zero_division=np.nan)
    weighted = f1_score(labels, predicted, average="weighted", zero_division=np.nan)
    of_bar = by_class[SHAPES.index("bar")]
    ours = ["–" if np.isnan(value) else f"{100 * value:.1f}" for value in (of_bar, weighted)]
    assert table.header == ["class", "value", "this study: F1, %"]
    assert table.rows == [["bar", "60", ours[0]], ["all", "70", ours[1]], ["all", "70", "–"]]


def test_the_page_is_written_whole(study, shapes, tmp_path):
    page = study_report(study.results, shapes, tmp_path / "report.html").read_text()
    assert "weighted average" in page
    assert "weighted F1" in page
    assert "confusion" not in page
    assert "Reliability" not in page
    attributed = "what is predicted" if study.recipe.classifies else "the sum of its outputs"
    assert f"A map is the class activation (Grad-CAM) of {attributed} at" in page
    one = run_report(study.results.first.folder, tmp_path / "run.html", shapes).read_text()
    assert "would match exactly in" in one


def test_a_verdict_is_what_half_of_the_runs_name(studies):
    (run,) = studies["tiny-several"].results.runs["fast"]
    alone = verdicts([run])
    labels, predicted = decisions_of(run)
    right = {
        case: bool((a == b).all()) for case, a, b in zip(run.measured().cases, labels, predicted, strict=True)
    }
    assert {case: alone.right(case) for case in alone.said} == right
    assert verdicts([run, run]).said == alone.said


def test_decisions_have_no_ensemble(studies):
    study = studies["tiny-several"]
    fixed = study.recipe.split.model_copy(update={"protocol": "fixed_test"})
    with pytest.raises(FolderError, match=r"slow, fast of tiny-several decides on each class by thresholds"):
        refuse_what_has_no_ensemble(study.recipe.model_copy(update={"split": fixed}))
    with pytest.raises(FolderError, match="decides on each class by thresholds of its own; use the runs one"):
        load_ensemble([run.folder for run in study.results.every_run], device="cpu")


def test_a_damaged_prediction_is_refused(studies, tmp_path):
    import shutil

    folder = shutil.copytree(studies["tiny-several"].results.first.folder, tmp_path / "run")
    table = pd.read_csv(folder / "predictions.csv", keep_default_na=False)
    table["predicted"] = "ring"
    table.to_csv(folder / "predictions.csv", index=False)
    with pytest.raises(FolderError, match=r"predictions\.csv: a class must be one of disc, bar, frame"):
        FinishedRun.read(folder).decisions()


def test_clusters_are_asked_of_runs_that_have_them(studies):
    (run,) = studies["tiny-several"].results.runs["fast"]
    with pytest.raises(FolderError, match="has no clusters, so NMI of clusters is not known of it"):
        measure_named("cluster_nmi").sample(run)
