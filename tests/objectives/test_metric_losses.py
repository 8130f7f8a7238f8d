"""Metric losses: laws over all entries, and each against a slow loop that follows its paper."""

import itertools
import math
import typing

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import normalize

from objective_inputs import batch as batch_of_views
from objective_inputs import context, drawn, objective
from sonoprior.core.errors import RecipeError
from sonoprior.objectives import metric_loss_settings as settings_module
from sonoprior.objectives.base import Output
from sonoprior.objectives.metric_loss_settings import MetricLossSettings, metric_loss_settings
from sonoprior.objectives.metric_losses import METRIC_LOSSES, metric_loss

CLASSES, DIMENSION = 5, 6
VARIANTS = {
    "softmax": {},
    "arcface": {},
    "cosface": {},
    "sphereface": {},
    "contrastive": {},
    "n_pair": {},
    "quadruplet": {},
    "multi_similarity": {},
}
ENTRIES = [
    *VARIANTS.items(),
    *[("triplet", {"selection": name}) for name in ("all", "informative", "semi_hard", "hard")],
    ("triplet", {"selection": "distance_weighted"}),
    ("contrastive", {"sampling": "distance_weighted"}),
    ("multi_similarity", {"epsilon": None}),
    ("margin", {}),
    ("margin", {"sampling": "all"}),
    ("margin", {"learn_beta": True, "per_class": True}),
    ("n_pair", {"normalised": False}),
    ("sphereface", {"normalised": False, "scale": 1.0}),
]
entries = pytest.mark.parametrize(("name", "given"), ENTRIES, ids=str)


def built(name, given):
    torch.manual_seed(3)
    return metric_loss(metric_loss_settings(name, **given), CLASSES, DIMENSION).double()


def batch(size=14, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(size, DIMENSION, generator=generator, dtype=torch.float64)
    return embeddings.requires_grad_(), torch.arange(size) % classes


def value(loss, embeddings, labels, seed=0):
    torch.manual_seed(seed)  # for those that draw
    term = loss(embeddings, labels)
    return term.total / term.count.clamp(min=1)


@pytest.mark.parametrize("type_name", ["metric", "semantic_abstraction"])
@pytest.mark.parametrize("name", ["n_pair", "sphereface"])
def test_a_loss_that_shall_not_normalise_gets_embeddings_as_they_are(type_name, name):
    more = {"alphas": (1, 0)} if type_name == "semantic_abstraction" else {}
    given = context()
    outputs = drawn(given)["only"].outputs.detach()

    def found(factor, *, normalised):
        torch.manual_seed(0)
        one = objective(type_name, given, loss=metric_loss_settings(name, normalised=normalised), **more)
        torch.manual_seed(0)
        return float(one(Output(factor * outputs, heads=given.heads), batch_of_views()).total.detach())

    assert found(1, normalised=True) == pytest.approx(found(3, normalised=True), rel=1e-5)
    assert found(1, normalised=False) != pytest.approx(found(3, normalised=False), rel=1e-2)


def test_every_entry_has_settings_and_laws():
    named = {
        model.model_fields["name"].default
        for model in typing.get_args(typing.get_args(MetricLossSettings)[0])
    }
    assert named == set(METRIC_LOSSES.names()) == {name for name, _ in ENTRIES}


@entries
def test_finite_with_a_gradient_for_the_cases_and_the_parameters(name, given):
    loss = built(name, given)
    embeddings, labels = batch()
    found = value(loss, embeddings, labels)
    assert found.shape == ()
    assert torch.isfinite(found)
    assert found > 0
    found.backward()
    for tensor in [embeddings, *loss.parameters()]:
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0


@entries
def test_a_step_along_the_gradient_lowers_the_loss(name, given):
    loss = built(name, given)
    embeddings, labels = batch()
    before = value(loss, embeddings, labels)
    (gradient,) = torch.autograd.grad(before, embeddings)
    assert value(loss, embeddings - 1e-7 * gradient / gradient.norm(), labels) < before


@entries
def test_unknown_labels_change_nothing_whatever_they_hold(name, given):
    loss = built(name, given)
    embeddings, labels = batch()
    wanted = value(loss, embeddings, labels)
    strangers = torch.full((2, DIMENSION), torch.nan, dtype=torch.float64)
    more = torch.cat([strangers[:1], embeddings[:5], strangers[1:], embeddings[5:]])
    unknown = torch.tensor([-1])
    torch.testing.assert_close(
        value(loss, more, torch.cat([unknown, labels[:5], unknown, labels[5:]])), wanted
    )


@entries
def test_the_order_of_the_batch_changes_nothing(name, given):
    loss = built(name, given)
    embeddings, labels = batch()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))
    runs, tolerance = (400, 0.03) if loss.draws else (1, 1e-9)
    means = [
        torch.stack([value(loss, rows, names, seed) for seed in range(runs)]).mean()
        for rows, names in [(embeddings, labels), (embeddings[order], labels[order])]
    ]
    torch.testing.assert_close(means[0], means[1], rtol=tolerance, atol=0)


