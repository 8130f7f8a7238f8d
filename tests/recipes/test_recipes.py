"""Every recipe that comes with the project: what it says, and that every variant of it trains."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recipe_sets import (
    made_abdomens,
    made_birds,
    made_exams,
    made_faces,
    made_lesions,
    made_organs,
    made_scans,
    made_views,
)
from sonoprior.attribution.diagnosis import diagnose
from sonoprior.cases.loading.cache import Cache
from sonoprior.models import ModelSpec, build_network
from sonoprior.models.catalogue import tap_path
from sonoprior.training.assemble import assemble, guides, usable_priors
from sonoprior.training.parts import case_groups, plan_parts
from sonoprior.training.pretraining import pretraining_parts
from sonoprior.training.recipe import LABELLED, Recipe
from sonoprior.training.recipe_file import (
    load_recipe,
    pretraining_recipe,
    recipe_names,
    take_variant,
    with_settings,
)

CPU = torch.device("cpu")
FOLDER = Path(load_recipe.__code__.co_filename).parents[1] / "recipes"
SETS = {
    "abdomen": made_abdomens,
    "fetal": made_scans,
    "labels": made_lesions,
    "busi": made_lesions,
    "cub": made_birds,
    "phantom": made_exams,
    "views": made_views,
    "raf": made_faces,
    "several": made_organs,
}
# Two wide images a batch from the smallest sets; duplicates are searched for elsewhere.
SMALL = {"training.batch_size": 4, "training.threads": 1, "split.keep_duplicates_together": False}
# A metric loss needs two classes in a batch, with two cases each.
OF_CLASSES = {"training.batch_size": 8, "training.cases_per_class": 2}
NAMES = recipe_names()
GUIDED = [name for name in NAMES if load_recipe(name).guidance is not None]
ENDPOINTS = {
    "abdomen-clustering": "weighted_f1",
    "abdomen-labels": "weighted_f1",
    "abdomen-pseudo-labels": "weighted_f1",
    "busi-pga": "balanced_accuracy",
    "fetal-pretraining": "macro_f1",
    "fetal-simclr": "macro_f1",
    "fetal-simclr-brain": "macro_f1",
    "labels-saved": "balanced_accuracy",
    "labels-saved-several": "weighted_f1",
    "phantom-disorder": "recall@1.disorder",
}
OF_VIEWS = ("sal", "olg", "pga-olg", "text-encoders", "hierarchy")
SECONDARY = {f"phantom-{name}": ("recall@1.meta",) for name in OF_VIEWS}
# Exams of a few frames, so that a batch is had of the smallest set.
OF_STREAMS = {"streams.unlabelled.batch_size": 12, "streams.unlabelled.frames_per_exam": 3}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The case set of each family of recipes, made when it is first asked for, and a folder for caches."""
    made = {}

    def of(recipe: str):
        family = family_of(recipe)
        if family not in made:
            made[family] = SETS[family](tmp_path_factory.mktemp(family) / "set")
        return made[family]

    return SimpleNamespace(of=of, caches=tmp_path_factory.mktemp("caches"))


def family_of(recipe: str) -> str:
    """Which set a recipe trains on.

    Where views are compared it has more patients, or the rare ones are missing.
    """
    family = recipe.partition("-")[0]
    if family == "labels" and load_recipe(recipe).data.several:
        return "several"
    return "views" if family == "phantom" and load_recipe(recipe).model.embedding else family


