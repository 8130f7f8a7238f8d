"""The nearest cases by comparing all and by a graph, against the slow search of the metrics."""

import json

import numpy as np
import pytest

from sonoprior.casebase import exact, hnsw
from sonoprior.casebase.exact import Exact, top
from sonoprior.casebase.hnsw import Hnsw
from sonoprior.casebase.index import index_of
from sonoprior.casebase.store import Space, Vectors
from sonoprior.core.errors import MissingExtraError
from sonoprior.metrics.neighbours import Embedded, best, nearest

SIZE, LENGTH = 3000, 16


def unit(drawn):
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def made(size=SIZE, seed=0, first=1):
    """Cases around 12 centres, five of a group; a case's number is not its place."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, LENGTH))
    matrix = unit(centres[rng.integers(0, 12, size)] + 0.5 * rng.normal(size=(size, LENGTH)))
    groups = np.arange(size) // 5 + 100
    return Vectors(np.arange(size) * 2 + first, matrix, groups, groups, 1, Space("space", LENGTH))


VECTORS = made()
QUERIES = unit(VECTORS.matrix[::100] + 0.1 * np.random.default_rng(1).normal(size=(30, LENGTH)))
OWN = np.where(np.arange(30) % 3, VECTORS.groups[::100], -1)
AMONG = {
    "all": None,
    "half": np.arange(SIZE) % 2 == 0,
    "few": np.arange(SIZE) % 40 == 7,
    "three": np.isin(np.arange(SIZE), [5, 70, 2000]),
    "none": np.zeros(SIZE, bool),
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return Hnsw.kept(VECTORS, tmp_path_factory.mktemp("graph"))


def oracle(k, leave_out, among):
    """By the search of the metrics, of which a query's group and the cases are numbers that agree."""
    rows = np.flatnonzero(np.ones(SIZE, bool) if among is None else among)
    if not len(rows):
        return np.full((30, k), -1), np.full((30, k), -np.inf)
    own = np.full(30, -1) if leave_out is None else leave_out
    gallery = Embedded(VECTORS.matrix[rows], VECTORS.groups[rows])
    found = nearest(Embedded(QUERIES, own), gallery, k)
    return np.where(found.index < 0, -1, np.append(rows, -1)[found.index]), found.similarity


@pytest.mark.parametrize("k", [1, 10, 200])
@pytest.mark.parametrize("own", [None, OWN], ids=["", "own"])
@pytest.mark.parametrize("among", AMONG)
def test_exact_search_finds_what_the_metrics_find(k, own, among):
    found = Exact(VECTORS.matrix, VECTORS.groups).nearest(QUERIES, k, own, AMONG[among])
    index, similarity = oracle(k, own, AMONG[among])
    assert found.index.shape == (30, k)
    assert (found.index == index).mean() > 0.999  # cosines that differ by rounding may change places
    assert found.similarity == pytest.approx(similarity, abs=1e-5)


@pytest.mark.parametrize("k", [1, 10, 200])
@pytest.mark.parametrize("own", [None, OWN], ids=["", "own"])
@pytest.mark.parametrize("among", AMONG)
def test_a_graph_finds_nearly_the_same_and_never_what_it_must_not(graph, k, own, among):
    found = graph.nearest(QUERIES, k, own, AMONG[among])
    index, _ = oracle(k, own, AMONG[among])
    assert found.index.shape == (30, k)
    assert np.array_equal(found.index < 0, index < 0)
    shares = [np.isin(one, other).mean() for one, other in zip(found.index, index, strict=True)]
    assert np.mean(shares) > 0.98
    there = found.index >= 0
    if AMONG[among] is not None:
        assert AMONG[among][found.index[there]].all()
    if own is not None:
        assert not ((VECTORS.groups[found.index] == own[:, None]) & there).any()
    cosines = (VECTORS.matrix[found.index] * QUERIES[:, None]).sum(axis=2)
    assert found.similarity[there] == pytest.approx(cosines[there], abs=1e-5)
    assert (np.diff(np.where(there, found.similarity, -2), axis=1) <= 0).all()
    assert np.isneginf(found.similarity[~there]).all()


