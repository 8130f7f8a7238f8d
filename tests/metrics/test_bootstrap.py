import time
from functools import partial
from itertools import product

import numpy as np
import pytest

from sonoprior.core.errors import DataError, SonopriorError
from sonoprior.metrics import SCALARS, Interval, Mean, Pair, Sample, averaged, interval, paired_difference
from sonoprior.metrics.bootstrap import Resampled, resampled, resampled_difference, resampled_together


def simulated(rng, groups: int, size: int, shared: float):
    """0/1 outcomes that err together within a group: a group's own rate is `shared` away from 0.7."""
    rates = 0.7 + shared * rng.choice([-1, 1], groups)
    names = np.repeat(np.arange(groups), size)
    return names, (rng.random(groups * size) < rates[names]).astype(float)


def two_columns(share):
    return np.stack([share, 1 - share], axis=1)


def test_a_plain_function_and_its_weighted_form_give_the_same_interval():
    rng = np.random.default_rng(0)
    groups, labels = rng.integers(0, 12, 60), rng.integers(0, 2, 60)
    probabilities = two_columns(rng.random(60))
    for scalar in SCALARS.values():
        quick = interval(scalar, groups, labels, probabilities, samples=50, seed=3)
        plain = partial(scalar.value)
        plain.rises_with_repeats = scalar.rises_with_repeats
        slow = interval(plain, groups, labels, probabilities, samples=50, seed=3)
        assert quick == pytest.approx(slow, nan_ok=True)


def test_every_resample_of_three_groups_enumerated():
    """With three groups there are 27 equally likely draws; the percentiles are those of their means."""
    groups, values = np.array(["a", "b", "b", "c"]), np.array([0.0, 1.0, 1.0, 2.0])
    parts = {name: values[groups == name] for name in "abc"}
    every = [np.concatenate([parts[name] for name in draw]).mean() for draw in product("abc", repeat=3)]
    found = interval(np.mean, groups, values, samples=4000, level=0.6)
    assert found.value == pytest.approx(1.0)
    low, high = np.quantile(every, [0.2, 0.8])
    assert (found.low, found.high) == pytest.approx((low, high))


def test_groups_make_the_interval_wider_than_single_cases_would():
    rng = np.random.default_rng(1)
    groups, right = simulated(rng, groups=30, size=10, shared=0.28)
    whole = interval(np.mean, groups, right, samples=400)
    single = interval(np.mean, np.arange(len(right)), right, samples=400)
    assert whole.high - whole.low > 1.5 * (single.high - single.low)


def test_the_seed_decides_the_draws():
    rng = np.random.default_rng(2)
    groups, right = simulated(rng, 20, 3, 0.1)
    assert interval(np.mean, groups, right, seed=1) == interval(np.mean, groups, right, seed=1)
    assert interval(np.mean, groups, right, seed=1) != interval(np.mean, groups, right, seed=2)


def test_one_group_has_no_interval():
    found = interval(np.mean, ["a", "a"], [0.0, 1.0])
    assert found.value == 0.5
    assert np.isnan([found.low, found.high]).all()
    assert not found.excludes_zero


def test_a_statistic_that_is_mostly_undefined_has_no_interval():
    def mean_with_the_rare_one(values):
        return float(values.mean()) if 9 in values else float("nan")

    found = interval(mean_with_the_rare_one, np.arange(30), np.r_[np.zeros(29), 9], samples=100)
    assert found.value == pytest.approx(9 / 30)
    assert np.isfinite([found.low, found.high]).all()  # drawn in 64 % of the resamples
    never = interval(lambda values: float("nan"), [1, 2], [0.0, 1.0], samples=20)
    assert np.isnan(never).all()


def test_an_interval_excludes_zero_on_either_side():
    assert Interval(2, 1, 3).excludes_zero
    assert Interval(-2, -3, -1).excludes_zero
    assert not Interval(1, -1, 3).excludes_zero


def pair_of(rng, groups, gain, size=40):
    names = np.array([f"p{g}" for g in rng.choice(groups, size)])
    base = (rng.random(size) < 0.6).astype(float)
    return Pair(names, (), np.clip(base + (rng.random(size) < gain), 0, 1), base)


def test_the_paired_difference_is_the_mean_of_the_pairs_differences():
    rng = np.random.default_rng(3)
    pairs = [pair_of(rng, range(10), 0.3), pair_of(rng, range(10, 20), 0.1, size=17)]
    found = paired_difference(np.mean, pairs, samples=200)
    slow = np.mean([pair.treated.mean() - pair.baseline.mean() for pair in pairs])
    assert found.value == pytest.approx(slow)
    assert found.low < found.value < found.high