def head(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text().partition("\nformat:")[0]


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_says_what_it_asks_and_what_it_takes(name, quick):
    recipe = load_recipe(name, quick=quick)
    assert recipe.study.question.endswith("?")
    assert recipe.about
    usual = f"recall@1.{recipe.data.level}" if recipe.model.embedding else "accuracy"
    assert recipe.study.primary == ENDPOINTS.get(name, usual)
    assert recipe.training.monitor == recipe.study.primary
    assert recipe.study.secondary == SECONDARY.get(name, ())
    said = head(name)
    assert f"sonoprior study {name} --quick" in said
    assert all(line.startswith("#") for line in said.splitlines())
    assert "hour" in said or "night" in said or "day" in said
    if recipe.tune is not None:
        assert f"sonoprior tune  {name} " in said
    elif name != "busi-pga-published":
        assert "Nothing is tuned" in said


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_form_with_another_network_does_not_claim_the_full_ones(name):
    full, quick = load_recipe(name), load_recipe(name, quick=True)
    other = (full.model.backbone, full.data.size) != (quick.model.backbone, quick.data.size)
    assert not other or ("very small" in quick.about and "very small" not in full.about)
    assert ("very small" in quick.about) == quick.model.backbone.startswith("test_")


@pytest.mark.parametrize("name", GUIDED)
def test_alpha_belongs_to_a_form_that_is_said(name):
    guidance = load_recipe(name).guidance
    assert guidance is not None
    form = {"correlation": "correlation form", "sum": "sum form"}[guidance.settings.reduction]
    assert form in head(name)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", GUIDED)
def test_the_baseline_is_plain_and_every_comparison_is_guided_against_plain(name, quick):
    recipe = load_recipe(name, quick=quick)
    study = recipe.study
    variants = {variant: take_variant(recipe, variant) for variant in study.variants}
    assert not guides(variants[study.baseline])
    for variant, settings in variants.items():
        other = variants[study.compared_with(variant)]
        if guides(settings):
            assert not guides(other)
            assert settings.model.backbone == other.model.backbone
            assert settings.split == other.split
            assert settings.training == other.training
    for control, controlled in study.controls.items():
        assert guides(variants[control])
        assert guides(variants[controlled])
        assert study.compared_with(control) == study.compared_with(controlled)
    controls = {variant for variant, one in variants.items() if one.data.priors.control != "none"}
    assert controls <= set(study.controls)


@pytest.mark.parametrize("name", [name for name in NAMES if load_recipe(name).tune is not None])
def test_every_variant_has_the_same_budget_and_spends_all_of_its_grid(name):
    recipe = load_recipe(name)
    assert recipe.tune is not None
    for variant in recipe.study.variants:
        tried = recipe.tune.tried(variant)
        assert len(tried) == recipe.tune.budget == recipe.tune.offered(variant)
        for settings in tried:
            with_settings(recipe, settings, variant)


def set_in_the_head(name: str) -> list[str]:
    """What the head of a recipe says that can be set, but for what its reader is to put in."""
    said = re.findall(r"--set ([^\s']+=[^\s']*[^\s',])", head(name))
    return [change for change in said if not change.partition("=")[2].isupper()]


@pytest.mark.parametrize("name", [name for name in NAMES if set_in_the_head(name)])
def test_what_the_head_sets_can_be_set(name):
    recipe = load_recipe(name, changes=set_in_the_head(name))
    assert recipe.content() != load_recipe(name).content()


def test_abdomen_labels_can_be_trained_as_published_pretraining_included():
    recipe = load_recipe("abdomen-labels", changes=set_in_the_head("abdomen-labels"))
    later = take_variant(recipe, "two-heads-clustering-10")
    before = pretraining_recipe(later, "clustering")
    assert later.training.epochs * (later.training.steps_per_epoch or 0) == 5000
    assert (before.training.epochs, before.training.learning_rate) == (100, 1e-4)
    for stream in (before.streams["unlabelled"], later.streams["unlabelled"]):
        assert stream.batch_size == 16 * stream.frames_per_exam


@pytest.mark.parametrize("weights", ["", "clustering-", "imagenet-"])
def test_two_heads_are_compared_with_one_at_every_amount_and_from_the_same_weights(weights):
    recipe = load_recipe("abdomen-labels")
    for amount in (10, 20, 50, 100):
        one, two = f"one-head-{weights}{amount}", f"two-heads-{weights}{amount}"
        assert recipe.study.compared_with(two) == one
        settings = [take_variant(recipe, name) for name in (one, two)]
        assert len({each.model.weights for each in settings}) == 1
        assert len({each.split.label_fraction for each in settings}) == 1


@pytest.mark.parametrize("name", ["abdomen-labels", "fetal-simclr", "fetal-simclr-brain"])
def test_one_setting_gives_weights_to_every_row_that_begins_with_given_ones(name):
    usual, changed = load_recipe(name), load_recipe(name, changes=["model.given=file.safetensors"])
    rows = {variant: begun_with(usual, variant) for variant in usual.study.variants}
    assert {variant for variant, weights in rows.items() if weights == "hub"} == {
        variant for variant in rows if "given" in variant or "imagenet" in variant
    }
    swapped = {"hub": "file.safetensors"}
    for variant, weights in rows.items():
        assert begun_with(changed, variant) == swapped.get(weights, weights)


def begun_with(recipe: Recipe, variant: str) -> str:
    """The weights that a variant begins with, or that the run before it does."""
    settings = take_variant(recipe, variant)
    before = settings.pretrained_with
    return (pretraining_recipe(settings, before) if before else settings).model.weights


# Published numbers


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    "name",
    ["labels-saved", "labels-saved-several", "abdomen-labels", "fetal-simclr", "abdomen-clustering"],
)
def test_frames_that_are_not_in_the_set_may_be_read(name, quick):
    recipe = load_recipe(name, changes=["streams.unlabelled.cases=elsewhere"], quick=quick)
    for variant in recipe.study.variants:
        stream = take_variant(recipe, variant).streams["unlabelled"]
        assert stream.cases == (None if stream.read == "labelled" else Path("elsewhere"))


