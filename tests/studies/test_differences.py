import numpy as np
import pandas as pd
import pytest

from made_study import FULL, write_cases, write_study
from sonoprior.cases import CaseSet
from sonoprior.metrics import CorrectedT, Interval, corrected_t, holm
from sonoprior.studies import StudyResults
from sonoprior.studies.certainty import certainty, tone_of
from sonoprior.studies.differences import Claim, Difference, claims
from sonoprior.studies.measures import measure_named

ACCURACY = measure_named("accuracy")
NOTHING = CorrectedT(0.02, float("nan"), float("nan"), float("nan"), 1)


def difference(low, high, p, corrected=NOTHING):
    middle = (low + high) / 2
    return Difference(Interval(middle, low, high), p, corrected, [middle], 1)


def claim(patients, training_sets=None, family=1):
    """Of a difference of two points; whether either way of counting leaves zero out, None for one split."""
    bounds = (0.01, 0.03) if patients else (-0.02, 0.06)
    t = NOTHING
    if training_sets is not None:
        t = CorrectedT(0.02, *((0.005, 0.035) if training_sets else (-0.01, 0.05)), 0.01, 5)
    found = difference(*bounds, 0.01 if patients else 0.3, t)
    p = float("nan") if training_sets is None else (0.01 if training_sets else 0.2)
    return Claim("guided", "plain", found, 0.01 if patients else 0.3, p, family)


def test_the_corrected_t_of_a_study_takes_its_ratio_from_the_splits(made):
    found = StudyResults.read(made.study).outcome("alpha-10").difference
    folds = [0, 0, 1, 1, 2, 2]
    splits = [
        pd.read_csv(path)["part"].value_counts() for path in made.study.glob("runs/alpha-10/*/split.csv")
    ]
    ratio = np.mean([counts["test"] / counts["train"] for counts in splits])
    assert found.corrected == pytest.approx(corrected_t(found.of_runs, folds, ratio))
    assert found.corrected.splits == 3
    assert found.corrected.value == pytest.approx(found.interval.value)


def test_claims_are_corrected_together():
    found = claims(
        [("a", "plain", difference(0.01, 0.03, 0.02)), ("b", "plain", difference(0.01, 0.03, 0.04))]
    )
    assert [one.patients for one in found] == pytest.approx(holm([0.02, 0.04]))
    assert [one.family for one in found] == [2, 2]
    assert all(np.isnan(one.training_sets) for one in found)
    assert claims([]) == []


@pytest.mark.parametrize(
    ("patients", "training_sets", "tone", "says"),
    [
        (
            True,
            True,
            "good",
            "The corrected t-test over 5 folds, which asks about other training sets, leaves",
        ),
        (True, False, "warning", "But the corrected t-test over 5 folds"),
        (False, True, "warning", "but over other patients the difference may vanish, so take it for a hint"),
        (False, False, "warning", "does not leave zero out either (−1.0 to +5.0; p = 0.20)."),
        (True, None, "good", "With one split, nothing is said of networks trained on other cases."),
        (False, None, "warning", "The interval includes zero: these cases do not show"),
    ],
)
def test_both_ways_of_counting_are_said_and_where_they_disagree(patients, training_sets, tone, says):
    found = claim(patients, training_sets)
    assert says in certainty(found, ACCURACY)
    assert tone_of(found, ACCURACY) == tone
    assert "corrected over" not in certainty(found, ACCURACY)


def test_worse_is_said_where_lower_is_better():
    assert tone_of(claim(True, True), measure_named("ece")) == "bad"


def test_among_several_the_number_is_said():
    found = claim(True, True, family=4)
    assert certainty(found, ACCURACY).count("corrected over 4 comparisons") == 2


def test_what_only_chance_among_many_made_is_not_believed():
    lucky = Claim("guided", "plain", difference(0.001, 0.03, 0.02), 0.12, float("nan"), 6)
    assert "among so many one may do so by chance (p = 0.12, corrected over 6" in certainty(lucky, ACCURACY)
    assert tone_of(lucky, ACCURACY) == "warning"


def test_too_few_groups_are_said():
    nan = float("nan")
    found = Claim("a", "b", difference(nan, nan, nan), nan, nan, 1)
    assert certainty(found, ACCURACY).startswith("There are too few patients or groups")
    assert tone_of(found, ACCURACY) == "warning"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Results of a study with controls, a curve and a contrast."""
    folder = tmp_path_factory.mktemp("full")
    case_set = CaseSet.open(write_cases(folder / "cases"))
    return StudyResults.read(write_study(folder / "study", case_set, FULL), case_set)


def test_each_variant_is_compared_with_what_the_study_says(full):
    references = {name: full.reference(name) for name in full.runs}
    assert references == {
        "plain": None,
        "guided": "plain",
        "shuffled": "plain",
        "blob": "plain",
        "plain-20": None,
        "guided-20": "plain-20",
    }
    for name in ("guided", "guided-20"):
        outcome = full.outcome(name)
        base = full.outcome(outcome.reference).interval.value
        assert outcome.difference.interval.value == pytest.approx(outcome.interval.value - base)


def test_controls_are_no_claims_and_are_never_chosen(full):
    assert [one.treated for one in full.claims] == ["guided", "guided-20"]
    assert full.chosen == "guided"
    assert [(one.treated, one.reference) for one in full.control_claims] == [
        ("guided", "shuffled"),
        ("guided", "blob"),
    ]


def test_the_families_are_corrected_each_for_itself(full):
    for family in (full.claims, full.control_claims):
        assert [one.patients for one in family] == pytest.approx(holm([one.difference.p for one in family]))
        t = [one.difference.corrected.p for one in family]
        assert [one.training_sets for one in family] == pytest.approx(holm(t))


def test_the_results_say_it_in_numbers(full):
    table = full.table().query("measure == 'balanced_accuracy'").set_index("variant")
    assert table.loc["guided", "against"] == "plain"
    assert table.loc["guided-20", "against"] == "plain-20"
    assert table.loc["guided", "comparisons"] == 2
    assert table.loc["guided", "t_splits"] == 3
    assert np.isnan(table.loc["shuffled", "p_holm"])
    summary = full.summary()
    assert summary["comparisons"] == 2
    assert [row["against"] for row in summary["controls"]] == ["shuffled", "blob"]
    assert summary["variants"]["guided"]["p_holm"] == full.claim("guided").patients
    assert [row["place"] for row in summary["curve"]] == [0.2, 1.0, 0.2, 1.0]


def test_the_curve_compares_its_lines_at_each_place(full):
    plain, guided = full.curve
    assert (plain.name, guided.name) == ("plain", "guided")
    assert [point.claim for point in plain.points] == [None, None]
    differences = [point.claim.difference.interval.value for point in guided.points]
    values = [[point.value.value for point in line.points] for line in (plain, guided)]
    assert differences == pytest.approx(np.subtract(values[1], values[0]))
    assert {point.claim.family for point in guided.points} == {2}