@entries
def test_embeddings_are_compared_by_direction_unless_said_otherwise(name, given):
    loss = built(name, given)
    embeddings, labels = batch()
    same = torch.isclose(value(loss, 3 * embeddings, labels), value(loss, embeddings, labels))
    assert same == given.get("normalised", True)


@entries
@pytest.mark.parametrize("labels", [[-1, -1, -1], []], ids=["unknown", "empty"])
def test_nothing_to_compare_is_a_zero_on_the_graph(name, given, labels):
    loss = built(name, given)
    embeddings = torch.full((len(labels), DIMENSION), torch.inf, dtype=torch.float64, requires_grad=True)
    term = loss(embeddings, torch.tensor(labels, dtype=torch.int64))
    assert term.total == 0
    assert term.count == 0
    term.total.backward()
    for tensor in [embeddings, *loss.parameters()]:
        assert not tensor.grad.any()


@entries
@pytest.mark.parametrize("size", [1, 6])
def test_one_class_only_gives_zero_or_a_comparison_with_proxies(name, given, size):
    loss = built(name, given)
    embeddings, _ = batch(size)
    term = loss(embeddings, torch.full((size,), 2))
    assert (term.total > 0) == loss.has_proxies
    term.total.backward()


@entries
def test_a_case_of_each_class_and_identical_cases_stay_finite(name, given):
    loss = built(name, given)
    embeddings, _ = batch(CLASSES)
    alike = torch.ones(6, DIMENSION, dtype=torch.float64, requires_grad=True)
    for rows, labels in [(embeddings, torch.arange(CLASSES)), (alike, torch.arange(6) % 3)]:
        term = loss(rows, labels)
        assert torch.isfinite(term.total)
        term.total.backward()
        assert torch.isfinite(rows.grad).all()


@entries
def test_half_precision_is_compared_in_single(name, given):
    loss = built(name, given).float()
    embeddings, labels = batch()
    half = embeddings.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = value(loss, half, labels)
    torch.testing.assert_close(found, value(loss, half.float(), labels))
    assert all(parameter.dtype == torch.float32 for parameter in loss.parameters())
    assert loss(half, labels.fill_(-1)).total == 0


def test_a_case_on_its_proxy_has_a_gradient():
    for name in ("arcface", "cosface", "sphereface", "softmax"):
        loss = built(name, {}).float()
        embeddings = loss.loss.W.detach().T.clone().requires_grad_()
        loss(embeddings, torch.arange(CLASSES)).total.backward()
        assert torch.isfinite(embeddings.grad).all()


# Slow loops, one a paper.


def unit(embeddings):
    return normalize(embeddings.detach())


def logits_loss(rows):
    """Mean over cases of log sum exp(logits) minus the logit of the label."""
    return sum(math.log(sum(map(math.exp, row))) - row[label] for row, label in rows) / len(rows)


def test_softmax():
    loss = built("softmax", {"temperature": 0.1})
    embeddings, labels = batch()
    proxies = normalize(loss.loss.W.detach().T)
    rows = [
        ([float(x @ w) / 0.1 for w in proxies], int(y)) for x, y in zip(unit(embeddings), labels, strict=True)
    ]
    assert value(loss, embeddings, labels).item() == pytest.approx(logits_loss(rows))


def arc(cosine, margin=0.5):
    angle = math.acos(cosine)
    if angle + margin > math.pi:
        return cosine - margin * math.sin(margin)
    return math.cos(angle + margin)


