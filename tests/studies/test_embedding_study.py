import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import normalized_mutual_info_score

from made_study import write_cases, write_run, write_tried
from measured_embeddings import EMBEDDING, write_embedding_run, write_embedding_study
from sonoprior.cases import CaseSet
from sonoprior.core.errors import DataError, FolderError
from sonoprior.metrics import SCALARS, metric_names
from sonoprior.studies import sections
from sonoprior.studies.asked import contrast
from sonoprior.studies.comparison import compare_runs
from sonoprior.studies.ensemble import refuse_what_has_no_ensemble
from sonoprior.studies.finished import FinishedRun
from sonoprior.studies.layout import PlannedRun
from sonoprior.studies.measures import available, measure_named
from sonoprior.studies.nearest_cases import by_chance
from sonoprior.studies.report import run_report, study_report
from sonoprior.studies.results import StudyResults
from sonoprior.studies.tried import what_was_tried
from sonoprior.studies.wording import answer
from sonoprior.training.recipe import Recipe


@pytest.fixture(scope="module")
def case_set(tmp_path_factory):
    return CaseSet.open(write_cases(tmp_path_factory.mktemp("embedded") / "cases", 48))


@pytest.fixture(scope="module")
def study(case_set, tmp_path_factory):
    """A finished study of two variants and two folds; not to be written to."""
    return write_embedding_study(tmp_path_factory.mktemp("embedded") / "study", case_set)


@pytest.fixture(scope="module")
def results(study):
    return StudyResults.read(study)


@pytest.fixture(scope="module")
def classifier(case_set, tmp_path_factory):
    """A run on the same cases without an embedding."""
    recipe = Recipe.model_validate(EMBEDDING)
    return write_run(tmp_path_factory.mktemp("run") / "run", case_set, recipe, PlannedRun("plain", 0, 0))


def tables_of(study, variant):
    for fold in range(2):
        table = pd.read_csv(study / "runs" / variant / f"fold{fold}-seed0" / "retrieval.csv")
        yield table[table["part"] == "test"].set_index("case")


def test_the_measures_are_those_of_the_recipe_and_each_the_mean_over_runs(study, results):
    assert {one.name for one in results.measures} == set(metric_names(False, ["finding", "state"]))
    assert results.measures[0].name == "recall@1.finding"
    for variant in ("plain", "guided"):
        tables = list(tables_of(study, variant))
        for name in ("recall@1.finding", "map@r.state", "how_wrong.finding", "spearman.finding"):
            found = results.outcome(variant, measure_named(name))
            assert found.of_runs == pytest.approx([table[name].mean() for table in tables])
            assert found.interval.low < found.interval.value < found.interval.high
        slow = [normalized_mutual_info_score(one["label.state"], one["cluster.state"]) for one in tables]
        assert results.outcome(variant, measure_named("nmi.state")).of_runs == pytest.approx(slow)


def test_how_wrong_is_compared_on_the_cases_that_both_got_wrong(study, results):
    slow = []
    for ours, base in zip(tables_of(study, "guided"), tables_of(study, "plain"), strict=True):
        both = ours["how_wrong.finding"].notna() & base["how_wrong.finding"].notna()
        slow.append((ours["how_wrong.finding"] - base["how_wrong.finding"])[both].mean())
    measure = measure_named("how_wrong.finding")
    found = results.outcome("guided", measure).difference
    assert found.of_runs == pytest.approx(slow)
    pair = measure.pair(results.runs["guided"][0], results.runs["plain"][0])
    assert 0 < len(pair.groups) < len(results.first.measured())


def test_clusters_are_compared_on_the_labels_that_both_share(study, results):
    slow = [
        normalized_mutual_info_score(one["label.finding"], one["cluster.finding"])
        - normalized_mutual_info_score(base["label.finding"], base["cluster.finding"])
        for one, base in zip(tables_of(study, "guided"), tables_of(study, "plain"), strict=True)
    ]
    found = results.outcome("guided", measure_named("nmi.finding")).difference
    assert found.of_runs == pytest.approx(slow)
    assert found.interval.low < found.interval.value < found.interval.high


def test_the_answer_and_the_choice_on_validation_speak_of_retrieval(results):
    assert results.chosen == "guided"
    assert answer(results).text.startswith("guided reached a recall@1 (finding) of ")


def test_the_page_has_what_embeddings_have_and_nothing_of_probabilities(study, case_set, tmp_path):
    results = StudyResults.read(study)
    page = study_report(results, None, tmp_path / "report.html")
    text = page.with_suffix(".md").read_text()
    for said in ("NMI (finding), %", "error distance (finding)", "91.44", "Retrieval: a case that could"):
        assert said in text
    assert "of the nearest case's class, where it is wrong" in text
    for said in ("Class by class and how sure", "accuracy", "calibration error", "## Errors", "look there"):
        assert said not in text
    assert "validation: recall@1 (finding)" in str(sections.training_curves(results.runs, results.first))
    assert sections.worst(results.runs, case_set) == []
    assert sections.pictures(sections.aligned(results.runs), case_set, pytest.fail) == []


def test_the_measures_stand_in_short_and_then_level_by_level(results):
    short, fold, _ = sections.every_measure(results)
    wanted = ["recall@1 (finding), %", "recall@1 (state), %", "MAP@R (finding), %", "NMI (finding), %"]
    assert short.header[1:] == [*wanted, "error distance (finding)", "Spearman correlation (finding)"]
    assert [table.header[1] for table in fold.blocks] == wanted[:2]
    assert sum(len(table.header) - 1 for table in fold.blocks) == len(results.measures)


