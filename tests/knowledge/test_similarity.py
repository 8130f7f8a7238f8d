"""The similarity of terms: laws over the registry, slow loops, and what nxontology prints."""

from itertools import product

import networkx
import numpy as np
import pytest

from small_graphs import chain, forest, graph, metals, random_graph
from sonoprior.core.errors import OntologyError
from sonoprior.knowledge import IS_A
from sonoprior.knowledge.ancestry import Ancestry
from sonoprior.knowledge.information import information
from sonoprior.knowledge.similarity import MEASURES, SimSuogLike, TermSimilarity, term_similarity

INFORMATION = ("seco", "sanchez")
GRAPHS = {
    "metals": metals(),
    "forest": forest(),
    "chain": chain(),
    "random": random_graph(np.random.default_rng(0)),
    "one term": graph(alone="only"),
}


def of(ontology, first, second, measure, **settings):
    return term_similarity(ontology, measure, **settings).between([first], [second])[0, 0]


@pytest.mark.parametrize("how", INFORMATION)
@pytest.mark.parametrize("ontology", GRAPHS)
@pytest.mark.parametrize("name", MEASURES.names())
def test_every_measure_is_symmetric_and_lies_between_0_and_1(name, ontology, how):
    values = term_similarity(GRAPHS[ontology], name, how).values
    assert np.array_equal(values, values.T)
    assert values.min() >= 0
    assert values.max() <= 1


@pytest.mark.parametrize("how", INFORMATION)
@pytest.mark.parametrize("ontology", GRAPHS)
@pytest.mark.parametrize("name", MEASURES.names())
def test_a_term_is_nearest_to_itself(name, ontology, how):
    values = term_similarity(GRAPHS[ontology], name, how).values
    assert (values <= np.diag(values)[:, None] + 1e-12).all()
    if MEASURES.load(name).of_itself_is_one:
        assert (np.diag(values) == 1).all()


@pytest.mark.parametrize("how", INFORMATION)
@pytest.mark.parametrize("name", MEASURES.names())
def test_no_measure_grows_while_one_walks_away_along_a_chain(name, how):
    links = [f"t{i}" for i in range(8)]
    values = term_similarity(GRAPHS["chain"], name, how).between(links, links)
    for start in range(8):
        assert (np.diff(values[start, start:]) <= 1e-12).all()
        assert (np.diff(values[start, : start + 1]) >= -1e-12).all()
    assert values[0, 7] < values[6, 7]  # not all the same


@pytest.mark.parametrize("name", MEASURES.names())
def test_the_order_of_the_file_does_not_matter(name):
    edges = ["b is_a a", "c is_a a", "d is_a b", "d is_a c", "e is_a c"]
    codes = list("abcde")
    there, back = (term_similarity(graph(*rows), name).between(codes, codes) for rows in (edges, edges[::-1]))
    assert np.array_equal(there, back)


@pytest.mark.parametrize("name", sorted({*MEASURES.names()} - {"jiang_conrath"}))
def test_terms_under_different_roots_share_nothing(name):
    assert of(forest(), "pine", "precious", name) == 0


def slow(ontology, first, second, content, value):
    """The best value over common ancestors, by walking the graph for each pair."""
    walks = networkx.DiGraph((edge.start, edge.end) for edge in ontology.edges if edge.relation == IS_A)
    walks.add_nodes_from(ontology.terms)
    values = [0.0]
    for common in ontology.ancestors(first) & ontology.ancestors(second):
        length = sum(networkx.shortest_path_length(walks, term, common) for term in (first, second))
        roots = [root for root in ontology.roots if root in ontology.ancestors(common)]
        ways = [way for root in roots for way in networkx.all_simple_paths(walks, common, root)]
        values.append(value(content[common], length, max(map(len, ways), default=1)))
    return max(values)


SLOW = {
    "shortest_path": lambda content, length, depth: 1 / (1 + length),
    "wu_palmer": lambda content, length, depth: 2 * depth / (length + 2 * depth),
    "resnik": lambda content, length, depth: content,
    "simsuog_like": lambda content, length, depth: 1 / (1 + length * 0.1**content),
}


@pytest.mark.parametrize("name", SLOW)
def test_the_matrices_agree_with_a_slow_walk(name):
    ontology = random_graph(np.random.default_rng(3), 18)
    content = dict(zip(ontology.order, information(Ancestry(ontology)), strict=True))
    found = term_similarity(ontology, name).values
    for i, j in product(range(18), repeat=2):
        expected = slow(ontology, ontology.order[i], ontology.order[j], content, SLOW[name])
        assert found[i, j] == pytest.approx(expected), (i, j)