@pytest.mark.parametrize("size", [511, 512, 5 * 512, 20_011])
@pytest.mark.parametrize("k", [1, 5, 39])
def test_the_largest_by_blocks_are_the_largest(size, k):
    rng = np.random.default_rng(2)
    rows = np.stack([rng.normal(size=size), rng.integers(0, 9, size), np.full(size, -np.inf)])
    near = rows.astype(np.float32)
    for found, expected in zip(top(near, k), best(near, k), strict=True):
        assert np.array_equal(found, expected)


def test_the_size_of_the_blocks_of_queries_does_not_matter(monkeypatch):
    whole = Exact(VECTORS.matrix, VECTORS.groups).nearest(QUERIES, 10, OWN)
    monkeypatch.setattr(exact, "_HELD", 7 * SIZE)
    parts = Exact(VECTORS.matrix, VECTORS.groups).nearest(QUERIES, 10, OWN)
    assert np.array_equal(whole.index, parts.index)


@pytest.mark.parametrize("setting", ["auto", "exact", "hnsw"])
def test_an_empty_base_and_one_of_two_cases(setting, tmp_path):
    for size in (0, 2):
        found = index_of(made(size), setting, tmp_path / str(size)).nearest(QUERIES, 3)
        assert (found.index >= 0).sum(axis=1).tolist() == [size] * 30


def test_no_query_at_all(graph):
    for index in (Exact(VECTORS.matrix, VECTORS.groups), graph):
        assert index.nearest(np.empty((0, LENGTH), np.float32), 3).index.shape == (0, 3)


def test_auto_is_exact_up_to_a_limit(tmp_path, monkeypatch):
    assert isinstance(index_of(made(50), "auto", tmp_path), Exact)
    monkeypatch.setattr("sonoprior.casebase.index.MOST_EXACT", 49)
    assert isinstance(index_of(made(50), "auto", tmp_path), Hnsw)
    assert isinstance(index_of(made(50), "exact", tmp_path), Exact)


@pytest.fixture
def linked(monkeypatch):
    """How many cases are linked, each time that any are."""
    counts = []
    link = hnsw._link
    monkeypatch.setattr(
        hnsw, "_link", lambda graph, matrix: (counts.append(len(matrix)), link(graph, matrix))
    )
    return counts


def parts(vectors, rows):
    return Vectors(
        vectors.ids[rows], vectors.matrix[rows], vectors.groups[rows], vectors.exams[rows], 2, vectors.space
    )


def test_a_graph_is_kept_and_cases_that_came_are_added_to_it(tmp_path, linked):
    vectors = made(200)
    Hnsw.kept(parts(vectors, slice(0, 150)), tmp_path)
    Hnsw.kept(parts(vectors, slice(0, 150)), tmp_path)
    grown = Hnsw.kept(vectors, tmp_path)
    assert linked == [150, 50]
    assert np.array_equal(grown.nearest(vectors.matrix, 1).index[:, 0], np.arange(200))


def test_a_graph_of_other_cases_is_not_used(tmp_path, linked):
    vectors = made(200)
    Hnsw.kept(vectors, tmp_path)
    Hnsw.kept(parts(vectors, slice(1, 200)), tmp_path)
    other = Vectors(
        *(getattr(vectors, name) for name in ("ids", "matrix", "groups", "exams", "version")),
        Space("other", LENGTH),
    )
    Hnsw.kept(other, tmp_path)
    assert linked == [200, 199, 200]


@pytest.mark.parametrize("damage", ["graph", "about", "digest", "missing", "list"])
def test_a_graph_that_is_not_the_one_we_wrote_is_not_read(tmp_path, linked, damage, monkeypatch):
    vectors = made(100)
    Hnsw.kept(vectors, tmp_path)
    graph, about = tmp_path / "graph.faiss", tmp_path / "graph.json"
    if damage == "graph":
        content = bytearray(graph.read_bytes())
        content[len(content) // 2] ^= 1
        graph.write_bytes(content)
    elif damage == "about":
        about.write_text("{")
    elif damage == "digest":
        about.write_text(json.dumps(json.loads(about.read_text()) | {"graph": "0" * 64}))
    elif damage == "list":
        about.write_text("[]")
    else:
        about.unlink()
    Hnsw.kept(vectors, tmp_path)
    assert linked == [100, 100]


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(
        MissingExtraError, match=r"'hnsw' needs faiss: pip install 'sonoprior\[faiss\]', or choose"
    ):
        index_of(made(50), "hnsw", tmp_path)
