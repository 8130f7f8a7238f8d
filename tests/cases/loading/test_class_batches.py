"""Batches of k cases of n/k classes: what each holds, how alike classes come, and what is refused."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoprior.cases.loading.class_batches import class_batches, hierarchical_batches
from sonoprior.core.errors import DataError

LABELS = np.repeat(np.arange(6), [20, 3, 8, 8, 1, 30])
UNKNOWN = np.concatenate([LABELS, [-1] * 50])
METAS = np.array([0, 0, 0, 1, 1, 2])  # the third has one class


def hierarchical(labels, batch=8, each=2, together=2, seed=0, epoch=0):
    return hierarchical_batches(labels, METAS, batch, each, together, seed, epoch)


@pytest.mark.parametrize("make", [lambda labels: class_batches(labels, 8, 2, 0, 0), hierarchical])
def test_each_batch_has_k_cases_of_each_class_it_has(make):
    found = make(UNKNOWN)
    assert found.shape == (len(LABELS) // 8, 8)
    for row in found:
        counts = Counter(UNKNOWN[row].tolist())
        assert set(counts.values()) == {2}
        assert -1 not in counts


def test_cases_differ_within_a_batch_unless_their_class_is_too_small():
    for row in class_batches(LABELS, 24, 4, 0, 0):
        for label, size in enumerate([20, 3, 8, 8, 1, 30]):
            mine = row[LABELS[row] == label]
            assert len(mine) == 4
            assert len(set(mine.tolist())) == min(size, 4)


def test_classes_come_alike_and_cases_of_a_class_too():
    labels = np.repeat(np.arange(10), 12)
    rows = class_batches(labels, 12, 3, 5, 0)
    classes = Counter(labels[rows].ravel().tolist())
    assert max(classes.values()) - min(classes.values()) <= 3  # one turn of 3 cases
    cases = Counter(rows.ravel().tolist())
    for label in range(10):
        mine = [cases[case] for case in np.flatnonzero(labels == label)]
        assert max(mine) - min(mine) <= 1


def test_the_same_seed_and_epoch_give_the_same_batches_and_others_do_not():
    for make in (
        lambda *when: class_batches(LABELS, 8, 2, *when),
        lambda *when: hierarchical(LABELS, 8, 2, 2, *when),
    ):
        np.testing.assert_array_equal(make(3, 4), make(3, 4))
        assert (make(3, 4) != make(3, 5)).any()
        assert (make(3, 4) != make(4, 4)).any()


def test_a_hierarchical_batch_is_of_few_meta_classes_with_several_classes_each():
    labels = np.repeat(np.arange(12), 10)
    metas = np.arange(12) // 4
    seen = Counter()
    for epoch in range(20):
        for row in hierarchical_batches(labels, metas, 8, 2, 2, 1, epoch):
            classes = set(labels[row].tolist())
            mine = Counter(metas[list(classes)].tolist())
            assert sorted(mine.values()) == [2, 2]
            seen.update(mine.keys())
    assert max(seen.values()) - min(seen.values()) <= 20  # one turn an epoch


def test_meta_classes_with_too_few_classes_are_filled_up_from_others():
    for row in hierarchical(LABELS, batch=12, each=2, together=2):
        assert len(set(LABELS[row].tolist())) == 6  # all metas are needed for six classes
    for row in hierarchical(LABELS, batch=6, each=2, together=1):
        classes = set(LABELS[row].tolist())
        assert len(classes) == 3
        assert len(set(METAS[list(classes)].tolist())) in (1, 2, 3)


def test_more_meta_classes_than_there_are_is_all_of_them():
    rows = hierarchical_batches(np.repeat([0, 1], 4), np.array([0, 0]), 4, 2, 2, 0, 0)
    assert rows.shape == (2, 4)


def test_fewer_cases_than_a_batch_make_one_batch():
    assert class_batches(np.array([0, 1]), 8, 4, 0, 0).tolist() in ([[0] * 4 + [1] * 4], [[1] * 4 + [0] * 4])


@given(
    st.lists(st.integers(-1, 4), min_size=1, max_size=30),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 2**31),
)
def test_every_request_is_filled_or_refused(labels, each, wanted, seed):
    labels = np.array(labels)
    classes = len(np.unique(labels[labels >= 0]))
    metas = np.array([0, 1, 1, 0, 2])
    for make in (
        lambda: class_batches(labels, each * wanted, each, seed, 0),
        lambda: hierarchical_batches(labels, metas, each * wanted, each, 1, seed, 0),
    ):
        if classes < wanted:
            with pytest.raises(DataError, match=f"needs {wanted} classes, but only {classes} have"):
                make()
            continue
        for row in make():
            assert set(Counter(labels[row].tolist()).values()) == {each}
            assert len(set(labels[row].tolist())) == wanted


def test_wrong_requests_are_refused():
    with pytest.raises(DataError, match="10 cases are no multiple of 4 a class"):
        class_batches(LABELS, 10, 4, 0, 0)
    with pytest.raises(
        DataError, match=r"8 cases with 1 a class needs 8 classes, but only 6 have.*more cases a class"
    ):
        class_batches(LABELS, 8, 1, 0, 0)
    with pytest.raises(DataError, match="4 classes can be drawn from 1 to 4 meta-classes, but got 5"):
        hierarchical(LABELS, together=5)
    with pytest.raises(DataError, match="class 5 is beyond the 2 given"):
        hierarchical_batches(LABELS, METAS[:2], 8, 2, 2, 0, 0)


def test_it_is_free_of_torch():
    code = "import sys, sonoprior.cases.loading.class_batches; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )
