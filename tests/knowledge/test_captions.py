"""Captions: no holes, any alphabet, and templates that are checked before they are used."""

from itertools import product

import pytest

from sonoprior.cases.phantom.views import META, VIEWS
from sonoprior.core.errors import OntologyError
from sonoprior.knowledge import Edge, Ontology, Term, read_ontology
from sonoprior.knowledge.captions import Captions, by_kind, class_captions
from sonoprior.knowledge.levels import levels

RICH = [
    "a photo of a {leaf} from the genus {genus} and the {family} family",
    "a photo of a {leaf} from the {family} family",
    "a photo of a {leaf}",
]


def test_missing_levels_leave_no_holes():
    captions = Captions(RICH, ["leaf", "genus", "family"])
    for leaf, genus, family in product(["orchard oriole", None], ["Icterus", None, ""], ["Icteridae", None]):
        caption = captions.fill({"leaf": leaf, "genus": genus, "family": family})
        if leaf is None:
            assert caption is None
            continue
        assert "{" not in caption
        assert "  " not in caption
        assert "None" not in caption
        assert caption.endswith(("family", "orchard oriole"))
        assert ("Icteridae" in caption) == (family is not None)
        assert ("Icterus" in caption) == bool(genus and family)


def test_several_words_are_listed():
    captions = Captions(["{view}, showing {shown}", "{view}"], ["view", "shown"])
    assert captions.fill({"view": "a view", "shown": ["sac"]}) == "a view, showing sac"
    shown = captions.fill({"view": "a view", "shown": ["sac", "embryo", "", "yolk sac"]})
    assert shown == "a view, showing sac, embryo and yolk sac"
    assert captions.fill({"view": "a view", "shown": []}) == "a view"
    assert captions.fill({"view": "a view", "shown": [""]}) == "a view"
    assert captions.fill({}) is None


def test_other_alphabets_and_other_lists():
    japanese = Captions(["{断面}に{所見}が見える"], ["断面", "所見"], last="と", between="、")
    assert (
        japanese.fill({"断面": "矢状断", "所見": ["胎嚢", "卵黄嚢", "胎芽"]})
        == "矢状断に胎嚢、卵黄嚢と胎芽が見える"
    )
    greek = Captions(["τομή: {leaf}"], ["leaf"])
    assert greek.fill({"leaf": "μήτρα"}) == "τομή: μήτρα"
    arabic = Captions(["صورة {leaf}"], ["leaf"])
    assert arabic.fill({"leaf": "الرحم"}) == "صورة الرحم"


def test_words_are_never_read_as_templates_and_names_may_hold_signs():
    captions = Captions(["{a.b} {{x}}"], ["a.b"])
    assert captions.fill({"a.b": "{leaf}"}) == "{leaf} {x}"


@pytest.mark.parametrize(
    ("templates", "message"),
    [
        ([], "captions need a list of at least one template"),
        ("a {leaf}", "captions need a list of at least one template, but got 'a {leaf}'"),
        (["a photo"], "must use at least one of leaf in braces"),
        (["a {laef}"], r"a name in the template 'a \{laef\}' must be one of leaf.* Did you mean 'leaf'"),
        (["a {}"], "must be one of leaf, but got ''"),
        (["a {leaf.__class__}"], "must be one of leaf, but got 'leaf.__class__'"),
        (["a {leaf!r}"], "must hold plain names in braces"),
        (["a {leaf:>10}"], "must hold plain names in braces"),
        (["a {leaf"], "is damaged: "),
    ],
)
def test_templates_are_checked_before_they_are_used(templates, message):
    with pytest.raises(OntologyError, match=message):
        Captions(templates, ["leaf"])


@pytest.fixture(scope="module")
def views():
    graph = read_ontology("early_pregnancy")
    return levels(graph, [view.name for view in VIEWS], {"meta": META}, leaf="view")


def test_every_class_of_every_level_has_a_caption(views):
    captions = class_captions(
        views, {"view": ["{view} from the {meta}"], "meta": ["an {meta} in early pregnancy"]}
    )
    assert captions["view"] == [f"{view.name} from the {view.meta}" for view in VIEWS]
    assert captions["meta"] == [f"an {meta} in early pregnancy" for meta in META]
    assert class_captions(views, {}) == {"view": [view.name for view in VIEWS], "meta": list(META)}


def test_a_class_says_of_what_is_above_it_only_what_holds_for_all_its_labels():
    pairs = [("a", "g1"), ("b", "g1"), ("c", "g2"), ("g1", "f1"), ("g2", "f2"), ("f1", "r"), ("f2", "r")]
    codes = dict.fromkeys(code for pair in pairs for code in pair)
    graph = Ontology("x", [Term(code, code) for code in codes], [Edge(a, "is_a", b) for a, b in pairs])
    found = levels(graph, ["a", "b", "c"], {"family": 1, "genus": ["g1", "g2"]})
    captions = class_captions(found, {"family": ["{family} of {genus}"], "genus": ["{genus}"]})
    assert captions["family"] == ["f1 of g1", "f2 of g2"]
    wide = levels(graph, ["a", "b", "c"], {"halves": ["r", "a"], "family": 1})
    with pytest.raises(
        OntologyError, match="no template of the level 'halves' can be filled for 'r'; end them"
    ):
        class_captions(wide, {"halves": ["{halves} of {family}"]})


def test_templates_of_unknown_levels_and_of_levels_below_are_refused(views):
    with pytest.raises(
        OntologyError, match="a level with templates must be one of view, meta, but got 'veiw'"
    ):
        class_captions(views, {"veiw": ["{veiw}"]})
    with pytest.raises(OntologyError, match="must be one of meta, but got 'view'"):
        class_captions(views, {"meta": ["{meta} with {view}"]})


def test_terms_are_sorted_by_kind_and_unknown_codes_are_kept():
    graph = read_ontology("early_pregnancy")
    terms = [
        "oblique view of the uterus",
        "UF0999",
        "fibroid",
        "ENDOMETRIUM",
        "transvaginal route",
        "molar pregnancy",
    ]
    kinds = {"view": "ultrasound view", "shown": "anatomical structure", "findings": "finding"}
    words = by_kind(graph, terms, {**kinds, "disorder": "disorder"})
    assert words == {
        "view": ["oblique view of the uterus"],
        "shown": ["endometrium"],
        "findings": ["fibroid"],
        "disorder": ["molar pregnancy"],
        "other": ["UF0999", "transvaginal route"],
    }
    captions = Captions(["{view} showing {shown}; {disorder}, {findings}."], list(words))
    assert captions.fill(words) == "oblique view of the uterus showing endometrium; molar pregnancy, fibroid."


def test_a_kind_must_be_a_term_and_not_take_the_name_of_the_rest():
    graph = read_ontology("early_pregnancy")
    with pytest.raises(OntologyError, match=r"has no term 'findng'\. Did you mean 'finding'"):
        by_kind(graph, [], {"findings": "findng"})
    with pytest.raises(OntologyError, match="a kind must not be called 'other'"):
        by_kind(graph, [], {"other": "finding"})
