from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo, splits
from sonoprior.cases.splits import (
    cross_evaluation,
    label_fraction,
    merged_groups,
    single_split,
    strata_with_marks,
)
from sonoprior.core.errors import DataError

PARTS = ("train", "validation", "test")


@st.composite
def grouped_cases(draw):
    """Labels of up to 4 classes, some unknown, in groups of 1 to 6 mixed cases; each class in many groups."""
    classes = draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    sizes = rng.integers(1, 7, size=draw(st.integers(40, 120)))
    groups = np.repeat([f"g{number}" for number in range(len(sizes))], sizes)
    labels = rng.integers(0, classes, len(groups))
    labels[rng.random(len(labels)) < 0.1] = -1
    order = rng.permutation(len(groups))
    return labels[order], groups[order]


def check_split(split, labels, groups):
    """Every case in exactly one part, no group in two, every class in each."""
    together = np.concatenate([split[part] for part in PARTS])
    assert sorted(together) == list(range(len(labels)))
    for first, second in combinations(PARTS, 2):
        assert not set(groups[split[first]]) & set(groups[split[second]])
    for part in PARTS:
        assert set(labels[split[part]]) >= set(labels[labels >= 0])
        assert (np.diff(split[part]) > 0).all()


@settings(deadline=None, max_examples=40)
@given(grouped_cases(), st.integers(0, 1000))
def test_single_split_cuts_no_group_and_keeps_the_sizes(cases, seed):
    labels, groups = cases
    split = single_split(labels, groups, (0.6, 0.2, 0.2), seed)
    check_split(split, labels, groups)
    for part, share in zip(PARTS, (0.6, 0.2, 0.2), strict=True):
        assert abs(len(split[part]) - share * len(labels)) <= 6


@settings(deadline=None, max_examples=25)
@given(grouped_cases(), st.integers(2, 5), st.integers(0, 1000))
def test_cross_evaluation_cuts_no_group_and_tests_each_case_once(cases, folds, seed):
    labels, groups = cases
    parts = cross_evaluation(labels, groups, folds, 0.2, seed)
    for split in parts:
        check_split(split, labels, groups)
    assert sorted(np.concatenate([split["test"] for split in parts])) == list(range(len(labels)))


@settings(deadline=None, max_examples=40)
@given(grouped_cases(), st.lists(st.floats(0.01, 1), min_size=2, max_size=5), st.integers(0, 1000))
def test_fractions_are_nested_and_cut_no_group(cases, fractions, seed):
    labels, groups = cases
    train = single_split(labels, groups, seed=0)["train"]
    kept = [set(label_fraction(train, labels, groups, fraction, seed)) for fraction in sorted(fractions)]
    for smaller, larger in pairwise(kept):
        assert smaller <= larger
    for positions in kept:
        chosen = np.array(sorted(positions))
        assert not set(groups[chosen]) & set(groups[np.setdiff1d(train, chosen)])
        assert set(labels[chosen]) >= set(labels[train][labels[train] >= 0])


def test_without_groups_every_class_is_as_exact_as_it_can_be():
    labels = np.repeat([0, 1, 2], [350, 168, 106])
    split = single_split(labels, np.arange(624), (0.7, 0.1, 0.2), 0)
    for part, share in zip(PARTS, (0.7, 0.1, 0.2), strict=True):
        assert np.abs(np.bincount(labels[split[part]]) - share * np.array([350, 168, 106])).max() < 1
    ours = [np.bincount(labels[split["test"]]) for split in cross_evaluation(labels, np.arange(624), 5)]
    theirs = [np.bincount(labels[test]) for _, test in StratifiedKFold(5).split(labels, labels)]
    assert np.ptp(ours, axis=0).max() <= np.ptp(theirs, axis=0).max()


def imbalance(tests, labels):
    """How far the share of each class in each fold is from a fifth, on average."""
    shares = np.array([np.bincount(labels[test], minlength=6) for test in tests]) / np.bincount(labels)
    return np.abs(shares - 0.2).mean()


def test_balance_is_not_worse_than_that_of_scikit_learn():
    ours, theirs = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(80), rng.integers(1, 40, 80))
        labels = rng.choice(6, len(groups), p=rng.dirichlet(np.full(6, 2)))
        reference = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
        theirs.append(imbalance([test for _, test in reference], labels))
        ours.append(
            imbalance([split["test"] for split in cross_evaluation(labels, groups, 5, seed=seed)], labels)
        )
    assert np.mean(ours) <= np.mean(theirs)


def test_a_seed_repeats_a_split_and_another_changes_it():
    labels, groups = np.arange(90) % 3, np.arange(90) // 2
    first, again, other = (single_split(labels, groups, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[part], again[part]) for part in PARTS)
    assert not np.array_equal(first["test"], other["test"])


def test_validation_is_a_share_of_what_is_not_tested():
    labels = np.repeat([0, 1, 2], 260)  # table 2.1: 5 folds, each 561 / 63 / 156
    for split in cross_evaluation(labels, np.arange(780), 5, 0.1):
        assert [len(split[part]) for part in PARTS] == pytest.approx([561, 63, 156], abs=2)


def test_a_part_without_a_share_stays_empty():
    labels = np.arange(40) % 2
    split = single_split(labels, np.arange(40), (0.8, 0, 0.2))
    assert len(split["validation"]) == 0
    assert len(split["test"]) == 8
    assert all(len(fold["validation"]) == 0 for fold in cross_evaluation(labels, np.arange(40), 4, 0))


def test_a_rare_class_comes_into_every_part():
    labels = np.array([0] * 300 + [1] * 3)
    for seed in range(10):
        split = single_split(labels, np.arange(303), (0.9, 0.05, 0.05), seed)
        assert [int((labels[split[part]] == 1).sum()) for part in PARTS] == [1, 1, 1]


