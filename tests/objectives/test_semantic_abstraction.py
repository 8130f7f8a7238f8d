"""The Semantic Abstraction Loss: eqs 3.11 to 3.13 against plain sums, and what it refuses."""

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import normalize

from sonoprior.core.errors import RecipeError
from sonoprior.objectives.embedding_settings import SemanticAbstractionSettings
from sonoprior.objectives.metric_loss_settings import metric_loss_settings
from sonoprior.objectives.metric_losses import METRIC_LOSSES, metric_loss
from sonoprior.objectives.semantic_abstraction import SemanticAbstraction

CLASSES = {"view": 6, "meta": 3, "region": 2}


def labels():
    view = torch.tensor([0, 0, 1, 2, 2, 3, 4, 4, 5, 1])
    return {"view": view, "meta": view // 2, "region": view // 4}


def built(alphas=(1, 0.5, 0.1), classes=CLASSES, **given):
    torch.manual_seed(0)
    settings = SemanticAbstractionSettings(alphas=alphas, dimension=4, **given)
    return SemanticAbstraction(settings, 8, classes).double()


def features(size=10):
    made = torch.randn(size, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return made.requires_grad_()


def mean(term):
    return term.total / term.count.clamp(min=1)


@pytest.mark.parametrize("name", [name for name in METRIC_LOSSES.names() if name not in ("margin", "n_pair")])
def test_it_is_the_weighted_sum_of_the_losses_of_the_levels(name):
    abstraction = built(loss=metric_loss_settings(name))
    term = abstraction(features(), labels())
    wanted = 0
    for level, alpha, projection, loss in zip(
        CLASSES, (1, 0.5, 0.1), abstraction.projections, abstraction.losses, strict=True
    ):
        embedding = normalize(features() @ projection.weight.T + projection.bias)
        wanted += alpha * mean(loss(embedding, labels()[level]))
    torch.testing.assert_close(mean(term), wanted)
    assert term.count == 10
    assert list(term.monitors) == list(CLASSES)


def test_a_level_has_its_own_loss_where_one_is_named():
    abstraction = built(level_losses={"meta": metric_loss_settings("triplet", margin=0.7)})
    named = [type(loss).__name__ for loss in abstraction.losses]
    assert named == ["MultiSimilarity", "Triplet", "MultiSimilarity"]
    embedding = abstraction.embeddings(features())["meta"]
    wanted = metric_loss(metric_loss_settings("triplet", margin=0.7), 3, 4)(embedding, labels()["meta"])
    total, count = abstraction(features(), labels()).monitors["meta"]
    assert total == pytest.approx(wanted.total.item())
    assert count == wanted.count


def test_the_gradient_reaches_the_features_and_every_projection():
    abstraction, given = built(), features()
    abstraction(given, labels()).total.backward()
    assert given.grad.abs().sum() > 0
    assert all(parameter.grad.abs().sum() > 0 for parameter in abstraction.parameters())
    assert torch.autograd.gradcheck(lambda x: mean(abstraction(x, labels())), (features(),))


def test_a_weight_of_zero_is_the_plain_loss():
    plain = built((1,), {"view": 6})
    none = built((1, 0, 0))
    none.projections[0].load_state_dict(plain.projections[0].state_dict())
    found = none(features(), labels())
    torch.testing.assert_close(mean(found), mean(plain(features(), labels())))
    found.total.backward()  # the others stay on the graph, for processes that wait for every gradient
    assert not none.projections[1].weight.grad.any()


def test_unknown_labels_of_a_level_leave_out_that_level_only():
    some = labels()
    some["view"] = some["view"].clone()
    some["view"][:4] = -1
    abstraction = built()
    embeddings = abstraction.embeddings(features())
    wanted = mean(abstraction.losses[0](embeddings["view"][4:], some["view"][4:]))
    wanted = wanted + 0.5 * mean(abstraction.losses[1](embeddings["meta"], some["meta"]))
    wanted = wanted + 0.1 * mean(abstraction.losses[2](embeddings["region"], some["region"]))
    term = abstraction(features(), some)
    torch.testing.assert_close(mean(term), wanted)
    assert term.count == 10


def test_a_batch_with_nothing_to_compare_is_a_zero_on_the_graph():
    for each in (torch.full((10,), -1), torch.zeros(10, dtype=torch.int64)):
        given = features()
        term = built()(given, dict.fromkeys(CLASSES, each))
        assert term.total == 0
        term.total.backward()
        assert not given.grad.any()


def test_inference_is_the_leaf_or_a_concatenation():
    given = features()
    abstraction = built()
    torch.testing.assert_close(abstraction.embed(given), abstraction.embeddings(given)["view"])
    both = built(inference=("view", "region"))
    parts = both.embeddings(given)
    found = both.embed(given)
    assert found.shape == (10, 8)
    wanted = (parts["view"] @ parts["view"].T + parts["region"] @ parts["region"].T) / 2
    torch.testing.assert_close(found @ found.T, wanted)


def test_a_level_that_counts_needs_labels_and_another_does_not():
    some = {"view": labels()["view"], "metta": labels()["meta"]}
    with pytest.raises(RecipeError, match=r"no labels of the level 'meta', but of view, metta. Did you mean"):
        built()(features(), some)
    assert built((1, 0, 0))(features(), some).count == 10


def test_attribution_takes_the_embedding_before_it_is_normalised():
    raw = built().projected(features())["view"]
    torch.testing.assert_close(normalize(raw), built().embed(features()))
    assert not torch.allclose(raw, normalize(raw))


def test_wrong_settings_are_refused():
    with pytest.raises(
        RecipeError, match=r"alphas needs one weight a level, .* \(view, meta, region: 3\), but got 2"
    ):
        built((1, 0.5))
    with pytest.raises(RecipeError, match=r"inference names the level 'mata', .* Did you mean 'meta'"):
        built(inference=("view", "mata"))
    with pytest.raises(RecipeError, match="level_losses names the level 'genus'"):
        built(level_losses={"genus": metric_loss_settings("triplet")})
    with pytest.raises(RecipeError, match="at least 2 classes, but level 'all' has 1"):
        built((1, 1), {"view": 6, "all": 1})
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        built((1, -0.5, 0))
