import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoprior.core.errors import DataError
from sonoprior.metrics import holm

CHANCES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_by_hand():
    """Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04; the last is raised."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def rejected_step_by_step(p, level):
    """Holm's procedure as he wrote it: go up while p is at most level / (what is left), then stop."""
    left = dict(enumerate(p))
    while left:
        smallest = min(left, key=left.get)
        if left[smallest] * len(left) > level:
            return set(range(len(p))) - set(left)
        del left[smallest]
    return set(range(len(p)))


@given(CHANCES, st.floats(0.001, 0.2))
def test_what_it_rejects_is_what_the_step_by_step_procedure_rejects(p, level):
    assert set(np.flatnonzero(holm(p) <= level)) == rejected_step_by_step(p, level)


@given(CHANCES)
def test_adjusting_never_makes_surer_and_keeps_the_order(p):
    found = holm(p)
    assert (found >= np.array(p)).all()
    assert (found <= 1).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()


def test_one_comparison_stays_as_it_is():
    assert holm([0.2]).tolist() == [0.2]
    assert holm([]).tolist() == []


def test_a_comparison_that_could_not_be_made_does_not_count():
    assert holm([0.01, float("nan"), 0.04]) == pytest.approx([0.02, float("nan"), 0.04], nan_ok=True)


def test_what_is_no_chance_is_refused():
    with pytest.raises(DataError, match=r"p-values must lie between 0 and 1, but got \[1.5\]"):
        holm([1.5])
