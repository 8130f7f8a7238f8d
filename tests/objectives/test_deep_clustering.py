"""Deep clustering: both forms against slow loops, in closed form, and where a cluster is empty."""

import itertools
import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from sonoprior.core.errors import RecipeError
from sonoprior.objectives.base import averaged
from sonoprior.objectives.cluster_sizes import dirichlet, negative_entropy
from sonoprior.objectives.clustering_settings import DeepClusteringSettings
from sonoprior.objectives.deep_clustering import DeepClustering

SETTINGS = TypeAdapter(DeepClusteringSettings)
OPTIONS = [
    {"size": size, "size_weight": weight}
    for size, weight in itertools.product(
        [{"name": "entropy"}, {"name": "dirichlet"}, {"name": "dirichlet", "alpha": 3.0}], [0, 0.5, 10]
    )
]


def clustering(**given):
    return DeepClustering(SETTINGS.validate_python(given))


def logits(images=9, clusters=4, seed=0, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(images, clusters, generator=generator, dtype=torch.float64)
    return (spread * drawn).requires_grad_()


def probabilities(rows):
    exponentials = [[math.exp(each) for each in row] for row in rows.tolist()]
    return [[each / sum(row) for each in row] for row in exponentials]


def column(matrix, k):
    return [row[k] for row in matrix]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def slow(first, second, size, size_weight):
    """Eqs 1 to 7, entry by entry: the parts, and the loss."""
    tilde, hat = probabilities(first), probabilities(second)
    count = len(tilde[0])
    partition = 0.0
    for j in range(count):
        attention = [math.exp(cosine(column(hat, j), column(tilde, k))) for k in range(count)]
        partition -= math.log(attention[j] / sum(attention)) / count
    sums = [sum(column(tilde, k)) for k in range(count)]
    shares = [each / sum(sums) for each in sums]
    if size["name"] == "entropy":
        wanted = math.log(count) + sum(z * math.log(z) for z in shares)
    else:
        alpha = size.get("alpha", 1.1)
        wanted = -sum((alpha - 1) * math.log(z) for z in shares) / math.log(count)
    return {
        "partition": partition,
        "size": wanted,
        "largest_share": max(shares),
        "smallest_share": min(shares),
        "loss": partition + size_weight * wanted,
    }


def values(term):
    found = {name: total / count for name, (total, count) in term.monitors.items()}
    return found | {"loss": averaged(term).item()}


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_every_option_is_its_slow_loop(given):
    first, second = logits(), logits(seed=1)
    assert values(clustering(**given)(first, second)) == pytest.approx(slow(first, second, **given))


@pytest.mark.parametrize("given", OPTIONS[1::3], ids=str)
def test_the_gradient_is_that_of_finite_differences(given):
    loss = clustering(**given)
    assert torch.autograd.gradcheck(lambda *views: loss(*views).total, (logits(5, 3), logits(5, 3, seed=1)))


def test_the_defaults_are_lsd_with_the_weight_of_the_source():
    prior = {"name": "dirichlet", "alpha": 1.1}
    assert DeepClusteringSettings().model_dump() == {"stream": "unlabelled", "size": prior, "size_weight": 2}


@pytest.mark.parametrize("clusters", [2, 7])
def test_uniform_assignments_in_closed_form(clusters):
    same = torch.zeros(6, clusters)
    entropy = values(clustering(size={"name": "entropy"})(same, same))
    assert entropy["partition"] == pytest.approx(math.log(clusters))
    assert entropy["size"] == pytest.approx(0, abs=1e-6)
    prior = values(clustering(size={"name": "dirichlet", "alpha": 1.25})(same, same))
    assert prior["size"] == pytest.approx(0.25 * clusters)
    assert prior["largest_share"] == pytest.approx(1 / clusters)


def test_one_hot_assignments_in_closed_form():
    """Five images in clusters of 3, 1 and 1: the floor is not 0; exchanged clusters lie above it."""
    hot = 200.0 * torch.eye(3)[[0, 0, 0, 1, 2]]
    found = values(clustering(size={"name": "entropy"})(hot, hot))
    assert found["partition"] == pytest.approx(math.log(1 + 2 / math.e))
    assert found["size"] == pytest.approx(math.log(3) + 0.6 * math.log(0.6) + 0.4 * math.log(0.2))
    assert (found["largest_share"], found["smallest_share"]) == pytest.approx((0.6, 0.2))
    exchanged = values(clustering()(hot, hot.roll(1, dims=1)))
    assert exchanged["partition"] > math.log(3) > found["partition"]


def test_equal_shares_are_the_minimum_of_both_sizes_and_pull_alike_at_one_alpha():
    """The second difference at equal shares, along a direction that keeps their sum."""
    step = 1e-3 * torch.tensor([1, -1, 0.5, -0.5, 0], dtype=torch.float64)
    shares = torch.full((5,), 0.2, dtype=torch.float64)
    alpha = 1 + math.log(5) / 5
    bends = []
    for term in (negative_entropy, lambda log: dirichlet(log, alpha)):
        below, middle, above = (term((shares + move).log()).item() for move in (-step, 0 * step, step))
        assert min(below, above) > middle
        bends.append(below - 2 * middle + above)
    assert bends[0] == pytest.approx(bends[1], rel=1e-3)


@pytest.mark.parametrize("gap", [80.0, 300.0])
def test_a_cluster_that_rounds_to_nobody_keeps_its_exact_value(gap):
    """exp(-300) is 0 in single precision; the loop has it in double."""
    away = torch.tensor([0, 0, 0, -gap], dtype=torch.float64)
    first, second = logits().detach() + away, logits(seed=1).detach() + away
    for name in ("entropy", "dirichlet"):
        given = {"size": {"name": name}, "size_weight": 2}
        found = values(clustering(**given)(first.float(), second.float()))
        assert found == pytest.approx(slow(first, second, **given), rel=1e-5)


@pytest.mark.parametrize("size", ["entropy", "dirichlet"])
def test_an_empty_cluster_is_finite_and_the_prior_fills_it(size):
    x = (torch.tensor([0, 0, -1e4]) + 0.1 * logits(clusters=3).detach()).float().requires_grad_()
    term = clustering(size={"name": size})(x, x)
    (gradient,) = torch.autograd.grad(averaged(term), x)
    assert term.total.isfinite()
    assert gradient.isfinite().all()
    if size == "dirichlet":
        assert gradient[:, 2].sum() < -0.05
        assert values(term)["size"] > 500


def test_the_sizes_are_those_of_the_first_view():
    one, even = torch.tensor([[50.0, 0]] * 4), 50 * torch.eye(2).repeat(2, 1)
    loss = clustering(size={"name": "entropy"})
    assert values(loss(one, even))["size"] == pytest.approx(math.log(2))
    assert values(loss(even, one))["size"] == pytest.approx(0, abs=1e-6)


def heaps(net, size, weight):
    """Three heaps of 20 images in three directions, of which a linear layer is to make clusters."""
    generator, truth = torch.Generator().manual_seed(3), torch.arange(60) % 3
    with torch.no_grad():
        net.weight.copy_(0.1 * torch.randn(3, 3, generator=generator))
        net.bias.copy_(torch.tensor([1.0, 0, 0]))
    loss = clustering(size=size, size_weight=weight)
    for _ in range(50):
        views = [
            net(3 * torch.eye(3)[truth] + 0.5 * torch.randn(60, 3, generator=generator)) for _ in range(2)
        ]
        gradients = torch.autograd.grad(averaged(loss(*views)), list(net.parameters()))
        with torch.no_grad():
            for each, gradient in zip(net.parameters(), gradients, strict=True):
                each.sub_(3 * gradient)
    return set(net(3 * torch.eye(3)).argmax(1).tolist())


def test_heaps_are_found_without_a_label_and_two_share_a_cluster_where_sizes_do_not_count():
    net = torch.nn.Linear(3, 3)
    assert heaps(net, {"name": "entropy"}, 2) == {0, 1, 2}
    assert heaps(net, {"name": "dirichlet"}, 2) == {0, 1, 2}
    assert len(heaps(net, {"name": "entropy"}, 0)) == 2


def test_over_batches_it_is_the_mean_of_their_losses_by_images():
    loss = clustering()
    views = [(logits(9), logits(9, seed=1)), (logits(4, seed=2), logits(4, seed=3)), (logits(0), logits(0))]
    terms = [loss(*each) for each in views]
    together = sum(term.total for term in terms) / sum(term.count for term in terms)
    wanted = sum(share * averaged(term) for share, term in zip((9 / 13, 4 / 13), terms, strict=False))
    torch.testing.assert_close(together, wanted)


def test_no_image_is_a_zero_on_the_graph_and_one_has_nothing_to_part():
    nobody = logits(0)
    term = clustering()(nobody, logits(0, seed=1))
    term.total.backward()
    assert (term.total.item(), term.count.item(), term.monitors) == (0, 0, {})
    assert nobody.grad.shape == (0, 4)
    one = logits(1)
    term = clustering(size_weight=0)(one, logits(1, seed=1))
    assert averaged(term).item() == pytest.approx(math.log(4))
    assert torch.autograd.grad(term.total, one)[0].abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype):
    half = [logits(seed=seed).detach().to(dtype) for seed in (0, 1)]
    with torch.autocast("cpu", torch.bfloat16):
        found = clustering()(*half).total
    torch.testing.assert_close(found, clustering()(*(each.float() for each in half)).total)


def test_what_is_not_finite_stays_visible():
    broken = logits().detach()
    broken[2, 1] = torch.nan
    assert clustering()(broken, logits()).total.isnan()


def test_bad_input_is_refused():
    with pytest.raises(RecipeError, match=r"two views of the same images, but got \(9, 4\) and \(9, 3\)"):
        clustering()(logits(), logits(clusters=3))
    with pytest.raises(RecipeError, match=r"but got \(4,\) and \(4,\)"):
        clustering()(torch.zeros(4), torch.zeros(4))
    with pytest.raises(RecipeError, match="at least 2 clusters, but got 1"):
        clustering()(torch.zeros(4, 1), torch.zeros(4, 1))
    for size in ({"name": "dirichlet", "alpha": 1}, {"name": "entropy", "alpha": 2}, {"name": "uniform"}):
        with pytest.raises(ValidationError, match="size"):
            clustering(size=size)
    with pytest.raises(ValidationError, match="weight"):
        clustering(size_weight=-1)
