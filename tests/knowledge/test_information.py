"""Information content, against counting by hand and what nxontology prints."""

from math import log

import numpy as np
import pytest

from small_graphs import chain, forest, graph, metals, random_graph
from sonoprior.core.errors import OntologyError
from sonoprior.knowledge.ancestry import Ancestry
from sonoprior.knowledge.information import INTRINSIC, information

IMAGES = [["gold", "silver"], ["copper"], ["gold"], ["platinum", "XX0001"], ["XX0002"]]


def by_code(ontology, how, images=None):
    return dict(zip(ontology.order, information(Ancestry(ontology), how, images), strict=True))


def test_the_steps_up_are_the_fewest():
    ontology = graph("b is_a a", "c is_a b", "d is_a c", "d is_a a")
    steps = Ancestry(ontology).steps
    up = {code: steps[ontology.positions["d"], place] for place, code in enumerate(ontology.order)}
    assert up == {"a": 1, "b": 2, "c": 1, "d": 0}
    assert steps[ontology.positions["a"], ontology.positions["d"]] == np.inf


def test_depth_counts_the_longest_way():
    ontology = graph("b is_a a", "c is_a b", "d is_a c", "d is_a a")
    assert dict(zip(ontology.order, Ancestry(ontology).depth, strict=True)) == {
        "a": 1,
        "b": 2,
        "c": 3,
        "d": 4,
    }


def test_the_ancestors_are_those_of_the_graph():
    ontology = random_graph(np.random.default_rng(0))
    above = Ancestry(ontology).above
    for place, code in enumerate(ontology.order):
        assert {ontology.order[j] for j in np.flatnonzero(above[place])} == ontology.ancestors(code)


@pytest.mark.parametrize(
    ("how", "code", "published"),
    [
        ("seco", "metal", 0),
        ("seco", "coinage", 0.333),
        ("seco", "precious", 0.226),
        ("seco", "gold", 1),
        ("sanchez", "metal", 0),
        ("sanchez", "coinage", 0.489),
        ("sanchez", "precious", 0.387),
        ("sanchez", "gold", 0.875),
        ("sanchez", "copper", 0.839),
    ],
)
def test_contents_are_those_that_nxontology_prints(how, code, published):
    assert by_code(metals(), how)[code] == pytest.approx(published, abs=5e-4)


def test_several_roots_have_a_content_of_their_own():
    assert by_code(forest(), "sanchez")["metal"] == pytest.approx(0.317, abs=5e-4)
    assert by_code(forest(), "seco")["water"] == 1


def test_an_image_counts_once_for_every_ancestor():
    found = by_code(metals(), "annotations", IMAGES)  # the last image has no term of the ontology
    assert found["metal"] == 0
    assert found["coinage"] == pytest.approx(-log(3 / 4) / log(4))
    assert found["precious"] == pytest.approx(-log(3 / 4) / log(4))
    assert found["gold"] == pytest.approx(-log(2 / 4) / log(4))
    assert found["copper"] == found["palladium"] == 1  # shown once, and never


@pytest.mark.parametrize("how", [*INTRINSIC, "annotations"])
def test_content_lies_between_0_and_1_and_never_falls_to_a_child(how):
    rng = np.random.default_rng(1)
    for ontology in (chain(), metals(), forest(), random_graph(rng)):
        images = [list(rng.choice(ontology.order, 2)) for _ in range(30)]
        found = by_code(ontology, how, images)
        assert all(0 <= content <= 1 for content in found.values())
        assert all(found[code] >= found[up] for code in ontology.order for up in ontology.parents(code))


@pytest.mark.parametrize("how", INTRINSIC)
def test_the_only_term_says_nothing(how):
    assert by_code(graph(alone="only"), how) == {"only": 0}


def test_what_cannot_be_used_is_refused():
    ancestry = Ancestry(metals())
    with pytest.raises(OntologyError, match=r"sanchez, annotations, but got 'secco'\. Did you mean 'seco'"):
        information(ancestry, "secco")
    with pytest.raises(OntologyError, match=r"needs `images`, the codes of each, but got none"):
        information(ancestry, "annotations")
    with pytest.raises(OntologyError, match=r"at least 2 images .* but 1 of 3 images have any"):
        information(ancestry, "annotations", [["gold"], ["XX"], []])
