"""Ranking and re-ranking, against slow loops over vectors that one can picture."""

import numpy as np
import pytest

from casebase.made_base import at
from sonoprior.casebase.ranking import Exams, Ranking
from sonoprior.casebase.rerank import best_over_bank, reranked
from sonoprior.casebase.store import Space, Vectors


def vectors(matrix, groups=None, exams=None) -> Vectors:
    n = len(matrix)
    groups = np.arange(n) if groups is None else np.asarray(groups)
    exams = np.full(n, -1) if exams is None else np.asarray(exams)
    return Vectors(np.arange(n) + 100, matrix, groups, exams, 1, Space("made", matrix.shape[1]))


def unit(rng, *shape):
    drawn = rng.standard_normal(shape).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def all_of(n):
    return np.ones(n, bool)


def test_over_one_query_the_published_formula_changes_no_order_and_over_a_bank_it_does():
    """The first candidate is a little nearer to the query, but lies among the bank's queries too."""
    candidates, query, bank = at(20, -22), at(0)[0], at(25, 40)
    near = candidates @ query
    alone = reranked(near, np.full(2, -np.inf, np.float32))
    assert np.argsort(-alone).tolist() == np.argsort(-near).tolist() == [0, 1]
    assert alone == pytest.approx(near + 1)
    over_bank = best_over_bank(candidates, bank)
    assert np.argsort(-reranked(near, over_bank)).tolist() == [1, 0]


def test_reranking_is_equation_3_12_over_the_whole_matrix():
    """S[i, j] + S[i, j] / max(S[i, :]), image i and text j, where all maxima are positive."""
    rng = np.random.default_rng(0)
    images, texts = unit(rng, 40, 6), unit(rng, 25, 6)
    table = images @ texts.T
    over_bank = best_over_bank(images, texts)
    wanted = table + table / table.max(axis=1, keepdims=True)
    for j in range(25):
        assert reranked(table[:, j], over_bank) == pytest.approx(wanted[:, j], abs=1e-5)


def test_a_candidate_that_is_unlike_every_query_keeps_its_similarity_and_comes_last():
    near = np.array([-0.2, 0.1, -0.9], np.float32)
    again = reranked(near, np.array([-0.1, -0.5, 0.5], np.float32))
    assert again == pytest.approx([-0.2, 1.1, -0.9 - 1.8])
    assert np.isneginf(reranked(np.array([-np.inf], np.float32), np.array([0.5], np.float32)))
    assert np.isneginf(reranked(np.array([-np.inf], np.float32), np.array([-np.inf], np.float32)))


def test_nobody_is_compared_with_the_bank_s_cases_of_its_own_group(monkeypatch):
    monkeypatch.setattr("sonoprior.casebase.rerank._HELD", 50)  # many small blocks
    rng = np.random.default_rng(1)
    matrix, groups, bank = unit(rng, 60, 5), rng.integers(0, 9, 60), rng.permutation(60)[:20]
    found = best_over_bank(matrix, matrix[bank], groups, groups[bank])
    for row in range(60):
        others = [matrix[row] @ matrix[b] for b in bank if groups[b] != groups[row]]
        assert found[row] == pytest.approx(max(others), abs=1e-6)
    alone = best_over_bank(matrix[:3], matrix[:3], np.zeros(3, int), np.zeros(3, int))
    assert np.isneginf(alone).all()
    assert np.isneginf(best_over_bank(matrix, matrix[:0], groups, groups[:0])).all()


def test_the_best_cases_come_first_and_what_may_not_be_found_is_not():
    matrix = at(0, 10, 20, 30)
    may = np.array([True, False, True, True])
    found = Ranking(vectors(matrix), may).cases(at(2)[0], 9)
    assert [one.ids for one in found] == [[100], [102], [103]]
    assert [one.similarity for one in found] == pytest.approx(np.cos(np.deg2rad([2, 18, 28])), abs=1e-6)
    assert all(one.score is None for one in found)
    assert Ranking(vectors(matrix), np.zeros(4, bool)).cases(at(2)[0], 2) == []


@pytest.mark.parametrize("rerank", [False, True])
def test_exams_by_slow_loops(rerank):
    rng = np.random.default_rng(2)
    matrix, exams = unit(rng, 50, 4), rng.integers(-1, 8, 50)
    queries, may = unit(rng, 3, 4), rng.random(50) < 0.8
    over_bank = best_over_bank(matrix, unit(rng, 30, 4))
    sets = [np.flatnonzero((exams == e) & may) for e in range(8)]
    sets += [np.array([row]) for row in np.flatnonzero((exams < 0) & may)]
    value = reranked(queries @ matrix.T, over_bank) if rerank else queries @ matrix.T
    wanted = sorted(
        ((value[:, rows].max(axis=1).mean(), rows) for rows in sets if len(rows)), key=lambda s: -s[0]
    )
    ranking = Ranking(vectors(matrix, exams=exams), may, over_bank if rerank else None)
    found = ranking.exams(queries, Exams(exams), 100)
    assert len(found) == len(wanted)
    for one, (score, rows) in zip(found, wanted, strict=True):
        assert (one.score if rerank else one.similarity) == pytest.approx(score, abs=1e-5)
        assert one.similarity == pytest.approx((queries @ matrix[rows].T).max(axis=1).mean(), abs=1e-5)
        chosen = rows[value[:, rows].argmax(axis=1)]
        assert one.ids == (chosen + 100).tolist()
        assert one.similarities == pytest.approx(
            [q @ matrix[c] for q, c in zip(queries, chosen, strict=True)], abs=1e-6
        )


def test_an_exam_is_no_worse_for_views_that_the_query_does_not_show():
    matrix, exams = at(0, 90, 180, 5, 5), np.array([1, 1, 1, 2, 2])
    found = Ranking(vectors(matrix, exams=exams), all_of(5)).exams(at(0, 90), Exams(exams), 2)
    assert [one.ids for one in found] == [[100, 101], [103, 103]]
    assert found[0].similarity == pytest.approx(1, abs=1e-6)