def test_changed_cases_are_counted_by_their_nearest(study, results):
    ours, base = (pd.concat(tables_of(study, name))["recall@1.finding"] for name in ("guided", "plain"))
    counts = [((ours == a) & (base == b)).sum() for a, b in ((1, 0), (0, 1), (0, 0))]
    (said,) = sections.changed_cases(results)
    assert f"{counts[0]} have a nearest case of another class in plain" in said.text
    assert f"{counts[1]} the other way round, and {counts[2]} one of another class in both" in said.text


def test_a_single_run_has_its_page_and_two_are_compared(study, tmp_path):
    runs = [study / "runs" / name / "fold0-seed0" for name in ("plain", "guided")]
    text = run_report(runs[0], tmp_path / "run.html").with_suffix(".md").read_text()
    chance = 100 * by_chance(FinishedRun.read(runs[0]))
    assert f"a case drawn by chance would be of the same class in {chance:.0f} %" in text
    rows = {row.measure.name: row for row in compare_runs(*runs)}
    assert rows.keys() == set(metric_names(False, ["finding", "state"]))
    assert rows["recall@1.finding"].difference.value > 0
    assert rows["how_wrong.finding"].cases < rows["recall@1.finding"].cases


def test_what_needs_probabilities_is_refused_in_words(study, classifier):
    run = study / "runs" / "plain" / "fold0-seed0"
    with pytest.raises(FolderError, match="embedding without a classifier, so it predicts nothing"):
        FinishedRun.read(run).predictions()
    with pytest.raises(DataError, match="have no measure in common, since one classifies and the other"):
        compare_runs(run, classifier)
    fixed = EMBEDDING | {"split": {"protocol": "fixed_test", "folds": 2}}
    with pytest.raises(FolderError, match="averages class probabilities, but plain, guided of made-embed"):
        refuse_what_has_no_ensemble(Recipe.model_validate(fixed))


def test_variants_with_and_without_a_classifier_share_what_both_have(case_set, study, tmp_path):
    both = write_embedding_run(
        tmp_path / "both", case_set, Recipe.model_validate(EMBEDDING), PlannedRun("plain", 0, 0), True
    )
    embeds, classifies = FinishedRun.read(study / "runs" / "plain" / "fold0-seed0"), FinishedRun.read(both)
    names = [one.name for one in available({"embeds": [embeds], "both": [classifies]})]
    assert set(names) == set(metric_names(False, ["finding", "state"]))
    assert names[: len(SCALARS)] != list(SCALARS)
    assert [one.name for one in available({"both": [classifies]})][: len(SCALARS)] == list(SCALARS)
    runs = {"embeds": [embeds], "both": [classifies]}
    table = sections.class_by_class(runs, runs, embeds)[0]
    assert table.header[2:] == ["both"]


def test_what_only_some_runs_measured_is_left_out(study, tmp_path):
    copied = shutil.copytree(study, tmp_path / "study")
    path = copied / "runs" / "guided" / "fold1-seed0" / "retrieval.csv"
    pd.read_csv(path).drop(columns=["spearman.finding", "cluster.state"]).to_csv(path, index=False)
    names = {one.name for one in StudyResults.read(copied).measures}
    assert {"spearman.finding", "nmi.state"} == set(metric_names(False, ["finding", "state"])) - names


def test_a_variant_without_any_error_has_no_error_distance(study, tmp_path):
    copied = shutil.copytree(study, tmp_path / "study")
    for path in copied.glob("runs/guided/*/retrieval.csv"):
        pd.read_csv(path).assign(**{"how_wrong.finding": np.nan}).to_csv(path, index=False)
    results = StudyResults.read(copied)
    found = results.outcome("guided", measure_named("how_wrong.finding"))
    assert np.isnan(found.interval.value)
    assert found.difference is None
    assert "–" in str(sections.every_measure(results)[0].rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop(columns="nearest"), "must have the column 'nearest', but lacks it"),
        (lambda table: table.assign(**{"map@r.state": "high"}), "must hold numbers in .*'high'"),
    ],
)
def test_a_damaged_table_is_refused(study, tmp_path, change, said):
    run = shutil.copytree(study / "runs" / "plain" / "fold0-seed0", tmp_path / "run")
    change(pd.read_csv(run / "retrieval.csv")).to_csv(run / "retrieval.csv", index=False)
    with pytest.raises(FolderError, match=said):
        FinishedRun.read(run).retrieval()


def test_a_contrast_and_a_tuning_go_by_a_metric_of_retrieval(case_set, study, tmp_path):
    recipe = EMBEDDING | {
        "tune": {"metric": "how_wrong.finding", "budget": 2, "grid": {"training.learning_rate": [0.1, 0.2]}},
        "study": EMBEDDING["study"]
        | {"contrast": {"column": "extra.mark_agrees", "kept": "yes", "lost": "no"}},
    }
    copied = shutil.copytree(study, tmp_path / "study")
    (copied / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    write_tried(copied, recipe)
    results = StudyResults.read(copied, case_set)
    kinds = dict(zip(case_set.ids, case_set.column("extra.mark_agrees"), strict=True))
    slow = []
    for table in tables_of(study, "guided"):
        of_kind = table["recall@1.finding"].groupby(table.index.map(kinds)).mean()
        slow.append(of_kind["yes"] - of_kind["no"])
    assert results.losses[1].of_runs == pytest.approx(slow)
    assert "A loss is the recall@1 (finding)" in contrast(results)[0].text
    about, table = what_was_tried(results)
    assert "chosen by the error distance (finding)" in about.text
    assert table.rows[0][2].content.startswith("0.7")
