from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from sonoprior.metrics import interval
from sonoprior.metrics.cluster_agreement import AdjustedRand, Purity


def grouped(seed=0, n=60):
    rng = np.random.default_rng(seed)
    labels = rng.choice(list("abcd"), n)
    found = np.where(rng.random(n) < 0.5, np.unique(labels, return_inverse=True)[1], rng.integers(0, 5, n))
    return labels, 10 * found  # numbers of clusters need not follow each other


def purity(labels, clusters):
    """Cluster by cluster."""
    most = [Counter(labels[clusters == k]).most_common(1)[0][1] for k in set(clusters)]
    return sum(most) / len(labels)


def rand(labels, clusters):
    """Pair by pair: agreement less what chance gives, over the most there could be less that."""
    both = one = other = every = 0
    for i, j in combinations(range(len(labels)), 2):
        same, together = labels[i] == labels[j], clusters[i] == clusters[j]
        both, one, other, every = both + (same and together), one + same, other + together, every + 1
    chance = one * other / every
    return (both - chance) / ((one + other) / 2 - chance)


@pytest.mark.parametrize("statistic", [Purity(), AdjustedRand()], ids=["purity", "rand"])
def test_weights_are_repeated_cases(statistic):
    labels, clusters = grouped()
    weights = np.random.default_rng(1).integers(0, 4, (12, 60))
    slow = {Purity: purity, AdjustedRand: adjusted_rand_score}[type(statistic)]
    wanted = [slow(np.repeat(labels, w), np.repeat(clusters, w)) for w in weights]
    assert statistic.weighted(weights.astype(float), labels, clusters) == pytest.approx(wanted)
    assert statistic(labels, clusters) == pytest.approx(slow(labels, clusters))


def test_the_adjusted_rand_index_counts_pairs():
    labels, clusters = grouped(2, n=25)
    ones = np.ones((1, 25))
    assert AdjustedRand().weighted(ones, labels, clusters)[0] == pytest.approx(rand(labels, clusters))
    assert AdjustedRand()(labels, clusters) == pytest.approx(rand(labels, clusters))


def test_the_edges():
    """The same groups under other names; one cluster; every case on its own; one class."""
    labels = np.array([0, 0, 1, 1])
    ones = np.ones((1, 4))
    for clusters, wanted in (([7, 7, 3, 3], (1, 1)), ([5] * 4, (0.5, 0)), ([0, 1, 2, 3], (1, 0))):
        for statistic, value in zip((Purity(), AdjustedRand()), wanted, strict=True):
            assert statistic(labels, np.array(clusters)) == pytest.approx(value)
            assert statistic.weighted(ones, labels, np.array(clusters)) == pytest.approx([value])
    alone = np.arange(4)
    assert AdjustedRand().weighted(ones, alone, alone) == pytest.approx([1]) == [AdjustedRand()(alone, alone)]
    for statistic in (Purity(), AdjustedRand()):
        assert np.isnan(statistic(np.zeros(4), labels))
        drawn = statistic.weighted(np.array([[1.0, 1, 0, 0], [0, 0, 0, 0]]), labels, labels)
        assert np.isnan(drawn).all()  # a draw that leaves one class, and one that leaves none


@pytest.mark.parametrize("statistic", [Purity(), AdjustedRand()], ids=["purity", "rand"])
def test_an_interval_is_around_the_number_though_resamples_repeat_cases(statistic):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 12, 150)
    clusters = np.where(rng.random(150) < 0.6, labels, rng.integers(0, 12, 150))
    found = interval(statistic, np.arange(150), labels, clusters, samples=300)
    assert found.low < found.value < found.high
    draws = rng.multinomial(150, np.full(150, 1 / 150), 300).astype(float)
    assert statistic.weighted(draws, labels, clusters).mean() > found.value  # which is why they are moved