def sphere(cosine, margin=4):
    angle = math.acos(cosine)
    k = math.floor(angle * margin / math.pi)
    return (-1) ** k * math.cos(margin * angle) - 2 * k


@pytest.mark.parametrize(
    ("name", "given", "changed", "scale"),
    [
        ("arcface", {"margin": 0.5, "scale": 8}, arc, 8),
        ("cosface", {"margin": 0.35, "scale": 8}, lambda cosine: cosine - 0.35, 8),
        ("sphereface", {"margin": 4, "scale": 3}, sphere, 3),
        ("sphereface", {"margin": 3, "scale": 3}, lambda cosine: sphere(cosine, 3), 3),
        ("sphereface", {"margin": 4, "scale": 1, "normalised": False}, sphere, 1),
    ],
)
def test_margins_on_angles(name, given, changed, scale):
    loss = built(name, given)
    embeddings, labels = batch(40)
    proxies = normalize(loss.loss.W.detach().T)
    rows = []
    for raw, x, y in zip(embeddings.detach(), unit(embeddings), labels.tolist(), strict=True):
        cosines = [float(x @ w) for w in proxies]
        cosines[y] = changed(cosines[y])
        norm = 1 if given.get("normalised", True) else float(raw.norm())
        rows.append(([scale * norm * cosine for cosine in cosines], y))
    assert value(loss, embeddings, labels).item() == pytest.approx(logits_loss(rows), rel=1e-5)


def test_arcface_beyond_pi():
    loss = built("arcface", {"margin": 0.5, "scale": 8})
    embeddings = -loss.loss.W.detach().T.clone()  # opposite to its own proxy
    proxies = normalize(loss.loss.W.detach().T)
    rows = []
    for x, y in zip(unit(embeddings), range(CLASSES), strict=True):
        cosines = [float(x @ w) for w in proxies]
        cosines[y] = -1 - 0.5 * math.sin(0.5)
        rows.append(([8 * cosine for cosine in cosines], y))
    assert value(loss, embeddings, torch.arange(CLASSES)).item() == pytest.approx(logits_loss(rows), rel=1e-4)


def distance(x, y):
    return float((x - y).norm())


def test_contrastive():
    embeddings, labels = batch()
    x = unit(embeddings)
    sides = {True: [], False: []}
    for i, j in itertools.permutations(range(len(x)), 2):
        same = bool(labels[i] == labels[j])
        apart = distance(x[i], x[j])
        sides[same].append(apart**2 if same else max(1.3 - apart, 0) ** 2)
    wanted = sum(sum(side) / len(side) for side in sides.values())
    assert value(built("contrastive", {"margin": 1.3}), embeddings, labels).item() == pytest.approx(wanted)


def triplets(x, labels):
    """(anchor, positive, negative) and their squared distances."""
    for a, p, n in itertools.permutations(range(len(x)), 3):
        if labels[a] == labels[p] != labels[n]:
            yield (a, p, n), distance(x[a], x[p]) ** 2, distance(x[a], x[n]) ** 2


@pytest.mark.parametrize("selection", ["all", "informative", "semi_hard", "hard"])
def test_triplet(selection):
    embeddings, labels = batch()
    margin, losses, hardest = 0.4, [], {}
    for (anchor, _, _), near, far in triplets(unit(embeddings), labels):
        violation = max(near - far + margin, 0)
        hardest[anchor] = max(hardest.get(anchor, 0), violation)
        if selection == "semi_hard" and not near < far <= near + margin:
            continue
        if selection == "informative" and not violation:
            continue
        losses.append(violation)
    if selection == "hard":
        losses = list(hardest.values())
    loss = built("triplet", {"margin": margin, "selection": selection})
    assert value(loss, embeddings, labels).item() == pytest.approx(sum(losses) / len(losses))
    assert loss(embeddings, labels).count == len(losses)


