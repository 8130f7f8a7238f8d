import numpy as np
import pytest
from scipy.stats import spearmanr

from sonoprior.core.errors import DataError
from sonoprior.metrics.agreement import agreement, agreement_of_pairs
from sonoprior.metrics.neighbours import Embedded

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(25, 4))
KNOWN = RNG.random((25, 25))
GROUPS = np.arange(25) // 3


def cosine(i, j):
    return POINTS[i] @ POINTS[j] / np.linalg.norm(POINTS[i]) / np.linalg.norm(POINTS[j])


def test_each_query_agrees_with_a_slow_loop():
    known = KNOWN.copy()
    known[3, 10:20] = np.nan
    found = agreement(Embedded(POINTS, GROUPS), known)
    for i in range(25):
        others = [j for j in range(25) if GROUPS[i] != GROUPS[j] and not np.isnan(known[i, j])]
        expected = spearmanr([cosine(i, j) for j in others], known[i, others]).statistic
        assert found[i] == pytest.approx(expected)


def test_all_pairs_agree_with_a_slow_loop():
    # Two sets: of one, i to j and j to i are alike but for their last digit, on which no rank should hang.
    some, others = np.arange(0, 25, 2), np.arange(1, 25, 2)
    pairs = [(i, j) for i in some for j in others if GROUPS[i] != GROUPS[j]]
    expected = spearmanr([cosine(*pair) for pair in pairs], [KNOWN[pair] for pair in pairs]).statistic
    queries, gallery = (Embedded(POINTS[which], GROUPS[which]) for which in (some, others))
    assert agreement_of_pairs(queries, KNOWN[np.ix_(some, others)], gallery) == pytest.approx(expected)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_embeddings_own_similarity_agrees_fully(distance):
    apart = np.linalg.norm(POINTS[:, None] - POINTS, axis=-1)
    units = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
    known = units @ units.T if distance == "cosine" else -apart
    assert agreement(Embedded(POINTS), known, distance=distance) == pytest.approx(np.ones(25))
    assert agreement_of_pairs(Embedded(POINTS), -known, distance=distance) == pytest.approx(-1)


def test_queries_may_have_a_gallery():
    found = agreement(Embedded(POINTS[:2]), KNOWN[:2, :10], Embedded(POINTS[5:15]))
    expected = spearmanr([cosine(0, j) for j in range(5, 15)], KNOWN[0, :10]).statistic
    assert found[0] == pytest.approx(expected)


def test_where_all_are_alike_or_unknown_there_is_no_number():
    known = KNOWN.copy()
    known[0], known[1], known[2, 3:] = 0.5, np.nan, np.nan  # query 2 is left with two others
    found = agreement(Embedded(POINTS), known)
    assert np.isnan(found).tolist() == [True, True] + [False] * 23
    assert np.isnan(agreement_of_pairs(Embedded(np.ones((4, 2))), KNOWN[:4, :4]))


def test_another_shape_is_refused():
    with pytest.raises(DataError, match=r"must have shape \(25, 25\), but got \(25, 24\)"):
        agreement(Embedded(POINTS), KNOWN[:, :24])
