"""Variants that are left out, over every recipe and by hand."""

import pytest
import yaml

from sonoprior.core.errors import RecipeError
from sonoprior.training.recipe_file import as_yaml, load_recipe, recipe_names, take_variant
from tiny import TINY

CURVED = TINY | {
    "study": {
        "baseline": "few",
        "variants": {
            "few": {"split.label_fraction": 0.5},
            "many": {},
            "guided few": {"split.label_fraction": 0.5, "objectives.guidance.weight": 2},
            "guided many": {"objectives.guidance.weight": 2},
            "blob": {"data.priors.control": "blob"},
        },
        "against": {"guided many": "many"},
        "controls": {"blob": "guided many"},
        "shown": ["guided many", "many"],
        "curve": {
            "axis": "share",
            "lines": {"plain": {0.5: "few", 1: "many"}, "guided": {0.5: "guided few", 1: "guided many"}},
            "labels_saved": {"without": "plain", "using": {"guided": "outlines"}},
        },
        "spread": {"axis": "share", "groups": {"plain": {0.5: "few"}, "guided": {1: "guided many"}}},
    },
    "tune": {
        "budget": 2,
        "grid": {"training.learning_rate": [0.1, 0.01]},
        "variants": {"guided many": {"training.learning_rate": [0.3, 0.01]}},
    },
}


@pytest.fixture
def curved(tmp_path):
    path = tmp_path / "curved.yaml"
    path.write_text(yaml.safe_dump(CURVED, sort_keys=False))
    return path


@pytest.mark.parametrize("name", recipe_names())
def test_of_every_recipe_all_can_be_left_out_but_the_baseline(name, tmp_path):
    whole = load_recipe(name)
    others = [variant for variant in whole.study.variants if variant != whole.study.baseline]
    alone = load_recipe(name, without=others)
    assert list(alone.study.variants) == [whole.study.baseline]
    assert alone.study.left_out == tuple(others)
    baseline = whole.study.baseline
    assert take_variant(alone, baseline).decisive() == take_variant(whole, baseline).decisive()
    (tmp_path / "alone.yaml").write_text(as_yaml(alone))
    assert load_recipe(tmp_path / "alone.yaml") == alone


def test_what_speaks_of_a_variant_goes_with_it(curved):
    whole = load_recipe(curved)
    without = load_recipe(curved, without=["guided m?ny", "blob"])
    study = without.study
    assert list(study.variants) == ["few", "many", "guided few"]
    assert study.left_out == ("guided many", "blob")
    assert study.against == study.controls == {}
    assert study.shown == ("many",)
    assert study.curve.lines == {"plain": {0.5: "few", 1: "many"}, "guided": {0.5: "guided few"}}
    assert study.curve.labels_saved is None  # nothing is read off a line with one place
    assert study.spread.groups == {"plain": {0.5: "few"}}
    assert without.tune.variants == {}
    assert without.tune.grid == whole.tune.grid
    saved = load_recipe(curved, without=["blob"]).study.curve.labels_saved
    assert saved == whole.study.curve.labels_saved


def test_it_is_read_again_as_it_was_written_and_more_may_go(curved, tmp_path):
    once = load_recipe(curved, without=["blob"])
    (tmp_path / "once.yaml").write_text(as_yaml(once))
    assert load_recipe(tmp_path / "once.yaml") == once
    twice = load_recipe(tmp_path / "once.yaml", without=["guided *"])
    assert twice.study.left_out == ("blob", "guided few", "guided many")


def test_a_quick_form_leaves_out_what_it_names(tmp_path):
    def written(**quick):
        path = tmp_path / "quick.yaml"
        path.write_text(yaml.safe_dump(CURVED | {"quick": quick}, sort_keys=False))
        return path

    short = load_recipe(written(without=["guided *", "blob"], **{"training.epochs": 1}), quick=True)
    assert short.study.left_out == ("guided few", "guided many", "blob")
    assert load_recipe(
        written(without=["blob"]), quick=True, without=["blob", "guided few"]
    ).study.left_out == (
        "guided few",
        "blob",
    )
    assert load_recipe(written(without=["blob"])).study.left_out == ()
    with pytest.raises(RecipeError, match="none matches 'blub'"):
        load_recipe(written(without=["blub"]))
    with pytest.raises(
        RecipeError, match=r"quick\.without must be a list of names of variants, but got 'blob'"
    ):
        load_recipe(written(without="blob"))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("gided few", r"\(few, many, .*\), but none matches 'gided few'. Did you mean 'guided few'\?"),
        ("few", "the baseline 'few' cannot be left out; name another one first"),
        (
            "many",
            "'guided many' is compared with 'many', which is to be left out; leave out both, or neither",
        ),
        ("guided many", "'blob' is a control of 'guided many', which is to be left out"),
    ],
)
def test_what_cannot_be_left_out_is_said(curved, pattern, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe(curved, without=[pattern])