@pytest.mark.parametrize("normalised", [True, False])
def test_n_pair(normalised):
    # With two cases a class the drawn pair of a class is one of two: (a, p) or (p, a).
    embeddings, labels = batch(6, classes=3)
    x = unit(embeddings) if normalised else embeddings.detach()
    possible = []
    for flips in itertools.product([0, 1], repeat=3):
        anchors = [x[c + 3 * flip] for c, flip in enumerate(flips)]
        positives = [x[c + 3 * (1 - flip)] for c, flip in enumerate(flips)]
        each = [
            math.log(1 + sum(math.exp(a @ positives[j] - a @ positives[i]) for j in range(3) if j != i))
            for i, a in enumerate(anchors)
        ]
        possible.append(sum(each) / 3)
    loss = built("n_pair", {"normalised": normalised})
    found = {round(value(loss, embeddings, labels, seed).item(), 9) for seed in range(100)}
    assert found == {round(each, 9) for each in possible}


def test_quadruplet():
    embeddings, labels = batch(12)
    x = unit(embeddings)
    relative = [max(near - far + 0.4, 0) for _, near, far in triplets(x, labels)]
    absolute = []
    for i, j, other, k in itertools.permutations(range(len(x)), 4):
        if labels[i] == labels[j] and len({int(labels[each]) for each in (i, other, k)}) == 3:
            absolute.append(max(distance(x[i], x[j]) ** 2 - distance(x[other], x[k]) ** 2 + 0.2, 0))
    wanted = sum(sum(part) / sum(each > 0 for each in part) for part in (relative, absolute))
    loss = built("quadruplet", {"margin": 0.4, "other_margin": 0.2})
    assert value(loss, embeddings, labels).item() == pytest.approx(wanted)


def test_margin_over_all_triplets():
    embeddings, labels = batch()
    total, informative = 0.0, 0
    for _, near, far in triplets(unit(embeddings), labels):
        for y, apart in [(1, math.sqrt(near)), (-1, math.sqrt(far))]:
            pair = max(0.2 + y * (apart - 1.1), 0)
            total, informative = total + pair, informative + (pair > 0)
    loss = built("margin", {"sampling": "all", "beta": 1.1})
    assert value(loss, embeddings, labels).item() == pytest.approx(total / informative)


def test_margin_with_a_beta_a_class():
    embeddings, labels = batch()
    loss = built("margin", {"learn_beta": True, "per_class": True, "sampling": "all"})
    with torch.no_grad():
        loss.loss.beta.copy_(torch.tensor([0.9, 1.0, 1.1, 1.2, 1.3]))
    total, informative = 0.0, 0
    for (anchor, _, _), near, far in triplets(unit(embeddings), labels):
        beta = 0.9 + 0.1 * int(labels[anchor])
        for y, apart in [(1, math.sqrt(near)), (-1, math.sqrt(far))]:
            pair = max(0.2 + y * (apart - beta), 0)
            total, informative = total + pair, informative + (pair > 0)
    assert value(loss, embeddings, labels).item() == pytest.approx(total / informative)


DRAWN = {
    "margin": {"sampling": "distance_weighted"},
    "triplet": {"selection": "distance_weighted"},
    "contrastive": {"sampling": "distance_weighted"},
}


def chances(x, labels, anchor, cutoff=0.5, farthest=1.4):
    """Section 4.1: the chance of a negative at distance d is proportional to 1 / q(d), cut off below."""
    dimension, weights = x.shape[1], {}
    for n in range(len(x)):
        apart = max(distance(x[anchor], x[n]), cutoff)
        if labels[n] != labels[anchor] and apart < farthest:
            density = apart ** (dimension - 2) * (1 - apart**2 / 4) ** ((dimension - 3) / 2)
            weights[n] = 1 / density
    return {n: weight / sum(weights.values()) for n, weight in weights.items()}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("limits", [{}, {"cutoff": 0.9, "farthest": 1.3}], ids=str)
def test_distance_weighted_sampling_draws_by_the_inverse_density(name, limits):
    angles = torch.tensor([0.0, 0.05, 0.4, 0.8, 1.2, 1.4, 2.5], dtype=torch.float64)
    x = torch.zeros(7, 8, dtype=torch.float64)
    x[:, 0], x[:, 1] = angles.cos(), angles.sin()
    labels = torch.tensor([0, 0, 1, 1, 1, 1, 1])
    wanted = chances(x, labels, 0, **limits)
    miner = built(name, DRAWN[name] | limits).miner
    torch.manual_seed(0)
    drawn = torch.zeros(7)
    for _ in range(1500):
        anchor, _, negative = miner(x, labels)
        drawn += torch.bincount(negative[anchor == 0], minlength=7)
    for n in range(7):
        assert drawn[n] / drawn.sum() == pytest.approx(wanted.get(n, 0), abs=0.02)


