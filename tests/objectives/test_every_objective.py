"""Laws that hold for every objective that a recipe may name; a new one is held to them once registered."""

import pytest
import torch

from asking import AsksNothing
from objective_inputs import batches, context, drawn, objective
from sonoprior.attribution import guided
from sonoprior.objectives import OBJECTIVES
from sonoprior.objectives.base import ViewsObjective
from sonoprior.objectives.settings import SETTINGS
from sonoprior.training.experiment import Experiment
from sonoprior.training.recipe import ObjectiveEntry, stream_of

SEVERAL = {"multi_label_cross_entropy", "two_head_cross_entropy", "fixmatch_one_head", "fixmatch_two_heads"}
SMALL = {"hidden": 16}
GIVEN = {
    "semantic_abstraction": {"alphas": (1, 0.5)},
    "language_guidance": {"weights": (1, 0.5)},
    "fixmatch": {"threshold": 0.2},
    "fixmatch_one_head": {"threshold": 0.3},
    "fixmatch_two_heads": {"threshold": 0.2, "learner": "both"},
    "byol": SMALL | {"projection": 8},
    "vicreg": SMALL | {"projection": 8},
    "dino": SMALL | {"bottleneck": 8, "prototypes": 12},
}
"""Settings without which an objective does not start, or has nothing to do on random outputs."""
SUMS = {
    "cross_entropy",
    "hierarchical_cross_entropy",
    "soft_labels",
    "multi_label_cross_entropy",
    "fixmatch",
    "fixmatch_one_head",
    "fixmatch_two_heads",
}
"""Those that compare no case with another, so that their terms add up over any parts of a batch."""

every_objective = pytest.mark.parametrize("name", OBJECTIVES.names())


def made(name):
    given = context(several=name in SEVERAL)
    return objective(name, given, **GIVEN.get(name, {})), given


def apply(one, outputs, given):
    views = given[one.stream]
    if isinstance(one, ViewsObjective):
        return one(outputs, views)
    return one(outputs["only"], views["only"])


@every_objective
def test_its_settings_say_which_stream_it_reads(name):
    one, _ = made(name)
    entry = ObjectiveEntry.model_validate({"type": name} | GIVEN.get(name, {}))
    assert stream_of(entry) == one.stream
    if "stream" in SETTINGS[name].model_fields:
        given = context(several=name in SEVERAL)
        assert objective(name, given, **GIVEN.get(name, {}), stream="other").stream == "other"


@every_objective
def test_it_is_read_from_a_recipe_as_it_was_written(name):
    entry = ObjectiveEntry.model_validate({"type": name, "weight": 0.25} | GIVEN.get(name, {}))
    again = ObjectiveEntry.model_validate(entry.model_dump(mode="json"))
    assert again == entry
    assert again.weight == 0.25  # a setting of the same name would take its place


@every_objective
def test_its_term_is_finite_and_teaches_the_network(name):
    one, given = made(name)
    experiment = Experiment(given.network, {"one": (1.0, one)}, given.heads)
    outcome = experiment(batches(several=name in SEVERAL))
    outcome.loss.backward()
    assert outcome.loss.isfinite()
    assert outcome.terms["one"].count > 0
    gradients = [each.grad for each in given.network.parameters() if each.grad is not None]
    assert all(each.isfinite().all() for each in gradients)
    assert any(each.any() for each in gradients)
    untaught = [key for key, each in one.named_parameters() if each.requires_grad and each.grad is None]
    assert not untaught


@every_objective
def test_a_step_with_it_asks_nothing_if_it_may_be_recorded(name, monkeypatch):
    one, given = made(name)
    if not one.recordable:
        return
    monkeypatch.setattr(guided, "_answers_at_once", lambda tensor: False)  # as on a GPU
    experiment = Experiment(given.network, {"one": (1.0, one)}, given.heads)
    with AsksNothing():
        experiment(batches(several=name in SEVERAL)).loss.backward()


@every_objective
def test_its_term_in_bfloat16_is_nearly_that_in_single_precision(name):
    losses = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        one, given = made(name)
        outcome = Experiment(given.network, {"one": (1.0, one)}, given.heads, precision)(
            batches(several=name in SEVERAL)
        )
        outcome.loss.backward()
        gradients = [each.grad for each in given.network.parameters() if each.grad is not None]
        assert all(each.isfinite().all() for each in gradients)
        losses.append(outcome.loss.detach())
    assert losses[0].dtype == losses[1].dtype
    torch.testing.assert_close(losses[1], losses[0], rtol=0.05, atol=0.02)


@every_objective
def test_no_case_is_a_zero_on_the_graph(name):
    one, given = made(name)
    outputs = drawn(given, size=0)
    term = apply(one, outputs, batches(0, several=name in SEVERAL))
    term.total.backward()
    assert (term.total.item(), term.count.item()) == (0, 0)
    taught = set(getattr(one, "views", ["only"])) - getattr(one, "without_gradient", set())
    assert all(outputs[view].outputs.grad is not None for view in taught)


@pytest.mark.parametrize("name", sorted(SUMS))
def test_terms_of_parts_add_up_to_that_of_the_whole(name):
    def term(rows):
        one, given = made(name)
        outputs, whole = drawn(given), batches(several=name in SEVERAL)
        for view, output in outputs.items():
            outputs[view] = type(output)(output.outputs[rows], heads=output.heads)
            batch = whole[one.stream][view]
            batch.fields = {field: of[rows] for field, of in batch.fields.items()}
        return apply(one, outputs, whole)

    whole, parts = term(slice(0, 8)), [term(slice(0, 3)), term(slice(3, 8))]
    assert whole.total > 0
    torch.testing.assert_close(whole.total, parts[0].total + parts[1].total)
    torch.testing.assert_close(whole.count, parts[0].count + parts[1].count)


@every_objective
def test_no_weight_is_kept_or_trained_twice(name):
    one, given = made(name)
    experiment = Experiment(given.network, {"one": (1.0, one)}, given.heads)
    places = [of.data_ptr() for of in experiment.state_dict().values() if of.numel()]
    assert len(set(places)) == len(places)
    own = {id(each) for each in one.parameters() if each.requires_grad}
    assert not own & {id(each) for each in given.network.parameters()}
