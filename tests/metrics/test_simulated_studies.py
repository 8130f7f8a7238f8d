"""Studies whose truth is known: do intervals cover it, and how often is there a false alarm?

A study draws cases of two classes with Gaussian features, splits them into folds, and trains a
nearest-mean classifier for every variant, fold and seed; a seed is the random part of the training cases
that a run learns from. A variant sees features of its own, each with the same information about the
class, so variants with equally many of them are equally good, whatever they learnt in one study. The
accuracy that a training set leads to has a closed form, so the true difference is known.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import norm

from sonoprior.metrics import Mean, Pair, corrected_t, holm
from sonoprior.metrics.bootstrap import resampled_difference

SHIFT = 0.45  # of every feature, from its class's side to the middle, in standard deviations
KEPT = 0.7  # of the training cases, by each seed


@dataclass(frozen=True)
class Protocol:
    """Folds of some cases, seeds on each, and the features of each variant, the baseline's first."""

    features: tuple[int, ...]
    cases: int = 60
    folds: int = 5
    seeds: int = 2

    def columns(self, variant):
        first = sum(self.features[:variant])
        return slice(first, first + self.features[variant])

    @property
    def training(self):
        return self.cases * (self.folds - 1) // self.folds


def draw(rng, cases, features):
    side = np.repeat([-1.0, 1.0], cases // 2)
    return side, rng.normal(size=(cases, features)) + SHIFT * side[:, None]


def learnt(rng, side, features):
    """The direction and the threshold of a nearest-mean classifier, from a random part of the cases."""
    kept = rng.permutation(len(side))[: int(KEPT * len(side))]
    low, high = (features[kept][side[kept] == which].mean(axis=0) for which in (-1, 1))
    return high - low, (high - low) @ (high + low) / 2


def right_answers(rng, protocol):
    """(variants, folds, seeds, test cases) of one study: 1 where a run is right."""
    side, features = draw(rng, protocol.cases, sum(protocol.features))
    fold = rng.permutation(np.arange(protocol.cases) % protocol.folds)
    shape = (len(protocol.features), protocol.folds, protocol.seeds, protocol.cases // protocol.folds)
    right = np.empty(shape)
    for variant, k, seed in np.ndindex(shape[:3]):
        own = features[:, protocol.columns(variant)]
        direction, middle = learnt(rng, side[fold != k], own[fold != k])
        right[variant, k, seed] = (own[fold == k] @ direction > middle) == (side[fold == k] > 0)
    return right


def true_accuracy(rng, protocol, variant, draws=4000):
    """Mean over training sets of the closed form of the accuracy on all future cases."""
    found = []
    for _ in range(draws):
        side, features = draw(rng, protocol.training, protocol.features[variant])
        direction, middle = learnt(rng, side, features)
        shift, scale = SHIFT * direction.sum(), np.linalg.norm(direction)
        found.append(norm.cdf([(shift - middle) / scale, (shift + middle) / scale]).mean())
    return np.mean(found)


def t_of(right, protocol, variant):
    differences = (right[variant] - right[0]).mean(axis=-1)  # (folds, seeds)
    splits = np.repeat(np.arange(protocol.folds), protocol.seeds)
    return corrected_t(differences.ravel(), splits, 1 / (protocol.folds - 1))


def bootstrap_of(right, protocol, variant, samples=1000):
    names = np.arange(protocol.cases).reshape(protocol.folds, -1)
    pairs = [
        Pair(names[k], (), right[variant, k, seed], right[0, k, seed])
        for k, seed in np.ndindex(protocol.folds, protocol.seeds)
    ]
    return resampled_difference(Mean(), pairs, samples)


def ordinary_t_excludes(right, variant):
    """Every run counted as an independent one, which it is not."""
    differences = (right[variant] - right[0]).mean(axis=-1).ravel()
    return corrected_t(differences, np.arange(len(differences)), 0).excludes_zero


def coverage(protocol, truth, studies, seed):
    rng = np.random.default_rng(seed)
    found = [t_of(right_answers(rng, protocol), protocol, 1) for _ in range(studies)]
    return np.mean([one.low <= truth <= one.high for one in found])


def alarms(protocol, studies, seed):
    """How often a study of equally good variants finds any of them different: t, bootstrap, t as it comes."""
    rng, variants = np.random.default_rng(seed), range(1, len(protocol.features))
    counts = np.zeros(3)
    for _ in range(studies):
        right = right_answers(rng, protocol)
        p = [t_of(right, protocol, variant).p for variant in variants]
        resampled = [bootstrap_of(right, protocol, variant).p() for variant in variants]
        counts += [min(holm(p)) < 0.05, min(holm(resampled)) < 0.05, min(p) < 0.05]
    return counts / studies


def test_the_corrected_interval_covers_the_truth_and_the_ordinary_one_raises_false_alarms():
    equal = Protocol((4, 4), seeds=5)
    rng = np.random.default_rng(0)
    studies = [right_answers(rng, equal) for _ in range(200)]
    assert np.mean([t_of(one, equal, 1).excludes_zero for one in studies]) <= 0.08
    assert np.mean([ordinary_t_excludes(one, 1) for one in studies]) >= 0.2


def test_a_true_difference_is_covered_too():
    unequal = Protocol((3, 6))
    rng = np.random.default_rng(1)
    truth = true_accuracy(rng, unequal, 1, 1000) - true_accuracy(rng, unequal, 0, 1000)
    assert truth > 0.05
    assert coverage(unequal, truth, 150, seed=2) >= 0.9


def test_holm_keeps_the_false_alarms_of_several_variants_down():
    by_t, _, uncorrected = alarms(Protocol((3,) * 7), studies=40, seed=3)
    assert by_t <= 0.1
    assert uncorrected >= by_t


@pytest.mark.long
@pytest.mark.parametrize("protocol", [Protocol((4, 4)), Protocol((3, 6)), Protocol((4, 4), 60, 3, 4)])
def test_the_corrected_interval_covers_the_truth_in_95_percent_of_studies(protocol):
    rng = np.random.default_rng(4)
    equal = protocol.features[0] == protocol.features[1]
    truth = 0 if equal else true_accuracy(rng, protocol, 1) - true_accuracy(rng, protocol, 0)
    assert 0.93 <= coverage(protocol, truth, 1500, seed=5) <= 0.995


@pytest.mark.long
def test_six_variants_that_are_worth_nothing_alarm_in_about_5_percent_of_studies():
    """The bootstrap covers other patients and not other training sets, so it alarms a little more often."""
    by_t, by_bootstrap, uncorrected = alarms(Protocol((3,) * 7), studies=300, seed=6)
    assert by_t <= 0.05
    assert by_bootstrap <= 0.1
    assert uncorrected >= 2 * by_t