def tables(name: str, table: str):
    return [one for one in load_recipe(name).published if one.table == table]


@pytest.mark.parametrize("name", NAMES)
def test_published_numbers_say_where_they_come_from(name):
    recipe = load_recipe(name)
    for table in recipe.published:
        assert table.about
        assert table.alpha
        assert table.weights
        assert table.split
        for row in table.rows:
            assert row["value"] is None or isinstance(row["value"], int | float)
    own = {"phantom-confounder", "phantom-disorder", "phantom-hierarchy", "phantom-pga-olg"}
    own |= {"fetal-pretraining", "fetal-simclr", "fetal-simclr-brain"}
    own |= {"abdomen-pseudo-labels", "labels-saved", "labels-saved-several"}
    assert recipe.published or name in own


@pytest.mark.parametrize("name", ["busi-pga", "busi-pga-published"])
def test_table_2_8_is_the_mean_of_its_folds(name):
    (table,) = tables(name, "2.8")
    for row in table.rows:
        folds = [row[f"fold{number}"] for number in range(1, 6)]
        assert np.mean(folds) == pytest.approx(row["value"], abs=0.02)  # each is rounded


def test_the_gains_are_those_that_the_text_names():
    def gain(name: str, table: str, variant: str) -> list[float]:
        found = [{row.get("variant"): row["value"] for row in one.rows} for one in tables(name, table)]
        base = load_recipe(name).study.compared_with(variant)
        return [round(rows[variant] - rows[base], 2) for rows in found]

    assert gain("phantom-sal", "3.4", "margin-0.1")[0] == 2.71  # the text says 2.69
    assert gain("phantom-sal", "3.4", "margin-0.5")[1] == 2.72
    assert gain("phantom-sal", "3.4", "clip-0.5")[0] == 2.34
    assert gain("phantom-sal", "3.4", "multi_similarity-0.1")[0] == 0.50
    assert gain("phantom-olg", "3.7", "elg") == [0.17, -0.28]
    assert gain("phantom-olg", "3.7", "sal-elg") == [0.33, 0.43]
    assert gain("cub-olg", "3.5", "olg-0.5") == [4.33]
    assert gain("cub-sal", "3.2", "clip-both") == [2.02]
    assert gain("phantom-pga", "2.9", "three-zones-5") == [4.77]
    assert gain("phantom-pga", "2.9", "only-interior-10") == [4.10]
    assert gain("phantom-pga", "2.9", "all-zones-5") == [3.30]
    for name, guided, mean in (
        ("phantom-ablation", "guided", "grad-input-mean"),
        ("raf-ablation", "guided", "grad-input-mean"),
    ):
        assert gain(name, "2.3", guided) == [1.46]
        assert gain(name, "2.3", "c-quarter") == [1.15]
        assert gain(name, "2.3", mean) == [0.98]
    assert gain("raf-precision", "2.5", "all-landmarks") == [1.24]
    assert gain("raf-grouping", "2.6", "independent-first-51") == [1.02]
    assert gain("raf-grouping", "2.6", "grouped-first-51") == [0.68]
    assert gain("raf-grouping", "2.6", "grouped-first-4") == [0.19]
    assert gain("phantom-ablation", "2.6", "three-first-3") == [0.19]
    assert gain("raf-resnet50", "2.7, RAF-DB", "guided") == [0.94]  # the text says 0.96
    assert gain("raf-resnet50", "2.7, AffectNet", "guided") == [3.69]


def test_tables_of_two_recipes_are_the_same():
    for one, other, table in [
        ("busi-pga", "busi-pga-published", "2.8"),
        ("raf-ablation", "phantom-ablation", "2.2"),
        ("raf-ablation", "phantom-ablation", "2.3"),
        ("raf-grouping", "phantom-ablation", "2.6"),
        ("raf-small-labels", "phantom-small-labels", "figure 2.10"),
    ]:
        values = [
            [[row["value"] for row in found.rows] for found in tables(name, table)] for name in (one, other)
        ]
        assert values[0] == values[1]


# Training


def small(name: str) -> dict[str, object]:
    recipe = load_recipe(name)
    return SMALL | (OF_STREAMS if recipe.streams else OF_CLASSES if recipe.model.embedding else {})


