"""The hierarchy that a recipe asks for: paths, labels, distances, terms, and what is refused."""

import numpy as np
import pytest
from pydantic import ValidationError

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.core.errors import DataError, OntologyError, RecipeError
from sonoprior.training.hierarchy import read_hierarchy
from sonoprior.training.hierarchy_settings import HierarchySettings, LanguageSettings
from sonoprior.training.knowledge import KnowledgeOfRun
from tiny import VIEWS, write_views

LEVELS = ("view", "meta")


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    return CaseSet.open(write_views(tmp_path_factory.mktemp("views") / "set"))


def made(tmp_path, rows, levels):
    """A case set of blank images with the labels of each row."""
    with CaseSetWriter(tmp_path / "set", DatasetInfo(name="made", levels=levels)) as writer:
        for number, labels in enumerate(rows):
            writer.add(f"c{number}", np.zeros((8, 8), np.uint8), labels=labels)
    return CaseSet.open(tmp_path / "set")


def read(case_set, levels=LEVELS, **settings):
    return read_hierarchy(HierarchySettings(levels=levels, **settings), case_set)


@pytest.mark.parametrize("ontology", [None, "early_pregnancy"])
def test_the_path_of_a_class_is_read_off_the_cases_or_the_ontology(views, ontology):
    hierarchy = read(views, ontology=ontology)
    found = {name: hierarchy.levels.of(name)["meta"] for name in VIEWS}
    assert found == VIEWS
    assert hierarchy.labels("meta").tolist() == views.labels("meta").tolist()


def test_a_level_that_the_set_lacks_comes_from_the_ontology(tmp_path):
    bare = CaseSet.open(write_views(tmp_path / "set", metas=False))
    by_set = read(bare, ontology="early_pregnancy")
    wanted = [list(VIEWS.values())[label] for label in bare.labels("view")]
    assert [by_set.classes["meta"][number] for number in by_set.labels("meta")] == wanted
    by_depth = read(bare, ("view", "above"), ontology="early_pregnancy", depths={"above": 3})
    assert by_depth.labels("above").min() >= 0
    assert len(by_depth.classes["above"]) > 1


def test_without_an_ontology_distance_is_how_far_one_must_climb(views):
    hierarchy = read(views)
    apart, metas = hierarchy.distances("view"), list(VIEWS.values())
    for one in range(5):
        for other in range(5):
            wanted = 0 if one == other else 0.5 if metas[one] == metas[other] else 1
            assert apart[one, other] == wanted
    assert hierarchy.distances("meta").tolist() == (1 - np.eye(3)).tolist()


def test_with_an_ontology_cousins_are_nearer_than_strangers(views):
    apart, metas = read(views, ontology="early_pregnancy").distances("view"), np.array(list(VIEWS.values()))
    cousins = (metas[:, None] == metas) & ~np.eye(5, dtype=bool)
    assert apart[cousins].max() < apart[metas[:, None] != metas].min()
    assert not apart.diagonal().any()


@pytest.mark.parametrize("measure", ["resnik", "lin", "shortest_path"])
def test_every_measure_ends_at_one(views, measure):
    near = read(views, ontology="early_pregnancy", measure=measure).similarity("view")
    assert near.min() >= 0
    assert near.max() <= 1


def test_relations_and_annotations_change_what_is_near(views):
    plain = read(views, ontology="early_pregnancy").terms.values
    for settings in ({"relations": ("seen_in",)}, {"information": "annotations"}):
        assert not np.allclose(read(views, ontology="early_pregnancy", **settings).terms.values, plain)


def test_terms_of_cases_by_kind(views):
    hierarchy = read(views, ontology="early_pregnancy")
    codes, shown = hierarchy.under("finding")
    names = [hierarchy.ontology.terms[code].name for code in codes]
    assert sorted(names) == ["anteverted uterus", "fibroid"]
    assert shown.sum(1).tolist() == [1] * len(views)
    assert shown[1].tolist() == [name == "fibroid" for name in names]


def test_terms_that_the_ontology_does_not_know_stay_what_they_are(tmp_path):
    with CaseSetWriter(tmp_path / "set", DatasetInfo(name="x", levels={"view": list(VIEWS)})) as writer:
        writer.add("a", np.zeros((8, 8), np.uint8), labels={"view": next(iter(VIEWS))}, terms="fibroid;Q9")
        writer.add("b", np.ones((8, 8), np.uint8), labels={"view": next(iter(VIEWS))})
    shown = read(CaseSet.open(tmp_path / "set"), ("view",), ontology="early_pregnancy").shown
    assert "Q9" in shown[0]
    assert shown[1] == ()