# What nxontology publishes of its two examples, to three digits: resnik_scaled, lin, jiang_seco.
PUBLISHED = [
    ("metals", "gold", "silver", "sanchez", 0.489, 0.558, 0.613),
    ("metals", "gold", "silver", "seco", 0.333, 0.333, 0.333),
    ("metals", "copper", "gold", "sanchez", 0.489, 0.570, 0.631),
    ("metals", "copper", "platinum", "sanchez", 0, 0, 0.161),
    ("metals", "palladium", "platinum", "sanchez", 0.387, 0.461, 0.547),
    ("metals", "palladium", "platinum", "seco", 0.226, 0.226, 0.226),
    ("metals", "coinage", "gold", "sanchez", 0.489, 0.716, 0.807),
    ("metals", "coinage", "precious", "seco", 0, 0, 0.720),
    ("metals", "metal", "metal", "sanchez", 0, 1, 1),
    ("metals", "gold", "gold", "sanchez", 0.875, 1, 1),
    ("forest", "coinage", "precious", "sanchez", 0.317, 0.424, 0.569),
    ("forest", "conifer", "pine", "seco", 0.644, 0.783, 0.822),
    ("forest", "coinage", "conifer", "seco", 0, 0, 0.178),
    ("forest", "metal", "water", "sanchez", 0, 0, 0.557),
]


@pytest.mark.parametrize(("ontology", "first", "second", "how", *("resnik", "lin", "jiang")), PUBLISHED)
def test_values_are_those_that_nxontology_prints(ontology, first, second, how, resnik, lin, jiang):
    published = {"resnik": resnik, "lin": lin, "jiang_conrath": jiang}
    for name, value in published.items():
        found = of(GRAPHS[ontology], first, second, name, information=how)
        assert found == pytest.approx(value, abs=5.1e-4), name


def test_small_values_by_hand():
    assert of(metals(), "gold", "silver", "shortest_path") == pytest.approx(1 / 3)
    assert of(metals(), "copper", "platinum", "shortest_path") == pytest.approx(1 / 5)
    assert of(metals(), "gold", "silver", "wu_palmer") == pytest.approx(4 / 6)
    assert of(metals(), "copper", "platinum", "wu_palmer") == pytest.approx(2 / 6)
    assert of(metals(), "copper", "platinum", "simsuog_like") == pytest.approx(1 / 5)  # metal says nothing
    shared = of(metals(), "gold", "silver", "resnik", information="seco")
    found = of(metals(), "gold", "silver", "simsuog_like", information="seco", k=0.5)
    assert found == pytest.approx(1 / (1 + 2 * 0.5**shared))


def test_simsuog_like_with_k_of_1_is_the_shortest_path():
    paths = term_similarity(metals(), "shortest_path").values
    assert np.allclose(term_similarity(metals(), "simsuog_like", k=1).values, paths)


def test_information_from_images_changes_what_is_near():
    images = [["gold"], ["silver"], ["copper"], ["gold"], ["platinum"]]
    rare = term_similarity(metals(), "lin", "annotations", images).between(["gold"], ["platinum", "copper"])
    usual = term_similarity(metals(), "lin").between(["gold"], ["platinum", "copper"])
    assert rare[0, 0] < usual[0, 0]


def test_codes_that_the_ontology_does_not_have_are_like_themselves_only():
    known = term_similarity(metals(), "lin")
    found = known.with_codes(["UF1226", "gold", "UF0870"])
    assert found.terms[-2:] == ("UF0870", "UF1226")
    assert found.between(["UF1226"], ["UF1226", "UF0870", "gold"]).tolist() == [[1, 0, 0]]
    assert np.array_equal(found.between(known.terms, known.terms), known.values)


@pytest.mark.parametrize("k", [0, -0.1, 1.5, float("nan")])
def test_k_out_of_range_is_refused(k):
    with pytest.raises(OntologyError, match="k must lie above 0 and be at most 1, but got"):
        SimSuogLike(k)


def test_unknown_names_are_refused():
    with pytest.raises(OntologyError, match=r"'lim'\. Did you mean 'lin'"):
        term_similarity(metals(), "lim")
    with pytest.raises(OntologyError, match="the measure 'lin' has no settings, but got 'k'"):
        term_similarity(metals(), "lin", k=0.5)
    with pytest.raises(OntologyError, match="'simsuog_like' has the settings k, but got 'K'"):
        term_similarity(metals(), "simsuog_like", K=0.5)
    with pytest.raises(
        OntologyError, match=r"no similarity is known of the code 'golt'\. Did you mean 'gold'"
    ):
        TermSimilarity(("gold",), np.ones((1, 1))).between(["golt"], ["gold"])