def test_the_paired_difference_agrees_with_a_slow_loop_over_resamples():
    rng = np.random.default_rng(4)
    pairs = [pair_of(rng, range(6), 0.4), pair_of(rng, range(4, 9), 0.1)]
    names = np.unique(np.concatenate([pair.groups for pair in pairs]))
    drawn = []
    for _ in range(3000):
        chosen = rng.choice(names, len(names))
        differences = []
        for pair in pairs:
            places = np.concatenate([np.flatnonzero(pair.groups == name) for name in chosen])
            if len(places):
                differences.append(pair.treated[places].mean() - pair.baseline[places].mean())
        drawn.append(np.mean(differences))
    found = paired_difference(np.mean, pairs, samples=3000)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.02)


def test_the_mean_over_runs_has_an_interval_too():
    rng = np.random.default_rng(11)
    runs = [Sample(np.arange(20), (rng.random(20),)) for _ in range(3)]
    found = averaged(Mean(), runs)
    assert found.value == pytest.approx(np.mean([run.arrays[0] for run in runs]))
    assert averaged(Mean(), runs[:1]) == interval(Mean(), np.arange(20), *runs[0].arrays)


def test_the_mean_leaves_out_what_is_not_defined():
    assert Mean()(np.array([1.0, np.nan, 3.0])) == 2
    assert np.isnan(Mean()(np.array([np.nan])))
    assert Mean().weighted(np.array([[1.0, 5.0, 3.0]]), np.array([1.0, np.nan, 3.0])) == [2.5]


def test_equal_models_differ_by_nothing():
    rng = np.random.default_rng(5)
    labels, probabilities = rng.integers(0, 2, 30), two_columns(rng.random(30))
    pair = Pair(np.arange(30), (labels,), probabilities, probabilities)
    assert paired_difference(SCALARS["accuracy"], [pair]) == (0, 0, 0)


def test_p_is_small_where_the_interval_leaves_zero_out():
    rng = np.random.default_rng(12)
    for gain in (0.0, 0.1, 0.2, 0.3):
        found = resampled_difference(np.mean, [pair_of(rng, range(15), gain)], samples=500)
        assert found.interval().excludes_zero == (found.p() < 0.05) or abs(found.p() - 0.05) < 0.01


def test_p_by_hand():
    drawn = np.array([-1.0, 0.0, *np.ones(17), np.nan])
    assert Resampled(0.8, drawn, 5).p() == pytest.approx(2 * 3 / 20)
    assert Resampled(0.8, np.ones(99), 5).p() == pytest.approx(0.02)
    assert Resampled(0.0, np.zeros(99), 5).p() == 1
    assert np.isnan(Resampled(0.8, drawn, 1).p())


def test_sets_that_are_resampled_together_share_every_draw():
    """The difference of two sets, draw by draw, is the paired one; a patient that one lacks is drawn too."""
    rng = np.random.default_rng(14)
    names, first, second = rng.integers(0, 9, 40), rng.random(40), rng.random(40)
    fewer = names != 4
    sets = [[Sample(names, (first,))], [Sample(names, (second,)), Sample(names[fewer], (second[fewer],))]]
    one, two = resampled_together(Mean(), sets, samples=200)
    pairs = [Pair(names, (), second, first), Pair(names[fewer], (), second[fewer], first[fewer])]
    alone = resampled_together(Mean(), [sets[0], sets[1][:1]], samples=200)
    paired = resampled_difference(Mean(), pairs[:1], samples=200)
    assert alone[1].drawn - alone[0].drawn == pytest.approx(paired.drawn)
    assert one.drawn == pytest.approx(resampled(Mean(), sets[0], samples=200).drawn)
    assert two.drawn == pytest.approx(resampled(Mean(), sets[1], samples=200).drawn)
    assert one.groups == two.groups == 9


def test_sets_of_different_patients_draw_from_all_of_them():
    low, high = Sample([0, 1], (np.zeros(2),)), Sample([2, 3], (np.ones(2),))
    found = resampled_together(Mean(), [[low], [high]], samples=300)
    assert [one.groups for one in found] == [4, 4]
    # Two of four patients are missed in a sixteenth of the draws: then their set has no number.
    assert np.isnan(found[0].drawn).mean() == pytest.approx(1 / 16, abs=0.04)
    assert not (np.isnan(found[0].drawn) & np.isnan(found[1].drawn)).any()


@pytest.mark.parametrize("sets", [[], [[]], [[Sample([0], (np.ones(1),))], []]])
def test_sets_without_a_run_are_refused(sets):
    with pytest.raises(DataError, match="needs at least one run, but got none"):
        resampled_together(Mean(), sets)


