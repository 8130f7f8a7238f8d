import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

import made_study
from made_study import FULL, write_cases, write_study
from sonoprior.cases import CaseSet
from sonoprior.render.blocks import Note, Paragraph, Table
from sonoprior.studies import StudyResults
from sonoprior.studies.spread import sample_std
from sonoprior.studies.spread_section import spread

# The one moves with its setting, the other does not.
SKILLS = {"pica": {0.5: 0.1, 2.0: 1.2, 10.0: 0.4}, "lsd": {0.5: 1.3, 2.0: 1.4, 10.0: 1.35}}
GROUPS = {name: {place: f"{name}-{place:g}" for place in of} for name, of in SKILLS.items()}
KEYS = [(fold, seed) for fold in range(3) for seed in range(2)]
RECIPE = FULL | {
    "name": "made-spread",
    "study": {
        "seeds": 2,
        "baseline": "pica-2",
        "variants": {variant: {} for places in GROUPS.values() for variant in places.values()},
        "spread": {"axis": "lambda", "groups": GROUPS},
    },
    "tune": None,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spread")
    skills = {GROUPS[name][place]: skill for name, of in SKILLS.items() for place, skill in of.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_study, "SKILL", skills)
        return write_study(folder / "study", CaseSet.open(write_cases(folder / "cases")), RECIPE)


@pytest.fixture(scope="module")
def results(study):
    return StudyResults.read(study)


@pytest.fixture
def copied(study, tmp_path):
    return shutil.copytree(study, tmp_path / "study")


def scores(study, name):
    """(places, runs)"""
    found = []
    for variant in GROUPS[name].values():
        paths = [
            study / "runs" / variant / f"fold{fold}-seed{seed}" / "predictions.csv" for fold, seed in KEYS
        ]
        tables = [pd.read_csv(path).query("part == 'test'") for path in paths]
        found.append([balanced_accuracy_score(one["label"], one["predicted"]) for one in tables])
    return np.array(found)


def test_means_and_standard_deviations_are_those_of_the_tables(study, results):
    for method in results.spread.methods:
        slow = scores(study, method.name)
        assert np.array(list(method.of_runs.values())) == pytest.approx(slow)
        assert method.mean.value == pytest.approx(slow.mean())
        assert method.over_setting == pytest.approx(slow.mean(axis=1).std(ddof=1))
        assert method.over_runs == pytest.approx(slow.std(axis=1, ddof=1).mean())
        assert method.mean.low < method.mean.value < method.mean.high


def test_the_difference_is_that_of_the_means_and_the_steadier_one_is_told(study, results):
    (found,) = results.spread.against
    pica, lsd = (scores(study, name) for name in ("pica", "lsd"))
    assert (found.claim.treated, found.claim.reference) == ("lsd", "pica")
    assert found.claim.difference.interval.value == pytest.approx(lsd.mean() - pica.mean())
    assert found.claim.difference.of_runs == pytest.approx((lsd - pica).ravel())
    less = lsd.mean(axis=1).std(ddof=1) - pica.mean(axis=1).std(ddof=1)
    assert found.over_setting.value == pytest.approx(less)
    assert found.over_setting.low < less < found.over_setting.high < 0


def test_the_bounds_of_a_mean_agree_with_a_slow_loop(study, results):
    """The slow loop draws patients by name and stacks their rows, run by run."""
    paths = [path for name in GROUPS["lsd"].values() for path in (study / "runs" / name).glob("*/*.csv")]
    tables = [pd.read_csv(path).query("part == 'test'") for path in paths if path.name == "predictions.csv"]
    rows = [
        {name: of[["label", "predicted"]].to_numpy() for name, of in table.groupby("group")}
        for table in tables
    ]
    groups = np.unique(np.concatenate([table["group"] for table in tables]))
    rng, drawn = np.random.default_rng(3), []
    for _ in range(200):
        chosen, found = rng.choice(groups, len(groups)), []
        for run in rows:
            labels, predicted = np.concatenate([run[one] for one in chosen if one in run]).T
            found.append(np.mean([(predicted[labels == k] == k).mean() for k in np.unique(labels)]))
        drawn.append(np.mean(found))
    mean = next(one for one in results.spread.methods if one.name == "lsd").mean
    assert (mean.low, mean.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.025)


def said(blocks):
    return [block.text for block in blocks if isinstance(block, Note | Paragraph)]


def test_the_claims_are_said_first_and_tables_follow(results):
    blocks = spread(results)
    average, varies = said(blocks)
    assert average.startswith("lsd against pica, on average over 3 values and 18 pairs of runs: ")
    assert " points better (95 % interval +" in average
    assert varies.startswith("By lambda, the means of lsd vary by ")
    assert blocks[1].tone == "good"
    methods, places, claims = (block for block in blocks if isinstance(block, Table))
    assert [row[0] for row in methods.rows] == ["pica", "lsd"]
    assert [row[:2] for row in places.rows[:2]] == [["0.5", "pica"], ["0.5", "lsd"]]
    assert len(places.rows) == 6
    assert len(claims.rows) == 1


def test_only_values_that_all_methods_have_are_compared(copied, study):
    shutil.rmtree(copied / "runs" / "lsd-10")
    found = StudyResults.read(copied)
    assert found.spread.shared == [0.5, 2.0]
    pica = found.spread.methods[0]
    assert pica.mean.value == pytest.approx(scores(study, "pica")[:2].mean())
    assert 10.0 in pica.of_runs
    assert "the values that every method has finished runs at (0.5, 2)" in spread(found)[-3].caption


def test_a_value_alone_has_no_standard_deviation_over_values(copied):
    for name in ("lsd-10", "pica-0.5"):
        shutil.rmtree(copied / "runs" / name)
    found = StudyResults.read(copied)
    assert np.isnan(found.spread.against[0].over_setting).all()
    (average,) = said(spread(found))
    assert "on average at one value and 6 pairs of runs" in average


def test_methods_without_a_value_in_common_are_not_compared(copied):
    for name in ("lsd-10", "pica-0.5", "lsd-2"):
        shutil.rmtree(copied / "runs" / name)
    found = StudyResults.read(copied)
    assert found.spread.against == []
    assert said(spread(found)) == [
        "Not compared yet, for want of runs at the same value on the same fold and seed."
    ]
    assert np.isnan(found.spread.methods[0].mean.value)


def test_a_study_that_does_not_ask_says_nothing_of_it(made):
    found = StudyResults.read(made.study)
    assert spread(found) == []
    assert found.summary()["spread"] == []


def test_the_summary_has_a_row_a_method_a_row_a_value_and_one_a_claim(results):
    rows = results.summary()["spread"]
    assert len(rows) == 2 * (1 + 3) + 1
    assert rows[-1]["over_setting"] == results.spread.against[0].over_setting.value


def test_a_standard_deviation_needs_two_numbers():
    assert np.isnan(sample_std(np.array([1.0, np.nan])))
    assert sample_std(np.array([1.0, np.nan, 3.0])) == pytest.approx(2**0.5)