@pytest.mark.parametrize(("name", "margin"), [("triplet", 0.4), ("contrastive", 1.3)])
def test_what_is_drawn_by_distance_is_averaged(name, margin):
    """The mean over many draws is the one that the chances foretell: so many triplets for each anchor as its
    class has cases, with any positive, and a negative by its chance."""
    embeddings, labels = batch()
    x, share, loss = unit(embeddings), 0.0, 0.0
    for a in range(len(x)):
        positives = [p for p in range(len(x)) if p != a and labels[p] == labels[a]]
        negatives = chances(x, labels, a)
        many = (len(positives) + 1) / len(positives)
        share += (len(positives) + 1) * bool(negatives)
        for p, (n, chance) in itertools.product(positives, negatives.items()):
            near, far = distance(x[a], x[p]), distance(x[a], x[n])
            of = near**2 + max(margin - far, 0) ** 2
            if name == "triplet":
                of = max(near**2 - far**2 + margin, 0)
            loss += many * chance * of
    drawn = built(name, DRAWN[name] | {"margin": margin})
    found = torch.stack([value(drawn, embeddings, labels, seed) for seed in range(600)]).mean()
    assert found.item() == pytest.approx(loss / share, rel=0.02)


@pytest.mark.parametrize("epsilon", [None, 0.1])
def test_multi_similarity(epsilon):
    embeddings, labels = batch()
    x, total = unit(embeddings), 0.0
    for i in range(len(x)):
        positive = [float(x[i] @ x[k]) for k in range(len(x)) if k != i and labels[k] == labels[i]]
        negative = [float(x[i] @ x[k]) for k in range(len(x)) if labels[k] != labels[i]]
        if epsilon is not None:
            kept = [each for each in positive if each - epsilon < max(negative)]
            negative = [each for each in negative if each + epsilon > min(positive)]
            positive = kept
        total += math.log(1 + sum(math.exp(-2 * (each - 0.5)) for each in positive)) / 2
        total += math.log(1 + sum(math.exp(50 * (each - 0.5)) for each in negative)) / 50
    loss = built("multi_similarity", {"epsilon": epsilon})
    assert value(loss, embeddings, labels).item() == pytest.approx(total / len(x))


# Bad input.


def test_shapes_and_labels_are_checked():
    loss = built("softmax", {})
    embeddings, labels = batch()
    with pytest.raises(
        RecipeError, match=r"embeddings or logits \(B, D\) and labels \(B,\), but got \(14, 6\) and \(13,\)"
    ):
        loss(embeddings, labels[:-1])
    with pytest.raises(RecipeError, match="below the 5 classes of the loss, but got 7"):
        loss(embeddings, labels.clamp(min=1) * 0 + 7)
    with pytest.raises(RecipeError, match="below the 5 classes of the loss, but got 7"):
        built("margin", {})(embeddings, labels + 4)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("tripplet", {}, "name: .*'softmax', 'contrastive'.*tripplet"),
        ("triplet", {"margin": -1}, "triplet.margin: .*greater than 0, but got -1"),
        ("triplet", {"marign": 1}, "triplet.marign: Extra inputs"),
        ("sphereface", {"margin": 1.5}, "sphereface.margin: .*integer.*1.5"),
        ("margin", {"per_class": True}, "per_class needs learn_beta"),
    ],
)
def test_settings_that_cannot_be_used_are_named(name, given, message):
    with pytest.raises(RecipeError, match=message):
        metric_loss_settings(name, **given)


def test_settings_are_frozen_and_parameters_belong_to_the_loss():
    settings = settings_module.TripletSettings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.margin = 2
    assert {name for name, _ in ENTRIES if list(built(name, {}).parameters())} == {
        "softmax",
        "arcface",
        "cosface",
        "sphereface",
    }
    for loss in (built("softmax", {}), built("margin", {"learn_beta": True})):
        (parameter,) = loss.parameters()
        assert isinstance(parameter, nn.Parameter)