def step(recipe: Recipe, case_set, caches) -> None:
    """Assemble the first fold of a recipe, and take one step on one batch; first of what it begins with."""
    if recipe.pretrained_with is not None:
        before = pretraining_recipe(recipe, recipe.pretrained_with)
        step(with_settings(before, OF_STREAMS | {"model.weights": "none"}, recipe.name), case_set, caches)
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"weights": "none"})})
    groups = case_groups(recipe.split, case_set)
    parts = plan_parts(
        recipe.split,
        recipe.data,
        case_set,
        groups,
        classifies=recipe.classifies,
        streams=bool(recipe.streams),
    )[0]
    priors = usable_priors(recipe, case_set)
    cache = Cache.build(case_set, caches, size=recipe.data.size, priors=priors)
    if LABELLED not in recipe.streams_read and recipe.model.clusters is None:
        parts = pretraining_parts(parts)
    training, _ = assemble(recipe, cache, parts, 0, CPU)
    batches = {name: next(iter(stream.epoch(0))) for name, stream in training.streams.items()}
    if guides(recipe):
        labelled = training.streams["labelled"].epoch(0)
        batches["labelled"] = next(one for one in labelled if one["only"].present["prior"].any())
    outcome = training.experiment(batches)
    outcome.loss.backward()
    training.optimiser.step()
    assert torch.isfinite(outcome.loss)
    assert list(batches) == recipe.streams_read
    assert ("guidance" in outcome.terms) == guides(recipe)


@pytest.mark.filterwarnings("ignore::sonoprior.objectives.prior_guided_attribution.GuidanceWarning")
@pytest.mark.parametrize("name", NAMES)
def test_every_variant_of_the_quick_form_trains(name, sets):
    recipe = with_settings(load_recipe(name, quick=True), small(name), name)
    for variant in recipe.study.variants:
        step(take_variant(recipe, variant), sets.of(name), sets.caches)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sonoprior.objectives.prior_guided_attribution.GuidanceWarning")
@pytest.mark.parametrize("name", NAMES)
def test_every_variant_of_the_full_form_trains(name, sets):
    recipe = with_settings(load_recipe(name), small(name) | {"data.size": 64, "model.weights": "none"}, name)
    variants = [take_variant(recipe, variant) for variant in recipe.study.variants]
    # A step of a VGG16 takes ten seconds, and the quick form has tried what its variants differ in.
    heavy = [settings for settings in variants if settings.model.backbone == "vgg16"]
    for settings in variants:
        if settings not in heavy or settings == heavy[1]:
            step(settings, sets.of(name), sets.caches)


def places(name: str) -> set[tuple[str, str]]:
    """Backbone and tap of every variant of the full form."""
    recipe = load_recipe(name)
    specs = [take_variant(recipe, variant).model for variant in recipe.study.variants]
    return {(spec.backbone, spec.tap) for spec in specs}


def test_every_tap_of_every_recipe_exists():
    with torch.device("meta"):  # names without weights
        for backbone, taps in _by_backbone(set().union(*(places(name) for name in NAMES))).items():
            network, _ = build_network(ModelSpec(backbone=backbone, tap="last"), 8, 112)
            assert all(tap_path(network.backbone, tap) for tap in taps)


def _by_backbone(pairs: set[tuple[str, str]]) -> dict[str, list[str]]:
    return {one: [tap for backbone, tap in pairs if backbone == one] for one, _ in pairs}


@pytest.mark.parametrize(
    "backbone",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in {"vgg16", "resnet50"} else [])
        for name, _ in sorted(places("phantom-architectures"))
    ],
)
def test_every_architecture_can_be_guided_at_its_default_tap(backbone):
    network, tap = build_network(ModelSpec(backbone=backbone, tap="default"), 8, 64)
    found = diagnose(network, tap, torch.rand(2, 1, 64, 64))
    assert found.guided, found.reason
    assert not found.warnings("grad_input")
    assert found.size == (4, 4)


def test_a_recipe_for_faces_runs_on_every_form_of_the_set(tmp_path):
    for form in ("aligned", "cropped-aligned", "in-the-wild"):
        case_set = made_faces(tmp_path / form, form)
        recipe = with_settings(load_recipe("raf-precision", quick=True), SMALL, form)
        for variant in ("bbox", "all-landmarks"):
            step(take_variant(recipe, variant), case_set, tmp_path / "caches")


# The command


CHANGES = ["training.epochs=1", "training.batch_size=8", "training.threads=1", "study.seeds=1"]


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        *("busi-pga", "phantom-confounder", "phantom-small-labels", "phantom-architectures"),
        *("raf-precision", "phantom-sal", "phantom-pga-olg", "phantom-disorder", "cub-olg"),
    ],
)
def test_the_quick_form_runs_from_the_command_to_the_page(name, sets, tmp_path):
    from sonoprior.cli.main import main

    case_set, out = sets.of(name), tmp_path / "study"
    settings = [part for change in CHANGES for part in ("--set", change)]
    with pytest.raises(SystemExit) as ended:
        main(["study", name, "--quick", "--data", str(case_set.root), "--out", str(out), *settings])
    assert ended.value.code == 0
    page = (out / "report.html").read_text()
    assert load_recipe(name).study.question.split()[0] in page
    assert (out / "results.csv").is_file()
