import numpy as np
import pytest
from sklearn.metrics import f1_score

from sonoprior.core.errors import DataError, SonopriorError
from sonoprior.metrics.cluster_matching import (
    cluster_count,
    cluster_labels,
    label_combinations,
    matched_clusters,
)
from sonoprior.metrics.multilabel import multilabel_scores


def cases(seed=0, n=80, count=6):
    """Cases of three classes, in clusters that follow their combination; the last cluster stays empty."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n, 3)) < (0.7, 0.4, 0.2)
    clusters = np.where(rng.random(n) < 0.7, labels @ [1, 2, 1], rng.integers(0, count - 1, n))
    return clusters, labels


def algorithm_1(clusters, labels, count):
    rows = [np.zeros(labels.shape[1]) for _ in range(count)]
    sizes = [0] * count
    for cluster, vector in zip(clusters, labels, strict=True):
        rows[cluster] += vector
        sizes[cluster] += 1
    prior = sum(map(np.asarray, labels.astype(float))) / len(labels)
    return [row / size if size else prior for row, size in zip(rows, sizes, strict=True)]


def test_it_is_algorithm_1_and_an_empty_cluster_has_the_prior():
    clusters, labels = cases()
    found = cluster_labels(clusters, labels, 6)
    np.testing.assert_allclose(found, algorithm_1(clusters, labels, 6))
    np.testing.assert_allclose(found[5], labels.mean(axis=0))


def test_unsupervised_f1_is_that_of_the_clusters_thresholded_on_development_cases():
    """Every threshold between two shares is tried by hand; the test cases have no part in the choice."""
    (clusters, labels), (tested, truth) = cases(), cases(seed=1)
    shares = np.array(algorithm_1(clusters, labels, 6))
    scores = multilabel_scores(truth, matched_clusters(clusters, labels, 6).predict(tested))
    for c in range(3):
        tried = [(f1_score(labels[:, c], shares[clusters, c] >= t), t) for t in set(shares[clusters, c])]
        _, threshold = max(tried)
        assert scores.f1[c] == pytest.approx(f1_score(truth[:, c], shares[tested, c] >= threshold))


def test_clusters_that_are_the_combinations_are_read_without_an_error():
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=bool)
    matched = matched_clusters(label_combinations(labels), labels, cluster_count(labels))
    assert multilabel_scores(labels, matched.predict(label_combinations(labels))).weighted_f1 == 1


def test_a_class_that_no_development_case_has_is_never_read_off_a_cluster():
    clusters, labels = cases()
    labels[:, 2] = False
    assert not matched_clusters(clusters, labels, 6).predict(np.arange(6))[:, 2].any()


def test_one_cluster_gives_every_case_the_same():
    _, labels = cases()
    matched = matched_clusters(np.zeros(80, int), labels, 1)
    np.testing.assert_allclose(matched.labels, labels.mean(axis=0)[None])
    assert matched.predict([0, 0]).tolist() == [[True] * 3] * 2


def test_combinations_and_their_number_are_those_of_a_dictionary():
    _, labels = cases(n=30)
    seen = {}
    for row in labels.tolist():
        seen[tuple(row)] = seen.get(tuple(row), 0) + 1
    assert cluster_count(labels) == len(seen)
    assert cluster_count(labels, least=4) == sum(size >= 4 for size in seen.values()) < len(seen)
    numbers = label_combinations(labels)
    for i in range(30):
        assert ((numbers == numbers[i]) == (labels == labels[i]).all(axis=1)).all()
    assert cluster_count(np.zeros((3, 2), bool)) == 1


def test_what_cannot_be_used_is_refused():
    clusters, labels = cases()
    with pytest.raises(DataError, match="between 0 and 2, but got"):
        cluster_labels(clusters, labels, 3)
    with pytest.raises(DataError, match=r"whole numbers of shape \(80,\), but got int64 of shape \(79,\)"):
        matched_clusters(clusters[1:], labels, 6)
    with pytest.raises(DataError, match=r"whole numbers of shape \(n,\), but got float64 of shape \(2,\)"):
        matched_clusters(clusters, labels, 6).predict([0.0, 1.0])
    with pytest.raises(DataError, match="between 0 and 5, but got -1"):
        matched_clusters(clusters, labels, 6).predict([-1])
    with pytest.raises(DataError, match="labels must be bool"):
        cluster_count(labels.astype(int))
    with pytest.raises(DataError, match="no combination of classes has 90 cases; the most common one has"):
        cluster_count(labels, least=90)
    with pytest.raises(SonopriorError, match="least must be at least 1"):
        cluster_count(labels, least=0)
    with pytest.raises(SonopriorError, match="count must be at least 1"):
        cluster_labels(clusters, labels, 0)
