from math import erf

import numpy as np
import pytest

from sonoprior.metrics import Mean, Sample
from sonoprior.metrics.bootstrap import Resampled, resampled_together
from sonoprior.metrics.labels_needed import censored_interval, labels_needed


def test_a_curve_that_rises_with_the_logarithm_gives_the_closed_form():
    """a + b log n reaches t at exp((t - a) / b)."""
    labels = np.array([12, 25, 62, 125])
    curve = 0.2 + 0.1 * np.log(labels)
    targets = np.array([0.45, 0.5, 0.55, 0.6, 0.68])
    found = labels_needed(labels, np.tile(curve, (5, 1)), targets)
    assert found == pytest.approx(np.exp((targets - 0.2) / 0.1))


def test_it_is_the_first_number_of_a_fine_grid_that_reaches_the_target():
    rng = np.random.default_rng(0)
    labels, curves, targets = np.array([10, 20, 50, 100]), rng.random((200, 4)), rng.random(200)
    found = labels_needed(labels, curves, targets)
    grid = np.exp(np.linspace(np.log(10), np.log(100), 20001))
    for curve, target, one in zip(curves, targets, found, strict=True):
        there = np.interp(np.log(grid), np.log(labels), curve) >= target
        if there[0]:
            assert one == -np.inf
        elif there.any():
            assert one == pytest.approx(grid[there.argmax()], rel=2e-4)
        else:
            assert one == np.inf
    assert {-np.inf, np.inf} < set(found)


def test_a_target_on_a_measured_place_is_that_place():
    found = labels_needed([12, 62, 125], np.tile([0.5, 0.6, 0.7], (3, 1)), [0.5, 0.6, 0.7])
    assert found.tolist() == [12, 62, 125]  # to the last bit, or it would read as labels saved


def test_a_curve_that_falls_again_counts_where_it_first_reaches_the_target():
    assert labels_needed([1, 10, 100], [[0.0, 1.0, 0.0]], [0.5]) == pytest.approx([10**0.5])


def test_flat_curves_and_one_place():
    assert labels_needed([10, 100], [[0.5, 0.5]] * 3, [0.4, 0.5, 0.6]).tolist() == pytest.approx(
        [-np.inf, 10, np.inf]
    )
    assert labels_needed([10], [[0.5]] * 3, [0.4, 0.5, 0.6]).tolist() == pytest.approx([-np.inf, 10, np.inf])


def test_what_is_not_defined_stays_so():
    found = labels_needed([10, 100], [[0.5, np.nan], [0.5, 0.7]], [0.4, np.nan])
    assert np.isnan(found).all()


def test_an_interval_may_end_beyond_what_was_measured():
    drawn = np.array([-np.inf] * 5 + list(range(10, 100)) + [np.inf] * 5)
    assert censored_interval(Resampled(50.0, drawn, 9)) == (50.0, -np.inf, np.inf)
    # A tenth is 10 draws from either end, so the bounds are the sixth finite number from there.
    found = censored_interval(Resampled(50.0, drawn, 9), level=0.8)
    assert (found.low, found.high) == (np.sort(drawn)[9], np.sort(drawn)[90])


def test_an_interval_needs_groups_and_draws_that_are_defined():
    assert np.isnan(censored_interval(Resampled(1.0, np.ones(9), 1)).low)
    assert np.isnan(censored_interval(Resampled(1.0, np.array([1.0, np.nan, np.nan]), 5)).low)
    assert censored_interval(Resampled(1.0, np.array([2.0, np.nan, 3.0]), 5)) == (1.0, 2.0, 3.0)


def normal_below(at):
    return np.array([(1 + erf(x / 2**0.5)) / 2 for x in at])


LABELS = np.array([25, 50, 100, 200])
# Where the cut of each network lies: accuracies of about 60 to 75 % without, and 66 to 79 % with.
WITHOUT, WITH = np.array([0.28, 0.42, 0.58, 0.76]), np.array([0.46, 0.62, 0.76, 0.9])


def drawn_study(rng, patients=50, frames=5):
    """Whether eight networks are right on frames whose difficulty a patient shares: one run of each."""
    groups = np.repeat(np.arange(patients), frames)
    difficulty = 0.6 * rng.normal(size=patients)[groups] + 0.8 * rng.normal(size=len(groups))
    own = 0.5 * rng.normal(size=(8, len(groups)))
    right = difficulty + own < np.concatenate([WITHOUT, WITH])[:, None]
    return [[Sample(groups, (one.astype(float),))] for one in right]


def test_95_percent_intervals_cover_the_number_of_labels_in_about_95_percent_of_studies():
    """The truth in closed form: difficulty and own noise are normal, of variance 1.25 together."""
    accuracy = normal_below(np.concatenate([WITHOUT, WITH]) / 1.25**0.5)
    truth = labels_needed(LABELS, np.tile(accuracy[4:], (4, 1)), accuracy[:4])
    rng, place, covered = np.random.default_rng(1), 2, []
    for _ in range(100):
        found = resampled_together(Mean(), drawn_study(rng), samples=200)
        reached = np.stack([one.drawn for one in found], axis=1)
        needed = labels_needed(LABELS, reached[:, 4:], reached[:, place])
        bounds = censored_interval(Resampled(0.0, needed, 50))
        covered.append(bounds.low <= truth[place] <= bounds.high)
    assert np.isfinite(truth[place])
    assert 0.9 <= np.mean(covered) <= 0.99