def test_a_ratio_is_taken_draw_by_draw():
    rng = np.random.default_rng(13)
    names, above, below = rng.integers(0, 9, 40), rng.random(40), 1 + rng.random(40)
    whole = [resampled(Mean(), [Sample(names, (values,))], samples=300) for values in (above, below)]
    found = whole[0].ratio(whole[1])
    assert found.value == pytest.approx(above.mean() / below.mean())

    def ratio(first, second):
        return first.mean() / second.mean()

    assert found.interval() == pytest.approx(interval(ratio, names, above, below, samples=300))


def test_a_ratio_of_other_draws_is_refused_and_one_over_zero_is_not_defined():
    zero, other = Resampled(0.0, np.zeros(3), 2), Resampled(1.0, np.ones(4), 2)
    assert np.isnan(Resampled(1.0, np.ones(3), 2).ratio(zero).interval()).all()
    with pytest.raises(DataError, match="numbers with the same draws, but got 3 of 2 groups and 4 of 2"):
        zero.ratio(other)


def test_repeating_a_seed_does_not_narrow_the_interval():
    pair = pair_of(np.random.default_rng(6), range(15), 0.3)
    assert paired_difference(np.mean, [pair] * 4) == pytest.approx(paired_difference(np.mean, [pair]))


def test_better_than_the_baseline_is_positive():
    pair = Pair(np.arange(20), (), np.ones(20), np.r_[np.ones(10), np.zeros(10)])
    found = paired_difference(np.mean, [pair])
    assert found.value == 0.5
    assert found.low > 0


def test_a_thousand_resamples_of_three_hundred_cases_take_less_than_a_second():
    rng = np.random.default_rng(7)
    groups, labels = rng.integers(0, 100, 300), rng.integers(0, 3, 300)
    probabilities = rng.dirichlet(np.ones(3), 300)
    for scalar in SCALARS.values():
        start = time.perf_counter()
        interval(scalar, groups, labels, probabilities, samples=1000)
        assert time.perf_counter() - start < 1


def test_many_cases_are_drawn_in_parts(monkeypatch):
    rng = np.random.default_rng(8)
    labels, probabilities = rng.integers(0, 2, 50), two_columns(rng.random(50))
    whole = interval(SCALARS["accuracy"], np.arange(50), labels, probabilities, samples=100)
    monkeypatch.setattr("sonoprior.metrics.bootstrap._CHUNK", 333)
    assert interval(SCALARS["accuracy"], np.arange(50), labels, probabilities, samples=100) == whole


@pytest.mark.parametrize(
    ("groups", "values", "text"),
    [
        ([], [], "at least one, but got 0 groups"),
        ([1, 2], [0.0], r"but got 2 groups and arrays of \[1\] cases"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(groups, values, text):
    with pytest.raises(DataError, match=text):
        interval(np.mean, groups, values)


def test_wrong_settings_are_refused():
    with pytest.raises(DataError, match="at least one run, but got none"):
        paired_difference(np.mean, [])
    with pytest.raises(SonopriorError, match="samples must be at least 1, but got 0"):
        interval(np.mean, [1, 2], [0.0, 1.0], samples=0)
    with pytest.raises(SonopriorError, match="level must lie between 0 and 1, but got 95"):
        interval(np.mean, [1, 2], [0.0, 1.0], level=95)


@pytest.mark.long
@pytest.mark.parametrize("shared", [0.0, 0.2])
def test_95_percent_intervals_cover_the_truth_in_about_95_percent_of_studies(shared):
    """400 simulated studies of 60 patients with 5 images each; percentile intervals fall slightly short."""
    rng = np.random.default_rng(9)
    hits = 0
    for seed in range(400):
        groups, right = simulated(rng, 60, 5, shared)
        labels = np.zeros(len(right), dtype=int)
        found = interval(SCALARS["accuracy"], groups, labels, two_columns(right), samples=400, seed=seed)
        hits += found.low <= 0.7 <= found.high
    assert 0.915 <= hits / 400 <= 0.98


@pytest.mark.long
def test_false_alarms_of_the_paired_difference_are_about_5_percent():
    """Two equally good models with errors that patients share, two folds and three seeds."""
    rng = np.random.default_rng(10)
    alarms = 0
    for seed in range(300):
        pairs = []
        for fold in range(2):
            difficulty = np.repeat(rng.uniform(0.4, 1.0, 30), 4)
            names = np.repeat([f"{fold}-{number}" for number in range(30)], 4)
            better = np.repeat(rng.normal(0, 0.15, 30), 4)  # a patient suits one of the models
            for _ in range(3):
                treated = (rng.random(120) < np.clip(difficulty + better, 0, 1)).astype(float)
                base = (rng.random(120) < np.clip(difficulty - better, 0, 1)).astype(float)
                pairs.append(Pair(names, (), treated, base))
        alarms += paired_difference(np.mean, pairs, samples=200, seed=seed).excludes_zero
    assert alarms / 300 <= 0.09
