"""Nearest neighbours, against slow loops and scikit-learn, and what may not be found."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from sonoprior.core.errors import DataError, SonopriorError
from sonoprior.metrics import neighbours
from sonoprior.metrics.neighbours import DISTANCES, Embedded, best, nearest, similarities

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(60, 5))
LINE = np.array([[0.0], [1.0], [3.0], [7.0], [8.0]])


def slow(queries, gallery, k, distance, allowed):
    """Positions of the k nearest, by sorting all distances of each query."""
    rows = []
    for i, query in enumerate(queries):
        near = []
        for j, other in enumerate(gallery):
            if allowed(i, j):
                apart = np.linalg.norm(query - other)
                if distance == "cosine":
                    apart = -query @ other / np.linalg.norm(query) / np.linalg.norm(other)
                near.append((apart, j))
        found = [j for _, j in sorted(near)[:k]]
        rows.append(found + [-1] * (k - len(found)))
    return rows


@pytest.mark.parametrize("distance", DISTANCES)
def test_neighbours_are_those_of_scikit_learn(distance):
    gallery = RNG.normal(size=(80, 5))
    found = nearest(Embedded(POINTS), Embedded(gallery), 7, distance)
    sklearn = NearestNeighbors(n_neighbors=7, metric=distance, algorithm="brute").fit(gallery)
    apart, index = sklearn.kneighbors(POINTS)
    assert np.array_equal(found.index, index)
    assert (1 - found.similarity if distance == "cosine" else -found.similarity) == pytest.approx(
        apart, abs=1e-5
    )


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_query_finds_neither_itself_nor_its_own_groups(distance):
    exams, copies = RNG.integers(0, 12, 60), RNG.integers(0, 30, 60)

    def allowed(i, j):
        return i != j and exams[i] != exams[j] and copies[i] != copies[j]

    found = nearest(Embedded(POINTS, np.stack([exams, copies], axis=1)), k=9, distance=distance)
    assert found.index.tolist() == slow(POINTS, POINTS, 9, distance, allowed)
    alone = nearest(Embedded(POINTS), k=9, distance=distance)
    assert alone.index.tolist() == slow(POINTS, POINTS, 9, distance, lambda i, j: i != j)


def test_groups_hold_between_queries_and_a_gallery():
    found = nearest(Embedded(LINE[:2], ["a", "b"]), Embedded(LINE, ["a", "c", "b", "d", "b"]), 3, "euclidean")
    assert found.index.tolist() == [[1, 2, 3], [1, 0, 3]]


def test_a_case_of_no_group_is_found_by_all():
    for nobody in (None, float("nan")):
        groups = np.array(["a", nobody, nobody, "a", nobody], dtype=object)
        found = nearest(Embedded(LINE, groups), k=1, distance="euclidean")
        assert found.index[:, 0].tolist() == [1, 0, 1, 4, 3]


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_size_of_the_blocks_does_not_matter(distance, monkeypatch):
    cases = Embedded(POINTS, np.arange(60) // 4)
    whole = nearest(cases, k=12, distance=distance)
    monkeypatch.setattr(neighbours, "_HELD", 60 * 7)
    assert [rows.stop for rows, _ in similarities(cases)] == [7, 14, 21, 28, 35, 42, 49, 56, 60]
    assert np.array_equal(nearest(cases, k=12, distance=distance).index, whole.index)


def test_more_neighbours_than_there_are():
    found = nearest(Embedded(LINE[:3], [0, 0, 1]), k=4, distance="euclidean")
    assert found.index.tolist() == [[2, -1, -1, -1], [2, -1, -1, -1], [1, 0, -1, -1]]
    assert np.isneginf(found.similarity[0, 1:]).all()
    assert nearest(Embedded([[1.0]]), k=2).index.tolist() == [[-1, -1]]


def test_of_equal_ones_the_first_is_taken():
    found = nearest(Embedded(np.ones((5, 2))), k=3, distance="euclidean")
    assert found.index.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]
    rows = np.array([[1, 3, 3, 0, 3], [2, 2, 9, 2, 2]], dtype=np.float32)
    assert best(rows, 2)[0].tolist() == [[1, 2], [2, 0]]
    assert best(rows, 4)[0].tolist() == [[1, 2, 4, 0], [2, 0, 1, 3]]


def test_ties_are_broken_as_a_stable_sort_does():
    rows = RNG.integers(0, 6, (40, 30)).astype(np.float32)
    for k in (1, 4, 30):
        assert np.array_equal(best(rows, k)[0], np.argsort(-rows, axis=1, kind="stable")[:, :k])


def test_small_distances_far_from_the_origin_survive_single_precision():
    found = nearest(Embedded(LINE / 8 + 500), k=1, distance="euclidean")
    assert found.index[:, 0].tolist() == [1, 0, 1, 4, 3]


@pytest.mark.parametrize(
    ("cases", "text"),
    [
        (Embedded([[1.0], [np.nan], [np.inf]]), r"2 of 3 cases have a NaN or infinite one \(first: case 1\)"),
        (Embedded([[1.0, 0.0], [0.0, 0.0]]), r"other than zero, but 1 of 2 .* \(first: case 1\)"),
        (Embedded(np.ones(3)), r"must have shape \(cases, length\), neither 0, but got \(3,\)"),
        (Embedded(np.ones((0, 2))), r"neither 0, but got \(0, 2\)"),
        (Embedded(np.ones((3, 2)), [1, 2]), r"groups must have shape \(3,\) or \(3, kinds\), but got \(2,\)"),
    ],
)
def test_cases_that_cannot_be_used_are_refused(cases, text):
    with pytest.raises(DataError, match=text):
        nearest(cases, k=1)


def test_what_does_not_fit_is_refused():
    two, three = np.ones((4, 2)), np.ones((4, 3))
    with pytest.raises(DataError, match="embeddings of one length, but got 2 and 3"):
        nearest(Embedded(two), Embedded(three))
    with pytest.raises(DataError, match="the same kinds of groups, but got 1 and 0 kinds"):
        nearest(Embedded(two, [1, 2, 3, 4]), Embedded(two))
    with pytest.raises(DataError, match="must be one of cosine, euclidean, but got 'cosin'"):
        nearest(Embedded(two), distance="cosin")
    with pytest.raises(SonopriorError, match="k must be at least 1, but got 0"):
        nearest(Embedded(two), k=0)
