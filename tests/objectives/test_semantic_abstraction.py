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
    settings = SemanticAbstractionSettings(alphas=alphas, **given)
    return SemanticAbstraction(settings, classes, 4).double()


def raw(size=10):
    """Embeddings of every level, not normalised, as columns of one leaf tensor."""
    made = torch.randn(size, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return made.requires_grad_()


def by_level(columns):
    return {level: columns[:, 4 * at : 4 * at + 4] for at, level in enumerate(CLASSES)}


def mean(term):
    return term.total / term.count.clamp(min=1)


@pytest.mark.parametrize("name", [name for name in METRIC_LOSSES.names() if name not in ("margin", "n_pair")])
def test_it_is_the_weighted_sum_of_the_losses_of_the_levels(name):
    abstraction = built(loss=metric_loss_settings(name))
    term = abstraction(by_level(raw()), labels())
    wanted = 0
    for level, alpha, loss in zip(CLASSES, (1, 0.5, 0.1), abstraction.losses, strict=True):
        wanted += alpha * mean(loss(normalize(by_level(raw())[level]), labels()[level]))
    torch.testing.assert_close(mean(term), wanted)
    assert term.count == 10
    assert list(term.monitors) == list(CLASSES)


def test_a_level_has_its_own_loss_where_one_is_named():
    abstraction = built(level_losses={"meta": metric_loss_settings("triplet", margin=0.7)})
    named = [type(loss).__name__ for loss in abstraction.losses]
    assert named == ["MultiSimilarity", "Triplet", "MultiSimilarity"]
    embedding = normalize(by_level(raw())["meta"])
    wanted = metric_loss(metric_loss_settings("triplet", margin=0.7), 3, 4)(embedding, labels()["meta"])
    total, count = abstraction(by_level(raw()), labels()).monitors["meta"]
    assert total == pytest.approx(wanted.total.item())
    assert count == wanted.count


def test_the_gradient_reaches_every_embedding_and_the_proxies():
    abstraction, given = built(loss=metric_loss_settings("softmax")), raw()
    abstraction(by_level(given), labels()).total.backward()
    assert all(part.abs().sum() > 0 for part in by_level(given.grad).values())
    assert all(parameter.grad.abs().sum() > 0 for parameter in abstraction.parameters())
    smooth = built()
    assert torch.autograd.gradcheck(lambda x: mean(smooth(by_level(x), labels())), (raw(),))


def test_a_weight_of_zero_is_the_plain_loss():
    given = raw()
    plain, none = built((1,), {"view": 6}), built((1, 0, 0))
    found = none(by_level(given), labels())
    torch.testing.assert_close(mean(found), mean(plain(by_level(raw()), labels())))
    found.total.backward()  # the others stay on the graph, for processes that wait for every gradient
    assert not by_level(given.grad)["meta"].any()


def test_unknown_labels_of_a_level_leave_out_that_level_only():
    some = labels()
    some["view"] = some["view"].clone()
    some["view"][:4] = -1
    abstraction = built()
    unit = {level: normalize(of) for level, of in by_level(raw()).items()}
    wanted = mean(abstraction.losses[0](unit["view"][4:], some["view"][4:]))
    wanted = wanted + 0.5 * mean(abstraction.losses[1](unit["meta"], some["meta"]))
    wanted = wanted + 0.1 * mean(abstraction.losses[2](unit["region"], some["region"]))
    term = abstraction(by_level(raw()), some)
    torch.testing.assert_close(mean(term), wanted)
    assert term.count == 10


def test_a_batch_with_nothing_to_compare_is_a_zero_on_the_graph():
    for each in (torch.full((10,), -1), torch.zeros(10, dtype=torch.int64)):
        given = raw()
        term = built()(by_level(given), dict.fromkeys(CLASSES, each))
        assert term.total == 0
        term.total.backward()
        assert not given.grad.any()


def test_a_level_that_counts_needs_labels_and_another_does_not():
    some = {"view": labels()["view"], "metta": labels()["meta"]}
    with pytest.raises(RecipeError, match=r"no labels of the level 'meta', but of view, metta. Did you mean"):
        built()(by_level(raw()), some)
    assert built((1, 0, 0))(by_level(raw()), some).count == 10


def test_wrong_settings_are_refused():
    with pytest.raises(
        RecipeError, match=r"alphas needs one weight a level, .* \(view, meta, region: 3\), but got 2"
    ):
        built((1, 0.5))
    with pytest.raises(RecipeError, match="level_losses names the level 'genus'"):
        built(level_losses={"genus": metric_loss_settings("triplet")})
    with pytest.raises(RecipeError, match="at least 2 classes, but level 'all' has 1"):
        built((1, 1), {"view": 6, "all": 1})
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        built((1, -0.5, 0))