def test_marks_are_spread_evenly():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [300, 200, 100])
    outlined = (rng.random(600) < 0.2) & (labels < 2)
    outlined[-4:] = True  # too few in the last class to be a stratum
    strata = strata_with_marks(labels, outlined)
    assert sorted(np.unique(strata)) == [0, 1, 2, 3, 4]
    for split in cross_evaluation(labels, np.arange(600), 5, strata=strata):
        for label in (0, 1):
            whole = (outlined & (labels == label)).sum() / 5
            assert abs((outlined & (labels == label))[split["test"]].sum() - whole) <= 1


def test_a_fraction_keeps_the_proportions():
    labels = np.repeat([0, 1, 2], [500, 300, 200])
    kept = label_fraction(np.arange(1000), labels, np.arange(1000), 0.1)
    assert np.bincount(labels[kept]).tolist() == [50, 30, 20]
    assert (np.diff(kept) > 0).all()
    assert np.array_equal(label_fraction(np.arange(1000), labels, np.arange(1000), 1.0), np.arange(1000))


def test_a_tiny_fraction_keeps_one_group_of_each_class():
    labels = np.repeat([0, 1, 2], [500, 300, 200])
    kept = label_fraction(np.arange(1000), labels, np.arange(1000), 1e-6)
    assert labels[kept].tolist() == [0, 1, 2]


def test_pairs_join_groups_in_chains():
    groups = np.array(["a", "a", "b", "c", "d"])
    joined = merged_groups(groups, [(1, 2, 0.99), (2, 3, 0.98)])
    assert joined.tolist() == ["a", "a", "a", "a", "d"]
    assert merged_groups(groups, []).tolist() == groups.tolist()


def made(tmp_path, rows) -> CaseSet:
    info = DatasetInfo(name="s", levels={"view": ["a", "b"]})
    with CaseSetWriter(tmp_path / "set", info) as writer:
        for number, (label, patient, part) in enumerate(rows):
            grey = np.zeros((16, 16), np.uint8)
            writer.add(str(number), grey, labels={"view": label}, patient=patient, split=part)
    return CaseSet.open(tmp_path / "set")


def taken(case_set, **settings):
    return splits.given(case_set, case_set.labels(), case_set.groups(), **settings)


def test_a_given_split_is_taken_as_it_is(tmp_path):
    rows = [("a", "1", "train"), ("b", "2", "validation"), ("a", "3", "test"), ("b", "4", None)]
    split = taken(made(tmp_path, rows))
    assert {part: positions.tolist() for part, positions in split.items()} == {
        "train": [0], "validation": [1], "test": [2],
    }  # fmt: skip


def test_validation_is_taken_from_train_where_it_is_not_given(tmp_path):
    rows = [("ab"[k % 2], str(k), "train" if k < 40 else "test") for k in range(50)]
    case_set = made(tmp_path, rows)
    split = taken(case_set, validation=0.2)
    assert [len(split[part]) for part in PARTS] == [32, 8, 10]
    check_split(split, case_set.labels(), case_set.groups())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("a", "1", "train"), ("b", "1", "test")],
            "must keep a group together, but patient:1 is in train and in test",
        ),
        ([("a", "1", "train")], "the column 'split' must name cases for test, but names none"),
        ([("a", "1", None)], "the column 'split' must name cases for train, but names none"),
    ],
)
def test_a_given_split_that_cannot_be_used_is_refused(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        taken(made(tmp_path, rows))


LABELS, GROUPS = np.arange(40) % 2, np.arange(40)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            lambda: cross_evaluation(np.array([0, 1, 0]), np.arange(3), 5),
            "5 parts need at least 5 groups .* but there are 3",
        ),
        (
            lambda: cross_evaluation(LABELS, GROUPS // 10, 5),
            "5 parts need at least 5 groups .* but there are 4",
        ),
        (lambda: single_split(np.zeros(40, int), GROUPS), "at least two classes, but got 1"),
        (lambda: single_split(np.full(40, -1), GROUPS), "at least two classes, but got 0"),
        (lambda: single_split(LABELS, GROUPS[:3]), "labels and groups must be as many, but got 40 and 3"),
        (
            lambda: single_split(np.array([0] * 38 + [1] * 2), GROUPS),
            "class 1 cannot come into each of 3 parts .* in 2;",
        ),
        (
            lambda: cross_evaluation(np.array([0] * 36 + [1] * 4), GROUPS, 5),
            "class 1 cannot come into each of 5 parts",
        ),
        (lambda: single_split(LABELS, GROUPS, (0.5, 0.5)), r"three numbers .* but got 0\.5, 0\.5"),
        (lambda: single_split(LABELS, GROUPS, (0.5, 0.2, 0.2)), "add up to 1"),
        (lambda: single_split(LABELS, GROUPS, (0, 0.5, 0.5)), "the first above 0"),
        (lambda: single_split(LABELS, GROUPS, (1.2, -0.2, 0)), "three numbers from 0"),
        (lambda: cross_evaluation(LABELS, GROUPS, 1), "the number of folds must be at least 2, but got 1"),
        (
            lambda: cross_evaluation(LABELS, GROUPS, 5, 1.0),
            "the fraction for validation must lie between 0 and 0.9, but got 1",
        ),
        (lambda: label_fraction(GROUPS, LABELS, GROUPS, 0), "must be above 0 and at most 1, but got 0"),
        (lambda: label_fraction(GROUPS, LABELS, GROUPS, 1.1), "must be above 0 and at most 1, but got 1.1"),
    ],
)
def test_what_cannot_be_split_is_refused(split, message):
    with pytest.raises(DataError, match=message):
        split()