def test_a_mirrored_image_shows_the_terms_of_the_other_side(tmp_path):
    right, left = "right tubal interstitial portion", "left tubal interstitial portion"
    info = DatasetInfo(name="x", levels={"view": [left, right, "other"]}, mirror=[(left, right)])
    with CaseSetWriter(tmp_path / "set", info) as writer:
        writer.add("a", np.zeros((8, 8), np.uint8), labels={"view": left}, terms=f"{left};fibroid;Q9")
        writer.add("b", np.ones((8, 8), np.uint8), labels={"view": "other"}, terms="fibroid")
    hierarchy = read(
        CaseSet.open(tmp_path / "set"),
        ("view",),
        ontology="early_pregnancy",
        terms={"other": "longitudinal view of the uterus"},
    )
    found = hierarchy.ontology.find
    terms = KnowledgeOfRun(hierarchy, LanguageSettings()).terms()
    codes = sorted([found(left).id, found(right).id, found("fibroid").id, "Q9"])  # no case shows the right
    assert terms.similarity.shape == (4, 4)
    for mirrored, wanted in ((False, {left, "fibroid", "Q9"}), (True, {right, "fibroid", "Q9"})):
        shown = terms.shown[0][terms.partners] if mirrored else terms.shown[0]
        assert {code for code, there in zip(codes, shown, strict=True) if there} == {
            name if name == "Q9" else found(name).id for name in wanted
        }
    assert terms.shown[1].tolist() == terms.shown[1][terms.partners].tolist()


# What is refused


def test_a_class_that_is_not_in_the_ontology(tmp_path):
    levels = {"view": ["longitudinal view of bladder", "longitudinal view of the uterusses"]}
    case_set = made(tmp_path, [{"view": name} for name in levels["view"]], levels)
    with pytest.raises(OntologyError, match=r"uterusses.*Did you mean 'longitudinal view of the uterus'"):
        read(case_set, ("view",), ontology="early_pregnancy")
    terms = {"longitudinal view of the uterusses": "longitudinal view of the uterus"}
    assert read(case_set, ("view",), ontology="early_pregnancy", terms=terms).similarity("view").shape == (
        2,
        2,
    )


def test_a_leaf_without_a_class_above_or_with_two(tmp_path):
    levels = {"view": ["a", "b"], "meta": ["x", "y"]}
    lone = made(tmp_path / "lone", [{"view": "a", "meta": "x"}, {"view": "b"}], levels)
    with pytest.raises(DataError, match=r"the class 'b' must have one class .* have none"):
        read(lone)
    rows = [{"view": "a", "meta": "x"}, {"view": "a", "meta": "y"}, {"view": "b", "meta": "y"}]
    with pytest.raises(DataError, match=r"the class 'a' must have one class .* have x, y"):
        read(made(tmp_path / "two", rows, levels))


def test_a_level_where_all_share_one_class(tmp_path):
    levels = {"view": ["a", "b"], "meta": ["x", "y"]}
    rows = [{"view": "a", "meta": "x"}, {"view": "b", "meta": "x"}]
    with pytest.raises(DataError, match="must divide the classes of 'view', but all of them share one"):
        read(made(tmp_path, rows, levels))


def test_levels_that_do_not_exist(views):
    with pytest.raises(RecipeError, match=r"must be levels of .* but got 'mata'. Did you mean 'meta'"):
        read(views, ("view", "mata"))
    with pytest.raises(RecipeError, match=r"a class in hierarchy.terms must be one of"):
        read(views, terms={"no view": "x"})
    with pytest.raises(RecipeError, match=r"needs an ontology, but hierarchy.ontology is not set"):
        read(views).similarity("view")
    with pytest.raises(ValidationError, match="levels must be different"):
        HierarchySettings(levels=("view", "view"))
    with pytest.raises(ValidationError, match="depths must name levels above the first"):
        HierarchySettings(levels=("view", "meta"), ontology="x", depths={"view": 1})
    with pytest.raises(ValidationError, match="depths need an ontology"):
        HierarchySettings(levels=("view", "meta"), depths={"meta": 1})
    with pytest.raises(ValidationError, match="measure must be one of"):
        HierarchySettings(levels=("view",), measure="linn")
