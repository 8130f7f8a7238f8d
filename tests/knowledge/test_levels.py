"""Label paths: named sets, depths, inner nodes, and what is ambiguous."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sonoprior.cases.phantom.patient import SITUATIONS
from sonoprior.cases.phantom.views import META, PLANES, VIEWS
from sonoprior.core.errors import OntologyError
from sonoprior.knowledge import Edge, Ontology, Term, read_ontology
from sonoprior.knowledge.levels import levels


def made(*pairs):
    codes = dict.fromkeys(code for pair in pairs for code in reversed(pair))
    return Ontology("small", [Term(code, code) for code in codes], [Edge(a, "is_a", b) for a, b in pairs])


BIRDS = made(
    ("Icteridae", "bird"),
    ("Parulidae", "bird"),
    ("Icterus", "Icteridae"),
    ("Agelaius", "Icteridae"),
    ("Setophaga", "Parulidae"),
    ("orchard oriole", "Icterus"),
    ("hooded oriole", "Icterus"),
    ("red-winged blackbird", "Agelaius"),
    ("palm warbler", "Setophaga"),
)
SPECIES = ["palm warbler", "orchard oriole", "hooded oriole", "red-winged blackbird"]


def test_levels_by_depth():
    found = levels(BIRDS, SPECIES, {"genus": 2, "family": 1}, leaf="species")
    assert found.names == ("species", "genus", "family")
    assert found.classes[1] == ("Icterus", "Agelaius", "Setophaga")
    assert found.classes[2] == ("Icteridae", "Parulidae")
    np.testing.assert_array_equal(found.paths, [[0, 2, 1], [1, 0, 0], [2, 0, 0], [3, 1, 0]])
    assert found.of("hooded oriole") == {
        "species": "hooded oriole",
        "genus": "Icterus",
        "family": "Icteridae",
    }
    with pytest.raises(OntologyError, match="a label must be one of palm warbler"):
        found.of("kiwi")


def test_a_named_set_keeps_its_order_and_its_unused_classes():
    found = levels(BIRDS, SPECIES[:2], {"genus": ["Setophaga", "Agelaius", "Icterus"]})
    assert found.classes[1] == ("Setophaga", "Agelaius", "Icterus")
    np.testing.assert_array_equal(found.paths[:, 1], [0, 2])


@pytest.mark.parametrize(("level", "classes"), [("meta", META), ("plane", PLANES)])
def test_the_levels_of_the_phantom(level, classes):
    graph = read_ontology("early_pregnancy")
    views = [view for view in VIEWS if level == "meta" or view.plane]
    found = levels(graph, [view.name for view in views], {level: classes}, leaf="view")
    for view in views:
        assert found.of(view.name)[level] == (view.meta if level == "meta" else view.plane)


def test_the_disorders_of_the_phantom_have_levels_too():
    graph = read_ontology("early_pregnancy")
    sites = ["normally sited pregnancy", "miscarriage", "molar pregnancy", "ectopic pregnancy"]
    found = levels(graph, [situation.disorder for situation in SITUATIONS], {"site": sites})
    assert found.of("ampullary tubal pregnancy")["site"] == "ectopic pregnancy"
    assert found.of("molar pregnancy")["site"] == "molar pregnancy"


def test_an_inner_node_may_be_a_label_beside_its_children():
    graph = made(("view", "root"), ("sac", "view"), ("embryo", "sac"), ("uterus", "view"))
    found = levels(graph, ["sac", "embryo", "uterus"], {"meta": ["sac", "uterus"]})
    np.testing.assert_array_equal(found.paths[:, 1], [0, 0, 1])


def test_the_nearest_class_of_a_set_counts():
    graph = made(("view", "root"), ("sac", "view"), ("embryo", "sac"), ("uterus", "view"))
    found = levels(graph, ["embryo", "uterus"], {"meta": ["view", "sac"]})
    assert found.of("embryo")["meta"] == "sac"
    assert found.of("uterus")["meta"] == "view"


DIAMOND = made(("left", "root"), ("right", "root"), ("both", "left"), ("both", "right"), ("one", "left"))


@pytest.mark.parametrize("rule", [["left", "right"], 1])
def test_an_ambiguous_path_is_refused_with_both_ways(rule):
    with pytest.raises(
        OntologyError,
        match="the label 'both' must have one class at the level 'meta', but 2 ways lead there: both is_a"
        " left; both is_a right",
    ):
        levels(DIAMOND, ["both", "one"], {"meta": rule})


def test_several_parents_are_no_harm_where_one_class_is_above():
    graph = made(*(("x", "a"), ("x", "b"), ("a", "meta"), ("b", "meta"), ("meta", "r"), ("other", "r")))
    found = levels(graph, ["x", "other"], {"level": ["meta", "other"]})
    assert found.of("x")["level"] == "meta"


def test_ways_of_different_length_to_a_depth_are_ambiguous():
    graph = made(("a", "r"), ("b", "a"), ("x", "b"), ("x", "r"), ("y", "b"))
    with pytest.raises(OntologyError, match="2 ways lead there: x is_a b is_a a; x"):
        levels(graph, ["x", "y"], {"level": 1})


TREES = made(
    ("uterus", "view"),
    ("adnexa", "view"),
    ("fibroid", "finding"),
    ("cyst", "finding"),
    ("left adnexa", "adnexa"),
    ("alone", "alone above"),
)


@pytest.mark.parametrize("depth", [0, 1])
def test_a_depth_below_several_roots_is_refused(depth):
    with pytest.raises(
        OntologyError,
        match="must lie under one root of the ontology 'small', because the level 'meta' is a depth below it,"
        " but they lie under 2: view, finding; name the classes of the level",
    ):
        levels(TREES, ["uterus", "left adnexa", "fibroid"], {"meta": depth})


def test_roots_without_labels_are_no_harm_nor_are_several_where_classes_are_named():
    assert levels(TREES, ["uterus", "left adnexa"], {"meta": 1}).classes[1] == ("uterus", "adnexa")
    by_tree = levels(TREES, ["uterus", "left adnexa", "cyst"], {"tree": ["view", "finding"]})
    np.testing.assert_array_equal(by_tree.paths[:, 1], [0, 0, 1])


def test_a_label_under_two_roots_is_under_both():
    graph = made(("x", "a"), ("x", "b"), ("y", "a"))
    with pytest.raises(OntologyError, match="they lie under 2: a, b"):
        levels(graph, ["x", "y"], {"meta": 1})


def test_a_label_without_a_class_at_some_level_is_refused():
    with pytest.raises(OntologyError, match="the label 'one' must have a class at the level 'meta', but has"):
        levels(DIAMOND, ["one", "right"], {"meta": ["right"]})
    with pytest.raises(OntologyError, match="the label 'left' must have a class at the level 'deep'"):
        levels(DIAMOND, ["left", "one"], {"deep": 2})


def test_a_level_that_all_labels_share_is_refused():
    with pytest.raises(
        OntologyError, match=r"'family' must divide the labels, but all of them share .* Icterid"
    ):
        levels(BIRDS, SPECIES[1:], {"family": 1})
    with pytest.raises(OntologyError, match="the level 'leaf' must divide the labels"):
        levels(BIRDS, SPECIES[:1], {})


def test_unknown_and_repeated_names_are_refused():
    with pytest.raises(OntologyError, match=r"has no term 'palm warblr'\. Did you mean 'palm warbler'"):
        levels(BIRDS, ["palm warblr", "orchard oriole"], {"genus": 2})
    with pytest.raises(
        OntologyError, match="must name every term once, but 'palm warbler' and 'Palm Warbler'"
    ):
        levels(BIRDS, ["palm warbler", "Palm Warbler"], {"genus": 2})
    with pytest.raises(OntologyError, match="two are called 'leaf'"):
        levels(BIRDS, SPECIES, {"leaf": 2})


@pytest.mark.real_data
def test_the_views_of_real_exams_by_the_published_extract():
    root = Path(__file__).parents[2]
    data = Path(os.environ.get("SONOPRIOR_REAL_DATA", root.parent / "shared" / "data")) / "SUOG"
    if not data.is_dir():
        pytest.skip(f"{data} is not there; SONOPRIOR_REAL_DATA names the folder of real data")
    graph = read_ontology(data / "suog_ontology_v3.67.owl")
    metas = ["uterus view", "adnexal view", "magnified view of the gestational sac"]
    written = set(pd.read_csv(data / "exams.csv")["view"].dropna().str.split(";").explode())
    views = [code for code in graph.descendants("FM0038")[1:] if code in written]
    assert any(graph.children(code) for code in views)  # labels that are parents of others
    found = levels(graph, views, {"meta": metas}, leaf="view")
    assert found.of("FM0209")["meta"] == found.of("FM0210")["meta"] == "magnified view of the gestational sac"
    assert found.of("FM0020")["meta"] == "uterus view"
    assert found.of("FM0024")["meta"] == "adnexal view"
