import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from sonoprior.core.errors import DataError
from sonoprior.metrics import interval
from sonoprior.metrics.clustering import MutualInformation, nmi


def heaps(spread, size=20):
    rng = np.random.default_rng(0)
    labels = np.repeat(list("abc"), size)
    return np.repeat(np.eye(3), size, axis=0) + spread * rng.normal(size=(3 * size, 3)), labels


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_heaps_are_found_and_noise_is_not(distance):
    assert nmi(*heaps(0.05), distance) == pytest.approx(1)
    points, labels = heaps(0.05)
    assert nmi(points, np.random.default_rng(1).permutation(labels), distance) < 0.15


def test_it_agrees_with_the_formula():
    """Two clusters of 3 and 1, two classes of 2: mutual information over the mean entropy."""
    points = np.array([[1.0, 0], [1, 0.01], [1, 0.02], [0, 1]])
    shared = sum(p * np.log(p / q) for p, q in ((2 / 4, 6 / 16), (1 / 4, 6 / 16), (1 / 4, 2 / 16)))
    entropies = [np.log(2), -(3 / 4 * np.log(3 / 4) + 1 / 4 * np.log(1 / 4))]
    assert nmi(points, ["a", "a", "b", "b"]) == pytest.approx(shared / np.mean(entropies))


def test_the_seed_decides():
    points, labels = heaps(0.8)
    assert nmi(points, labels, seed=3) == nmi(points, labels, seed=3)


def test_the_length_of_embeddings_does_not_matter_to_a_cosine():
    points, labels = heaps(0.05)
    longer = points * np.random.default_rng(2).uniform(0.1, 9, (len(points), 1))
    assert nmi(longer, labels) == pytest.approx(1)
    assert nmi(longer, labels, "euclidean") < 0.9


def test_one_class_has_no_clustering():
    assert np.isnan(nmi(np.eye(3), ["a"] * 3))


def test_what_cannot_be_used_is_refused():
    with pytest.raises(DataError, match="level 'clustering' must be known, but 1 of 3 are not"):
        nmi(np.eye(3), ["a", None, "b"])
    with pytest.raises(DataError, match="finite numbers"):
        nmi([[np.nan], [1.0]], ["a", "b"])


def test_weighted_mutual_information_is_that_of_repeated_cases():
    rng = np.random.default_rng(3)
    labels, clusters = rng.integers(0, 4, 60), rng.integers(0, 5, 60)
    weights = rng.integers(0, 4, (20, 60)).astype(float)
    slow = [
        normalized_mutual_info_score(*(np.repeat(of, row.astype(int)) for of in (labels, clusters)))
        for row in weights
    ]
    assert MutualInformation().weighted(weights, labels, clusters) == pytest.approx(slow)


def test_mutual_information_is_not_defined_where_a_draw_leaves_one_class_or_none():
    labels, clusters = np.array([0, 0, 1]), np.array([1, 0, 1])
    weights = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    assert MutualInformation().weighted(weights, labels, clusters) == pytest.approx(
        [np.nan, np.nan, 0.0], nan_ok=True
    )


def test_the_interval_of_mutual_information_is_around_it_though_resamples_repeat_cases():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 18, 300)
    clusters = np.where(rng.random(300) < 0.7, labels, rng.integers(0, 18, 300))
    groups = np.arange(300) // 3
    found = interval(MutualInformation(), groups, labels, clusters, samples=300)
    assert found.low < found.value < found.high
    raw = MutualInformation().weighted(
        np.random.default_rng(1).multinomial(100, np.full(100, 0.01), 200)[:, groups].astype(float),
        labels,
        clusters,
    )
    assert np.quantile(raw, 0.025) > found.value  # which is why
    assert found.high - found.low == pytest.approx(np.ptp(np.quantile(raw, [0.025, 0.975])), rel=0.3)
