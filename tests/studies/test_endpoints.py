"""The secondary endpoints of a study and the best of each family, against slow loops over its predictions."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from made_study import RECIPE, Made, write_cases, write_study
from sonoprior.cases import CaseSet
from sonoprior.metrics.classification import SCALARS
from sonoprior.studies import StudyResults, study_report
from sonoprior.studies.endpoints import best_of_families, secondary_endpoints
from sonoprior.studies.measures import measure_named

FAMILIES = {"plain": ["alpha-1", "alpha-10"], "plain-20": ["blob", "guided-20"]}
VARIANTS = [name for reference, names in FAMILIES.items() for name in (reference, *names)]
STUDY = {
    "seeds": 1,
    "secondary": ["accuracy", "ece"],
    "variants": {name: {"training.epochs": 14 - at} for at, name in enumerate(VARIANTS)},
    "against": dict.fromkeys(FAMILIES["plain-20"], "plain-20"),
}
SPLIT = {"protocol": "cross_evaluation", "folds": 2}
KEYS = [f"fold{fold}-seed0" for fold in range(2)]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A finished study of two families, with two secondary endpoints."""
    folder = tmp_path_factory.mktemp("endpoints")
    cases = write_cases(folder / "cases", 48)
    recipe = RECIPE | {"split": SPLIT, "study": STUDY}
    return Made(cases, write_study(folder / "study", CaseSet.open(cases), recipe))


@pytest.fixture(scope="module")
def results(asked):
    return StudyResults.read(asked.study)


def mean_of(asked, variant, score, part="test"):
    tables = [pd.read_csv(asked.study / "runs" / variant / key / "predictions.csv") for key in KEYS]
    parts = [table[table["part"] == part] for table in tables]
    return np.mean([score(table["label"], table["predicted"]) for table in parts])


def points(cell):
    """A difference as it is shown, with one decimal."""
    assert cell[0] in "+−"
    return float(cell.replace("−", "-"))


def slow_holm(p):
    """Each p times how many are not smaller, at least as large as those before it."""
    corrected, before = {}, 0.0
    for at, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        before = corrected[place] = max(before, min(1.0, p[place] * (len(p) - at)))
    return [corrected[place] for place in range(len(p))]


def test_a_secondary_endpoint_is_compared_as_the_primary_one(asked, results):
    accuracy = measure_named("accuracy")
    assert results.secondary == [accuracy, measure_named("ece")]
    claims = results.claims_in(accuracy)
    assert [(claim.reference, claim.treated) for claim in claims] == [
        (reference, name) for reference, names in FAMILIES.items() for name in names
    ]
    for claim in claims:
        slow = [mean_of(asked, name, accuracy_score) for name in (claim.treated, claim.reference)]
        assert claim.difference.interval.value == pytest.approx(slow[0] - slow[1])
    assert [claim.family for claim in claims] == [4] * 4
    corrected = slow_holm([claim.difference.p for claim in claims])
    assert [claim.patients for claim in claims] == pytest.approx(corrected)
    assert results.outcome("alpha-10", accuracy).difference is claims[1].difference


def test_what_is_written_has_the_corrected_p_of_endpoints_alone(asked, results):
    results.write()
    table = pd.read_csv(asked.study / "results.csv")
    corrected = table[table["p_holm"].notna()]
    assert set(corrected["measure"]) == {"balanced_accuracy", "accuracy", "ece"}
    assert set(corrected["variant"]) == {name for names in FAMILIES.values() for name in names}
    secondary = json.loads((asked.study / "summary.json").read_text())["secondary"]
    assert [row["measure"] for row in secondary] == ["accuracy"] * 4 + ["ece"] * 4
    assert secondary[0]["difference"] == pytest.approx(
        mean_of(asked, "alpha-1", accuracy_score) - mean_of(asked, "plain", accuracy_score)
    )


def test_the_page_shows_each_secondary_endpoint_and_says_that_it_decides_nothing(asked, results):
    about, accuracy, table, error, of_errors = secondary_endpoints(results)
    assert "no variant was chosen by them" in about.text
    assert "rests on the balanced accuracy alone" in about.text
    assert accuracy.text.startswith("Secondary: accuracy. Of the 4 differences that the study asks about")
    assert error.text.startswith(f"Secondary: {SCALARS['ece'].title}.")
    assert [row[0] for row in table.rows] == [row[0] for row in of_errors.rows]
    assert table.rows[1][0] == "alpha-10 less plain"
    slow = mean_of(asked, "alpha-10", accuracy_score) - mean_of(asked, "plain", accuracy_score)
    assert points(table.rows[1][1]) == pytest.approx(100 * slow, abs=0.051)
    text = study_report(results).with_suffix(".md").read_text()
    assert text.index("## The answer") < text.index("## The secondary endpoints") < text.index("## What was")


def test_of_each_family_the_best_on_validation_stands_in_every_endpoint(asked, results):
    (table,) = best_of_families(results)
    scores = {name: mean_of(asked, name, balanced_accuracy_score, "validation") for name in VARIANTS}
    best = {reference: max(names, key=scores.__getitem__) for reference, names in FAMILIES.items()}
    assert [row[:3] for row in table.rows] == [[name, "2", best[name]] for name in FAMILIES]
    assert table.header[3::3] == [
        "balanced accuracy: difference, points",
        "accuracy: difference, points",
        f"{SCALARS['ece'].title}: difference, points",
    ]
    for row in table.rows:
        for at, score in ((3, balanced_accuracy_score), (6, accuracy_score)):
            slow = mean_of(asked, row[2], score) - mean_of(asked, row[0], score)
            assert points(row[at]) == pytest.approx(100 * slow, abs=0.051)
    assert results.chosen == best["plain"]


def test_without_secondary_endpoints_or_families_nothing_is_shown(made):
    results = StudyResults.read(made.study)
    assert secondary_endpoints(results) == []
    assert best_of_families(results) == []
    text = study_report(results, out=made.study.parent / "other.html").with_suffix(".md").read_text()
    assert "secondary endpoints" not in text
    assert results.summary()["secondary"] == []


def test_a_study_with_only_references_finished_has_no_secondary_section(asked, results):
    alone = replace(results, runs={"plain": results.runs["plain"]})
    assert secondary_endpoints(alone) == []
    assert best_of_families(alone) == []
