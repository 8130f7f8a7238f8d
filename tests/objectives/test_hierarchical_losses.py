"""Losses that know the hierarchy: margins, paths, soft labels and sub-spaces, each against a slow loop."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from sonoprior.core.errors import RecipeError
from sonoprior.objectives.embedding_settings import (
    HierarchicalCrossEntropySettings,
    HierarchicalTripletSettings,
    SoftLabelSettings,
    SubspaceSettings,
)
from sonoprior.objectives.hierarchical_cross_entropy import HierarchicalCrossEntropy
from sonoprior.objectives.hierarchical_triplet import HierarchicalTriplet
from sonoprior.objectives.metric_loss_settings import metric_loss_settings
from sonoprior.objectives.metric_losses import METRIC_LOSSES
from sonoprior.objectives.soft_labels import SoftLabels
from sonoprior.objectives.subspaces import Subspaces, parts_of

# Five leaves, three groups, two branches.
PATHS = torch.tensor([[0, 0, 0], [1, 0, 0], [2, 1, 0], [3, 2, 1], [4, 2, 1]])
HEIGHTS = [[next((h for h in range(3) if PATHS[a, h] == PATHS[b, h]), 3) for b in range(5)] for a in range(5)]
DISTANCES = torch.tensor(HEIGHTS, dtype=torch.float64) / 3
LABELS = torch.tensor([0, 1, 2, 3, 4, 0, 3, 1])


def rows(width=5, size=8, seed=0):
    made = torch.randn(size, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.requires_grad_()


def mean(term):
    return term.total / term.count.clamp(min=1)


LOSSES = {
    "triplet": lambda: HierarchicalTriplet(HierarchicalTripletSettings(), DISTANCES),
    "cross-entropy": lambda: HierarchicalCrossEntropy(HierarchicalCrossEntropySettings(alpha=0.4), PATHS),
    "soft labels": lambda: SoftLabels(SoftLabelSettings(beta=4), DISTANCES),
    "sub-spaces": lambda: Subspaces(SubspaceSettings(), PATHS[:, 1].tolist(), 5),
}
every = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES.keys())


@every
def test_finite_with_the_gradient_of_finite_differences(make):
    loss = make().double()
    assert mean(loss(rows(), LABELS)) > 0
    assert torch.autograd.gradcheck(lambda x: loss(x, LABELS).total, (rows(),))


@every
def test_the_order_and_unknown_labels_change_nothing(make):
    loss, x = make().double(), rows()
    wanted = mean(loss(x, LABELS))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(mean(loss(x[order], LABELS[order])), wanted)
    more = torch.cat([x, torch.full((1, 5), torch.nan)])
    torch.testing.assert_close(mean(loss(more, torch.cat([LABELS, torch.tensor([-1])]))), wanted)


@every
def test_nothing_known_is_a_zero_on_the_graph(make):
    x, loss = rows(), make().double()
    term = loss(x, torch.full((8,), -1))
    assert term.total == term.count == 0
    term.total.backward()
    assert not x.grad.any()


@every
def test_labels_beyond_the_classes_are_refused(make):
    with pytest.raises(RecipeError, match="below the 5 classes of the loss, but got 5"):
        make()(rows(), LABELS + 1)


# The hierarchical triplet loss.


def test_hierarchical_triplet_is_its_loop():
    x = normalize(rows())
    total, informative = 0.0, 0
    for a, p, n in itertools.permutations(range(8), 3):
        if LABELS[a] == LABELS[p] != LABELS[n]:
            margin = 0.1 + 0.5 * HEIGHTS[LABELS[a]][LABELS[n]] / 3
            one = max(((x[a] - x[p]).norm() ** 2 - (x[a] - x[n]).norm() ** 2 + margin).item(), 0) / 2
            total, informative = total + one, informative + (one > 0)
    term = LOSSES["triplet"]()(rows(), LABELS)
    assert mean(term).item() == pytest.approx(total / informative)
    assert term.count == informative


def test_a_distant_class_is_pushed_farther():
    loss = LOSSES["triplet"]()
    x = torch.eye(3, dtype=torch.float64)
    cousin, stranger = (mean(loss(x, torch.tensor([0, 0, other]))) for other in (1, 3))
    assert stranger > cousin


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (torch.ones(2, 3), r"square matrix, but got \(2, 3\)"),
        (torch.tensor([[0.0, -1], [1, 0]]), "finite and at least 0"),
        (torch.tensor([[0.0, torch.nan], [1, 0]]), "finite and at least 0"),
        (torch.eye(2), "at distance 0 from itself"),
    ],
)
@pytest.mark.parametrize("made", [HierarchicalTriplet, SoftLabels])
def test_distances_are_checked(made, distances, message):
    settings = HierarchicalTripletSettings() if made is HierarchicalTriplet else SoftLabelSettings()
    with pytest.raises(RecipeError, match=message):
        made(settings, distances)


# Hierarchical cross-entropy.


def test_hierarchical_cross_entropy_is_its_loop():
    logits = rows()
    total = 0.0
    for row, label in zip(logits, LABELS.tolist(), strict=True):
        p = row.softmax(0).tolist()
        inside = [
            sum(p[leaf] for leaf in range(5) if PATHS[leaf, level] == PATHS[label, level])
            for level in range(3)
        ]
        for level, (own, above) in enumerate(itertools.pairwise([*inside, 1.0])):
            total -= math.exp(-0.4 * (2 - level)) * math.log(own / above)
    term = LOSSES["cross-entropy"]()(logits, LABELS)
    assert term.total.item() == pytest.approx(total)
    assert term.count == 8


def test_alpha_zero_and_one_level_are_the_plain_cross_entropy():
    logits = rows()
    plain = cross_entropy(logits, LABELS)
    for alpha, paths in [(0, PATHS), (0.7, PATHS[:, :1])]:
        loss = HierarchicalCrossEntropy(HierarchicalCrossEntropySettings(alpha=alpha), paths)
        torch.testing.assert_close(mean(loss(logits, LABELS)), plain)


def test_a_cousin_costs_less_than_a_stranger():
    sure_of = 8 * torch.eye(5, dtype=torch.float64)
    for name in ("cross-entropy", "soft labels"):
        loss = LOSSES[name]()
        cousin, stranger = (loss(sure_of[[said]], torch.tensor([0])).total for said in (1, 4))
        assert stranger > cousin + 0.1


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[-1e4, 0, 0, 0, 1e4]], requires_grad=True)
    term = LOSSES["cross-entropy"]()(logits, torch.tensor([0]))
    term.total.backward()
    assert torch.isfinite(term.total)
    assert torch.isfinite(logits.grad).all()


def test_paths_are_checked():
    settings = HierarchicalCrossEntropySettings()
    with pytest.raises(RecipeError, match="begin with the numbers of the C leaves in their order"):
        HierarchicalCrossEntropy(settings, PATHS.flip(0))
    with pytest.raises(RecipeError, match="class 2 of level 1 has two parents, 1 and 0"):
        HierarchicalCrossEntropy(settings, torch.cat([PATHS[:4], torch.tensor([[4, 2, 0]])]))


# Soft labels.


def test_soft_labels_are_their_loop():
    logits, loss = rows(), LOSSES["soft labels"]()
    total = 0.0
    for row, label in zip(logits, LABELS.tolist(), strict=True):
        weights = [math.exp(-4 * HEIGHTS[label][other] / 3) for other in range(5)]
        logs = row.log_softmax(0).tolist()
        total -= sum(w / sum(weights) * log for w, log in zip(weights, logs, strict=True))
    assert loss(logits, LABELS).total.item() == pytest.approx(total)


def test_a_large_beta_is_the_plain_cross_entropy():
    loss = SoftLabels(SoftLabelSettings(beta=1e3), DISTANCES)
    torch.testing.assert_close(mean(loss(rows(), LABELS)), cross_entropy(rows(), LABELS))


# Sub-spaces.


@pytest.mark.parametrize("name", [name for name in METRIC_LOSSES.names() if name not in ("margin", "n_pair")])
def test_sub_spaces_are_a_loss_on_the_whole_and_one_on_each_part(name):
    torch.manual_seed(0)
    settings = SubspaceSettings(loss=metric_loss_settings(name), parts_weight=0.6)
    spaces = Subspaces(settings, [0, 0, 1, 2, 2], 6).double()
    x = rows(6)
    wanted = mean(spaces.whole(x, LABELS))
    for loss, columns, classes in zip(
        spaces.losses, (slice(0, 3), slice(3, 6)), ((0, 1), (3, 4)), strict=True
    ):
        own = [i for i in range(8) if LABELS[i] in classes]
        wanted = wanted + 0.3 * mean(loss(x[own, columns], LABELS[own] - classes[0]))
    term = spaces(x, LABELS)
    torch.testing.assert_close(mean(term), wanted)
    assert term.count == 8
    assert list(term.monitors) == ["whole", "part 0", "part 2"]


def test_a_part_learns_from_its_own_meta_class_only():
    spaces, x = Subspaces(SubspaceSettings(parts_weight=1e6), [0, 0, 1, 2, 2], 6).double(), rows(6)
    spaces(x, LABELS).total.backward()
    others = x.grad[LABELS >= 3, :3].abs().max()
    own = x.grad[LABELS <= 1, :3].abs().max()
    assert own > 1e4 * others  # what is left comes from the whole


def test_parts_are_alike_in_width_and_cover_the_whole():
    parts = parts_of([4, 4, 7, 7, 9, 9, 1], 128)
    assert {meta: part.stop - part.start for meta, part in parts.items()} == {4: 42, 7: 43, 9: 43}
    with pytest.raises(RecipeError, match="every class is its own"):
        parts_of([0, 1, 2], 8)
    with pytest.raises(RecipeError, match="an embedding of 1 cannot be split among 2 meta-classes"):
        parts_of([0, 0, 1, 1], 1)
