"""The similarity of sets of terms, against slow loops and what pyhpo expects in its own tests."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from small_graphs import metals, random_graph
from sonoprior.core.errors import OntologyError
from sonoprior.knowledge import read_ontology
from sonoprior.knowledge.sets import COMBINATIONS, average, best_match_average, maximum, set_similarity
from sonoprior.knowledge.similarity import TermSimilarity, term_similarity

METALS = term_similarity(metals(), "lin")


def slow(first, second, similar, how):
    pairs = np.array([[similar(a, b) for b in sorted(set(second))] for a in sorted(set(first))])
    if pairs.size == 0:
        return np.nan
    if how == "maximum":
        return pairs.max()
    if how == "average":
        return pairs.mean()
    return np.concatenate([pairs.max(axis=1), pairs.max(axis=0)]).mean()


@pytest.mark.parametrize("how", COMBINATIONS)
def test_the_blocks_agree_with_a_slow_loop(how):
    rng = np.random.default_rng(0)
    similarity = term_similarity(random_graph(rng), "simsuog_like")
    codes = [*similarity.terms, "UF0001", "UF0002"]
    first, second = ([rng.choice(codes, rng.integers(0, 6)).tolist() for _ in range(25)] for _ in range(2))

    def similar(a, b):
        if a in similarity.terms and b in similarity.terms:
            return similarity.between([a], [b])[0, 0]
        return float(a == b)

    expected = [[slow(a, b, similar, how) for b in second] for a in first]
    assert set_similarity(first, second, similarity, how) == pytest.approx(np.array(expected), nan_ok=True)


def test_combinations_give_what_pyhpo_expects():
    """Its test of BMA: rows of best 4 and 3, columns of best 2, 3, 2 and 4."""
    pairs, one_set = np.array([[1, 0.5, 2, 4], [2, 3, 1, 1]]), np.array([0])
    assert best_match_average(pairs, one_set) == [3]
    assert maximum(pairs, one_set) == [4]
    assert average(pairs, one_set) == [14.5 / 8]


def test_equal_sets_are_equal_whatever_their_order_and_repeats():
    found = set_similarity([["gold", "copper"]], [["copper", "gold", "gold"], {"gold", "copper"}], METALS)
    assert found.tolist() == [[1, 1]]


def test_the_best_match_average_by_hand():
    gold_silver = METALS.between(["gold"], ["silver"])[0, 0]
    gold_copper = METALS.between(["gold"], ["copper"])[0, 0]
    found = set_similarity([["gold"]], [["silver", "copper"]], METALS)
    assert found == pytest.approx((max(gold_silver, gold_copper) + gold_silver + gold_copper) / 3)


def test_unknown_codes_are_kept_as_codes():
    found = set_similarity([["UF1226", "gold"]], [["UF1226", "gold"], ["UF0870", "gold"], ["UF1226"]], METALS)
    assert found[0].tolist() == pytest.approx([1, 2 / 4, 2 / 3])


@pytest.mark.parametrize("how", COMBINATIONS)
def test_an_image_without_codes_says_nothing(how):
    found = set_similarity([[], ["gold"]], [["gold"], [], ["silver"], []], METALS, how)
    assert np.isnan(found).tolist() == [[True] * 4, [False, True, False, True]]
    assert np.isnan(set_similarity([["gold"]], [[]], METALS, how)).all()


def test_no_image_gives_no_number():
    assert set_similarity([], [["gold"]], METALS).shape == (0, 1)
    assert set_similarity([["gold"]], [], METALS).shape == (1, 0)
    assert set_similarity([], [], METALS).shape == (0, 0)


@pytest.mark.parametrize("how", COMBINATIONS)
def test_it_is_symmetric_and_lies_between_0_and_1(how):
    rng = np.random.default_rng(1)
    sets = [rng.choice(METALS.terms, rng.integers(1, 5)).tolist() for _ in range(30)]
    found = set_similarity(sets, sets, METALS, how)
    assert np.allclose(found, found.T)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-12


def test_what_cannot_be_used_is_refused():
    with pytest.raises(OntologyError, match="best_match_average, maximum, average, but got 'mean'"):
        set_similarity([["gold"]], [["gold"]], METALS, "mean")
    with pytest.raises(OntologyError, match="a list or a set of them, but got the text 'gold'"):
        set_similarity([["gold"]], ["gold"], TermSimilarity(("gold",), np.ones((1, 1))))


@pytest.mark.real_data
def test_findings_of_real_exams_that_the_published_extract_lacks():
    root = Path(__file__).parents[2]
    data = Path(os.environ.get("SONOPRIOR_REAL_DATA", root.parent / "shared" / "data")) / "SUOG"
    if not data.is_dir():
        pytest.skip(f"{data} is not there; SONOPRIOR_REAL_DATA names the folder of real data")
    similarity = term_similarity(read_ontology(data / "suog_ontology_v3.67.owl"))
    written = pd.read_csv(data / "exams.csv")["findings"].fillna("").str.split(";").head(300)
    images = [[code for code in codes if code] for codes in written]
    found = set_similarity(images, images, similarity)
    empty = np.array([not codes for codes in images])
    assert np.array_equal(np.isnan(found), empty[:, None] | empty)
    assert (np.diag(found)[~empty] == 1).all()
    assert len(set().union(*images) - set(similarity.terms)) > 10
