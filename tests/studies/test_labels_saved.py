import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

import made_study
from made_study import FULL, write_cases, write_study
from sonoprior.cases import CaseSet
from sonoprior.metrics import Interval
from sonoprior.render.blocks import Cell, Note, Table
from sonoprior.studies import StudyResults
from sonoprior.studies.labels_saved import Amount, Saved
from sonoprior.studies.labels_saved_section import labels_saved, sentence, tone

SHARES = (0.2, 0.5, 1.0)
SKILLS = {"plain": (0.4, 0.7, 1.05), "frames": (0.55, 1.0, 1.2)}
KEYS = [(fold, seed) for fold in range(3) for seed in range(2)]


def variant(line, share):
    return f"{line}-{100 * share:.0f}"


LINES = {line: {share: variant(line, share) for share in SHARES} for line in SKILLS}
RECIPE = FULL | {
    "name": "made-labels",
    "study": {
        "seeds": 2,
        "baseline": "plain-100",
        "variants": {
            name: {"split.label_fraction": share} for line in LINES.values() for share, name in line.items()
        },
        "curve": {
            "axis": "share of the labels",
            "lines": LINES,
            "labels_saved": {"without": "plain", "using": {"frames": "the unlabelled frames"}},
        },
    },
    "tune": None,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two lines of three amounts, three folds and two seeds; not to be written to."""
    folder = tmp_path_factory.mktemp("labels")
    skills = {
        variant(line, share): skill
        for line, of in SKILLS.items()
        for share, skill in zip(SHARES, of, strict=True)
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_study, "SKILL", skills)
        return write_study(folder / "study", CaseSet.open(write_cases(folder / "cases", 180)), RECIPE)


@pytest.fixture(scope="module")
def results(study):
    return StudyResults.read(study)


@pytest.fixture
def copied(study, tmp_path):
    return shutil.copytree(study, tmp_path / "study")


def tables_of(study):
    return {
        (name, key): pd.read_csv(
            study / "runs" / name / f"fold{key[0]}-seed{key[1]}" / "predictions.csv"
        ).query("part == 'test'")
        for line in LINES.values()
        for name in line.values()
        for key in KEYS
    }


def labels_of(study, name):
    sizes = [
        (pd.read_csv(study / "runs" / name / f"fold{fold}-seed{seed}" / "split.csv")["part"] == "train").sum()
        for fold, seed in KEYS
    ]
    return float(np.mean(sizes))


def first_crossing(labels, reached, target):
    """By walking from place to place."""
    if reached[0] > target:
        return -np.inf
    for at in range(1, len(labels)):
        if reached[at] >= target:
            way = (target - reached[at - 1]) / (reached[at] - reached[at - 1])
            return labels[at - 1] * (labels[at] / labels[at - 1]) ** way
    return np.inf


def test_the_numbers_and_intervals_agree_with_a_slow_loop(study, results):
    """The slow loop draws patients by name, stacks their rows run by run, and walks along the line."""
    tables = tables_of(study)
    rows = {
        place: {name: of[["label", "predicted"]].to_numpy() for name, of in table.groupby("group")}
        for place, table in tables.items()
    }
    groups = np.unique(np.concatenate([table["group"] for table in tables.values()]))

    def curve(line, chosen):
        means = []
        for name in LINES[line].values():
            scores = []
            for key in KEYS:
                stacked = np.concatenate([rows[name, key][one] for one in chosen if one in rows[name, key]])
                labels, predicted = stacked.T
                scores.append(np.mean([(predicted[labels == k] == k).mean() for k in np.unique(labels)]))
            means.append(np.mean(scores))
        return means

    labels = [labels_of(study, name) for name in LINES["frames"].values()]
    whole = {line: curve(line, groups) for line in LINES}
    rng, drawn = np.random.default_rng(5), []
    for _ in range(150):
        chosen = rng.choice(groups, len(groups))
        plain, frames = curve("plain", chosen), curve("frames", chosen)
        drawn.append([first_crossing(labels, frames, target) for target in plain])
    found = results.label_curves.of("frames")
    assert [one.without.labels for one in found] == pytest.approx(
        [labels_of(study, name) for name in LINES["plain"].values()]
    )
    for at, one in enumerate(found):
        assert one.needed.value == pytest.approx(first_crossing(labels, whole["frames"], whole["plain"][at]))
        inside = (np.array(drawn)[:, at] >= one.needed.low) & (np.array(drawn)[:, at] <= one.needed.high)
        assert inside.mean() >= 0.9
    middle, spread = found[1].needed, np.quantile(np.array(drawn)[:, 1], [0.1, 0.9], method="nearest")
    assert middle.low <= spread[0] <= spread[1] <= middle.high


def test_the_sentences_stand_first_for_all_labels_and_for_the_median_place(results):
    blocks = labels_saved(results)
    first, second = (block for block in blocks if isinstance(block, Note))
    _, middle, most = results.label_curves.of("frames")
    assert (first.text, second.text) == (sentence(most), sentence(middle))
    table = next(block for block in blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == [
        f"{one.without.labels:.0f}" for one in results.label_curves.of("frames")
    ]


def saved(value, low, high, labels=125.0, what="the unlabelled frames"):
    at = Amount("plain", labels, Interval(0.7, 0.6, 0.8))
    return Saved("frames", what, at, Interval(value, low, high), 12.0, 125.0)


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("one", "text", "colour"),
    [
        (
            saved(62.3, 41.0, 118.2),
            "With the unlabelled frames, 62 labels (95 % interval 41 to 118) do what 125 did without.",
            "good",
        ),
        (
            saved(-INF, -INF, 20.0, labels=30.0),
            (
                "With the unlabelled frames, fewer than 12 labels (95 % interval fewer than 12 to 20) do what"
                " 30 did without."
            ),
            "good",
        ),
        (
            saved(-INF, -INF, -INF),
            (
                "With the unlabelled frames, fewer than 12 labels (95 % interval fewer than 12) do what 125"
                " did without."
            ),
            "good",
        ),
        (
            saved(110.0, 80.0, INF),
            (
                "No saving could be shown at 125 labels: with the unlabelled frames, 110 labels (95 %"
                " interval 80 to more than 125) do what 125 did without."
            ),
            "warning",
        ),
        (
            saved(62.0, 41.0, 125.0),
            (
                "No saving could be shown at 125 labels: with the unlabelled frames, 62 labels (95 % interval"
                " 41 to 125) do what 125 did without."
            ),
            "warning",
        ),
        (
            saved(INF, 60.0, INF, labels=50.0),
            (
                "With the unlabelled frames, more labels were needed, not fewer: more than 125 labels (95 %"
                " interval 60 to more than 125) would be needed to do what 50 did without."
            ),
            "bad",
        ),
        (
            saved(62.0, NAN, NAN),
            (
                "With the unlabelled frames, 62 labels do what 125 did without; there are too few patients or"
                " groups to say how sure this is."
            ),
            "warning",
        ),
        (saved(NAN, NAN, NAN), "At 125 labels, what is saved is not defined.", "warning"),
    ],
)
def test_every_outcome_is_said_plainly(one, text, colour):
    assert (sentence(one), tone(one)) == (text, colour)


def test_a_line_beside_itself_saves_nothing(results):
    """Two lines of the same runs: each place is reached by itself, and no saving is shown."""
    study, curve = results.recipe.study, results.recipe.study.curve
    twins = curve.model_copy(update={"lines": dict.fromkeys(LINES, LINES["plain"])})
    recipe = results.recipe.model_copy(update={"study": study.model_copy(update={"curve": twins})})
    found = replace(results, recipe=recipe).label_curves.saved
    assert [one.needed.value for one in found] == pytest.approx([one.without.labels for one in found])
    assert not any(one.saves or one.costs for one in found)


def test_a_metric_that_falls_is_read_the_other_way_round(results):
    study = results.recipe.study.model_copy(update={"primary": "ece", "contrast": None})
    found = replace(results, recipe=results.recipe.model_copy(update={"study": study}))
    most = found.label_curves.of("frames")[-1]
    means = [found.outcome(name).interval.value for name in LINES["frames"].values()]
    labels = [place.labels for place in found.label_curves.lines["frames"]]
    target = found.outcome("plain-100").interval.value
    assert most.needed.value == pytest.approx(first_crossing(labels, [-one for one in means], -target))


def test_only_folds_and_seeds_that_all_places_have_finished_are_read(copied):
    shutil.rmtree(copied / "runs" / "frames-50" / "fold2-seed1")
    places = StudyResults.read(copied).label_curves.lines["plain"]
    slow = [
        balanced_accuracy_score(table["label"], table["predicted"])
        for (name, key), table in tables_of_rest(copied).items()
        if name == "plain-100" and key != (2, 1)
    ]
    assert places[-1].reached.value == pytest.approx(np.mean(slow))


def tables_of_rest(study):
    found = {}
    for path in sorted(study.glob("runs/*/*/predictions.csv")):
        key = tuple(int(part.lstrip("foldse")) for part in path.parent.name.split("-"))
        found[path.parent.parent.name, key] = pd.read_csv(path).query("part == 'test'")
    return found


def test_without_runs_of_a_line_it_is_said(copied):
    for name in LINES["frames"].values():
        shutil.rmtree(copied / "runs" / name)
    (note,) = labels_saved(StudyResults.read(copied))
    assert note.text == "Not read off yet, for want of runs of plain and frames on the same fold and seed."


def test_a_study_that_does_not_ask_says_nothing_of_it(made):
    plain = StudyResults.read(made.study)
    assert labels_saved(plain) == []
    assert plain.summary()["labels_saved"] == []


def test_the_summary_has_words_where_a_number_lies_beyond_the_measured_ones(results):
    rows = results.summary()["labels_saved"]
    assert [row["labels_without"] for row in rows] == [
        one.without.labels for one in results.label_curves.saved
    ]
    assert saved(110.0, -INF, INF).row() | {"metric": None} == {
        "line": "frames",
        "labels_without": 125.0,
        "variant_without": "plain",
        "metric": None,
        "labels": 110.0,
        "low": "fewer than 12",
        "high": "more than 125",
    }


def test_a_row_says_whether_labels_are_saved_for_certain(results):
    table = next(block for block in labels_saved(results) if isinstance(block, Table))
    said = [
        "yes" if one.saves else "it costs labels" if one.costs else "not shown"
        for one in results.label_curves.saved
    ]
    assert [row[-1].content if isinstance(row[-1], Cell) else row[-1] for row in table.rows] == said
