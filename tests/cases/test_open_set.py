import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sonoprior.cases.dealing import RareClassError
from sonoprior.cases.open_set import NoGroupLeftError, open_set
from sonoprior.core.errors import DataError

PARTS = ("train", "validation", "test")


@st.composite
def mixed_cases(draw):
    """Groups of one class, of several of one side, and of both sides; some classes unknown."""
    classes = draw(st.integers(4, 8))
    count = draw(st.integers(10, 60))
    labels = np.array(draw(st.lists(st.integers(-1, classes - 1), min_size=count, max_size=count)))
    groups = np.array(draw(st.lists(st.integers(0, count // 2), min_size=count, max_size=count)))
    tested = draw(st.lists(st.integers(0, classes - 1), min_size=2, max_size=classes - 2, unique=True))
    return labels, groups, tested


def side_by_side(labels, groups, tested, split):
    """What a split must be, case by case, when the side of each group of both kinds is read off it."""
    expected = {"train": [], "test": []}
    for group in np.unique(groups):
        members = [case for case in range(len(labels)) if groups[case] == group and labels[case] >= 0]
        kinds = {labels[case] in tested for case in members}
        on_test = any(case in split["test"] for case in members) if len(kinds) == 2 else kinds == {True}
        for case in members:
            if (labels[case] in tested) == on_test:
                expected["test" if on_test else "train"].append(case)
    return {side: sorted(cases) for side, cases in expected.items()}


@settings(deadline=None, max_examples=150)
@given(mixed_cases(), st.integers(0, 1000))
def test_sides_share_neither_a_class_nor_a_group(cases, seed):
    labels, groups, tested = cases
    try:
        split = open_set(labels, groups, tested, 0.2, 0.3, seed)
    except DataError:
        assume(False)
    expected = side_by_side(labels, groups, set(tested), split)
    assert sorted([*split["train"], *split["validation"]]) == expected["train"]
    assert split["test"].tolist() == expected["test"]
    held = {part: set(groups[split[part]]) for part in PARTS}
    assert not held["train"] & held["validation"]
    assert not (held["train"] | held["validation"]) & held["test"]
    # No class is lost on the way.
    known = set(labels[labels >= 0])
    assert set(labels[split["test"]]) == known & set(tested)
    assert set(labels[split["train"]]) == set(labels[split["validation"]]) == known - set(tested)


@settings(deadline=None, max_examples=60)
@given(mixed_cases(), st.integers(0, 1000))
def test_without_a_group_of_both_sides_nothing_is_lost_and_nothing_drawn(cases, seed):
    labels, groups, tested = cases
    apart = 2 * groups + np.isin(labels, tested)
    try:
        split = open_set(labels, apart, tested, 0, 0.3, seed)
    except DataError:
        assume(False)
    assert split["test"].tolist() == np.flatnonzero(np.isin(labels, tested)).tolist()
    assert split["train"].tolist() == np.flatnonzero((labels >= 0) & ~np.isin(labels, tested)).tolist()
    assert split["validation"].size == 0


def test_groups_of_both_sides_are_dealt_in_the_fraction_of_the_test_and_by_the_seed():
    labels, groups = np.tile(np.arange(6), 100), np.repeat(np.arange(100), 6)
    split = open_set(labels, groups, [3, 4, 5], 0.25, 0.3, seed=1)
    assert [len(split[part]) // 3 for part in PARTS] == pytest.approx([52, 18, 30], abs=2)
    again, other = (open_set(labels, groups, [3, 4, 5], 0.25, 0.3, seed=seed) for seed in (1, 2))
    assert all(np.array_equal(split[part], again[part]) for part in PARTS)
    assert not np.array_equal(split["test"], other["test"])


def test_a_rare_class_keeps_the_groups_it_cannot_do_without():
    # Classes 0 to 3 are in every group; class 1 of the training side is in groups 0 and 1 only.
    groups = np.repeat(np.arange(30), 4)
    labels = np.where((np.tile(np.arange(4), 30) == 1) & (groups > 1), 0, np.tile(np.arange(4), 30))
    for seed in range(20):
        split = open_set(labels, groups, [2, 3], 0.1, 0.9, seed)
        assert {0, 1} <= set(groups[split["train"]]) | set(groups[split["validation"]])
        assert 1 in labels[split["validation"]]


def test_classes_that_need_the_same_group_are_refused():
    labels = np.array([0, 1, 2, 3, 0, 1, 2, 3, 3])
    groups = np.array([0, 1, 2, 2, 3, 4, 5, 5, 2])
    with pytest.raises(
        NoGroupLeftError, match=r"class 3 finds no group .* its cases are in 2, which classes"
    ):
        open_set(labels, groups, [1, 3], 0.2)


def test_a_class_of_one_group_cannot_train_and_validate():
    labels, groups = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 2, 3, 4])
    with pytest.raises(RareClassError, match="class 1 cannot come into each of 2 parts"):
        open_set(labels, groups, [2, 3], 0.5)
    split = open_set(labels, groups, [2, 3], 0)
    assert [split[part].tolist() for part in PARTS] == [[0, 1, 2], [], [3, 4]]


@pytest.mark.parametrize(
    ("labels", "tested", "message"),
    [
        ([0, 0, 1, 1, 2, 2], [2], "at least two classes for test, but has 1"),
        ([0, 0, 1, 1, 2, 2], [1, 2], "at least two classes for training, but has 1"),
        ([-1, -1, 1, 1, 2, 2], [], "at least two classes for test, but has 0"),
        ([-1] * 6, [0, 1], "at least two classes for training, but has 0"),
    ],
)
def test_a_side_without_two_classes_is_refused(labels, tested, message):
    with pytest.raises(DataError, match=message):
        open_set(np.array(labels), np.arange(6), tested)


@pytest.mark.parametrize("test", [0, 1, -0.5, float("nan")])
def test_a_fraction_that_leaves_a_side_out_is_refused(test):
    with pytest.raises(DataError, match="the fraction for test must be above 0 and below 1, but got"):
        open_set(np.arange(40) % 4, np.arange(40), [2, 3], 0.1, test)
