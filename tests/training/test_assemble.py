import numpy as np
import pytest
import torch

from sonoprior.cases import CaseSet
from sonoprior.cases.loading.cache import Cache
from sonoprior.core.errors import DataError, RecipeError
from sonoprior.training.assemble import assemble, guides, usable_priors
from sonoprior.training.recipe_file import load_recipe, take_variant, with_settings
from sonoprior.training.streams import ONLY
from sonoprior.training.task import level_of

CPU = torch.device("cpu")
PARTS = {"train": np.arange(17), "validation": np.arange(17, 25)}


@pytest.fixture(scope="module")
def cache(trained, tmp_path_factory):
    priors = trained.plan.recipe.data.priors
    return Cache.build(trained.case_set, tmp_path_factory.mktemp("cache"), size=32, priors=priors)


@pytest.fixture(scope="module")
def plain(trained):
    return take_variant(trained.plan.recipe, "plain")


def batches_of(training):
    return [views[ONLY] for views in training.streams["labelled"].epoch(0)]


def first_batch(training):
    return batches_of(training)[0]


def test_a_plain_run_has_no_guidance_and_moves_no_priors(trained, plain, cache):
    training, _ = assemble(plain, cache, PARTS, 0, CPU)
    assert list(training.experiment.objectives) == ["classification"]
    assert "prior" not in first_batch(training)
    guided, _ = assemble(trained.plan.recipe, cache, PARTS, 0, CPU)
    assert list(guided.experiment.objectives) == ["classification", "guidance"]
    assert first_batch(guided)["prior"].shape[1] == 1


def test_variants_of_one_seed_start_from_the_same_weights_and_see_the_same_images(trained, plain, cache):
    one, _ = assemble(plain, cache, PARTS, 5, CPU)
    other, _ = assemble(trained.plan.recipe, cache, PARTS, 5, CPU)
    weights = zip(one.network.parameters(), other.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)
    assert torch.equal(first_batch(one)["image"], first_batch(other)["image"])


def test_seeds_differ(plain, cache):
    one, _ = assemble(plain, cache, PARTS, 5, CPU)
    other, _ = assemble(plain, cache, PARTS, 6, CPU)
    assert not torch.equal(next(one.network.parameters()), next(other.network.parameters()))
    assert not torch.equal(first_batch(one)["index"], first_batch(other)["index"])


def test_a_last_batch_of_one_image_is_left_out(plain, cache):
    training, _ = assemble(plain, cache, PARTS, 0, CPU)  # 17 images in batches of 8
    assert [len(batch) for batch in batches_of(training)] == [8, 8]
    eighteen = PARTS | {"train": np.arange(18)}
    training, _ = assemble(plain, cache, eighteen, 0, CPU)
    assert [len(batch) for batch in batches_of(training)] == [8, 8, 2]


def test_validation_is_plain_and_in_order(plain, cache):
    training, _ = assemble(plain, cache, PARTS, 0, CPU)
    batches = list(training.validation.loader.epoch(0))
    assert torch.cat([batch["index"] for batch in batches]).tolist() == PARTS["validation"].tolist()


def test_the_optimiser_has_the_settings_of_the_recipe(trained, cache, tiny_recipe):
    changes = ["training.optimiser=adamw", "training.weight_decay=0.1", "training.betas=[0.8, 0.9]"]
    recipe = load_recipe(tiny_recipe, changes=changes, variant="guided")
    training, _ = assemble(recipe, cache, PARTS, 0, CPU)
    assert isinstance(training.optimiser, torch.optim.AdamW)
    (group,) = training.optimiser.param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.01, 0.1, (0.8, 0.9))
    assert training.schedule.rate(3 * 2 - 1) == pytest.approx(0.01 * (1 / 6) ** 0.9)


def test_class_weights_come_from_the_training_part(cache, tiny_recipe):
    changes = ["objectives.classification.class_weights=balanced"]
    recipe = load_recipe(tiny_recipe, changes=changes, variant="plain")
    uneven = PARTS | {"train": np.array([0, 2, 4, 1])}  # three dark, one bright
    training, _ = assemble(recipe, cache, uneven, 0, CPU)
    assert training.experiment.objectives["classification"].weights.tolist() == [0.5, 1.5]


def test_guidance_without_a_prior_in_the_training_part(trained, cache):
    bare = PARTS | {"train": np.array([1, 2, 4, 5])}
    with pytest.raises(RecipeError, match="prior_guided_attribution needs priors, but"):
        assemble(trained.plan.recipe, cache, bare, 0, CPU)


def without_outlines(case_set) -> CaseSet:
    return CaseSet(case_set.root, case_set.info, case_set.table.drop(columns="outline.disc"))


def test_priors_are_asked_for_only_where_they_guide(trained, plain):
    bare = without_outlines(trained.case_set)
    assert usable_priors(plain, trained.case_set) == plain.data.priors
    assert usable_priors(plain, bare) is None
    with pytest.raises(DataError, match="must have outlines for some case, because the recipe guides"):
        usable_priors(trained.plan.recipe, bare)


def test_who_guides_and_how_attribution_is_measured(trained, plain):
    assert guides(trained.plan.recipe)
    assert not guides(plain)
    assert plain.attribution == plain.objectives["guidance"].settings
    unguided = load_recipe("fetal-simclr").attribution
    assert (unguided.method, unguided.target, unguided.allocation) == ("grad_cam", "predicted", "mean")


def test_what_is_attributed_without_a_label(plain):
    of_logits = {"sum": "sum", "label": "predicted", "predicted": "predicted"}
    for target, attributed in of_logits.items():
        assert with_settings(plain, {"objectives.guidance.target": target}, target).attributed == attributed
    embeds = load_recipe("phantom-pga-olg")
    assert {take_variant(embeds, variant).attributed for variant in embeds.study.variants} == {"sum"}


def test_a_level_with_one_class(trained, plain):
    info = trained.case_set.info.model_copy(update={"levels": {"tone": ["dark"]}})
    with pytest.raises(
        DataError, match=r"the level 'tone' of .* must have at least 2 classes, but it has dark"
    ):
        level_of(plain, CaseSet(trained.case_set.root, info, trained.case_set.table))
