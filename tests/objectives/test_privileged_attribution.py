"""The loss against a slow loop over the printed equations, closed values, and finite differences."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoprior.attribution.allocation import Allocation
from sonoprior.core.errors import RecipeError
from sonoprior.objectives.prior_guided_attribution import privileged_attribution_term
from sonoprior.objectives.privileged_attribution import agreement, standardise, to_resolution
from sonoprior.objectives.settings import PriorGuidedAttributionSettings

ALLOCATIONS = ["all", "mean", "half", "quarter", "three_quarters", "first 2", "first 5"]


def slow_term(attribution, priors, present, allocation, printed=False, reduction="correlation"):
    """Eqs 2.5, 2.7 and 2.9, position by position; what the print omits as the method notes give it."""
    images, channels, height, width = attribution.shape
    number = priors.shape[1]
    constrained = {"all": 1, "mean": 1, "half": 1 / 2, "quarter": 1 / 4, "three_quarters": 3 / 4}
    if allocation in constrained:
        c1 = math.floor(channels * constrained[allocation])
    else:
        c1 = int(allocation.split()[1])
    r = c1 // number
    total, count = 0.0, 0
    for image in range(images):
        for p in range(number):
            prior = [[float(priors[image, p, i, j]) for j in range(width)] for i in range(height)]
            flat = [value for line in prior for value in line]
            if not present[image, p] or max(flat) == min(flat):
                continue
            owned = [attribution[image, c].tolist() for c in range(p * r, (p + 1) * r)]
            if allocation != "all":
                owned = [[[sum(m[i][j] for m in owned) / r for j in range(width)] for i in range(height)]]
            values = [slow_agreement(a, prior, printed, reduction) for a in owned]
            total -= sum(values) / len(values)
            count += 1
    return total, count


def slow_agreement(a, prior, printed, reduction):
    positions = len(a) * len(a[0])
    flat = [value for line in a for value in line]
    wanted = [value for line in prior for value in line]
    share = 1 if printed else positions
    mu = sum(flat) / share
    sigma = math.sqrt(sum((value - mu) ** 2 for value in flat) / share)
    if not printed:
        mean = sum(wanted) / positions
        deviation = math.sqrt(sum((value - mean) ** 2 for value in wanted) / positions)
        wanted = [(value - mean) / deviation for value in wanted]
    total = sum((value - mu) / sigma * w for value, w in zip(flat, wanted, strict=True))
    return total if reduction == "sum" else total / positions


def case(priors=2, channels=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    attribution = torch.rand(3, channels, 4, 5, generator=generator, dtype=torch.float64)
    maps = (torch.rand(3, priors, 4, 5, generator=generator) > 0.6).double()
    maps[0, 0] = 0  # drawn and empty
    present = torch.ones(3, priors, dtype=torch.bool)
    present[1, -1] = False
    return attribution, maps, present


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("reduction", ["correlation", "sum"])
@pytest.mark.parametrize("statistics", ["standard", "printed"])
def test_term_against_the_slow_loop(allocation, reduction, statistics):
    attribution, maps, present = case()
    chosen = PriorGuidedAttributionSettings(allocation=allocation, reduction=reduction, statistics=statistics)
    term = privileged_attribution_term(attribution, maps, present, chosen)
    total, count = slow_term(attribution, maps, present, allocation, statistics == "printed", reduction)
    assert int(term.count) == count == 4
    assert float(term.total) == pytest.approx(total, rel=1e-9)


def test_correlation_of_maps_that_can_be_pictured():
    wanted = torch.tensor([[1.0, 1, 0, 0]])
    maps = {
        "the same": ([[5.0, 5, 1, 1]], 1),
        "the opposite": ([[0.0, 0, 7, 7]], -1),
        "across": ([[1.0, 0, 1, 0]], 0),
        "one of two": ([[1.0, 0, 0, 0]], 1 / math.sqrt(3)),
        "flat": ([[3.0, 3, 3, 3]], 0),
        "nothing": ([[0.0, 0, 0, 0]], 0),
    }
    for name, (values, expected) in maps.items():
        assert float(agreement(torch.tensor(values), wanted)) == pytest.approx(expected, abs=1e-6), name


@settings(max_examples=40, deadline=None)
@given(scale=st.floats(1e-12, 1e12), shift=st.floats(-10, 10))
def test_scale_and_offset_of_an_attribution_do_not_matter(scale, shift):
    attribution, maps, _ = case(priors=1, channels=1)
    moved = agreement(scale * (attribution + shift), maps)
    torch.testing.assert_close(moved, agreement(attribution, maps), rtol=1e-4, atol=1e-6)


def test_the_printed_statistics_hide_the_correlation():
    """About 3 % between a random map and a perfect one, as computed in the method notes."""
    disc = torch.zeros(1, 14, 14, dtype=torch.float64)
    disc[:, 4:9, 4:9] = 1
    random = torch.rand(1, 14, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    printed = [float(agreement(maps, disc, "sum", "printed")) for maps in (random, disc + 0.01)]
    assert abs(printed[0] / printed[1] - 1) < 0.2
    standard = [float(agreement(maps, disc)) for maps in (random, disc + 0.01)]
    assert standard[1] == pytest.approx(1)
    assert abs(standard[0]) < 0.2


@pytest.mark.parametrize("allocation", ["all", "half", "first 3"])
def test_gradient_by_finite_differences(allocation):
    attribution, maps, present = case()
    chosen = PriorGuidedAttributionSettings(allocation=allocation)
    attribution.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a: privileged_attribution_term(a, maps, present, chosen).total, (attribution,)
    )


@pytest.mark.parametrize("magnitude", [0.0, 1e-30, 1.0])
def test_gradients_stay_finite_for_flat_and_tiny_maps(magnitude):
    attribution = torch.full((1, 2, 4, 4), magnitude, requires_grad=True)
    maps = torch.eye(4)[None, None]
    term = privileged_attribution_term(
        attribution, maps, torch.ones(1, 1, dtype=torch.bool), PriorGuidedAttributionSettings()
    )
    term.total.backward()
    assert torch.isfinite(attribution.grad).all()
    assert float(term.total.detach()) == 0


def test_an_empty_prior_adds_nothing_or_is_suppressed():
    attribution = torch.ones(1, 4, 2, 2)
    attribution[:, :2] = 3  # the constrained half holds three quarters of the mass
    empty, there = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, dtype=torch.bool)
    skipped = privileged_attribution_term(attribution, empty, there, PriorGuidedAttributionSettings())
    assert (float(skipped.total), int(skipped.count)) == (0, 0)
    suppressing = PriorGuidedAttributionSettings(empty="suppress")
    suppressed = privileged_attribution_term(attribution, empty, there, suppressing)
    assert (float(suppressed.total), int(suppressed.count)) == (pytest.approx(0.75), 1)
    absent = privileged_attribution_term(attribution, empty, ~there, suppressing)
    assert (float(absent.total), int(absent.count)) == (0, 0)


def test_area_averaging_keeps_a_small_outline():
    priors = torch.zeros(1, 1, 64, 64)
    priors[0, 0, 10, 20] = 1
    small = to_resolution(priors, 4, 4)
    assert float(small[0, 0, 0, 1]) == pytest.approx(1 / 256)
    assert float(standardise(small).abs().max()) > 1


@pytest.mark.parametrize(
    ("name", "channels", "constrained"),
    [
        ("mean", 10, 10),
        ("half", 9, 4),
        ("quarter", 512, 128),
        ("three_quarters", 10, 7),
        ("first 51", 512, 51),
    ],
)
def test_constrained_channels(name, channels, constrained):
    assert Allocation.parse(name).constrained(channels) == constrained


def test_channels_of_three_priors():
    """r = floor(C1 / P); channels p r ... (p + 1) r - 1 belong to prior p, the rest are free."""
    maps = torch.arange(10.0).view(1, 10, 1, 1)
    allocation = Allocation.parse("first 7")
    assert allocation.allocate(maps, 3).flatten().tolist() == [0.5, 2.5, 4.5]
    assert float(allocation.free(maps, 3)) == (6 + 7 + 8 + 9) / 4
    assert Allocation.parse("all").allocate(maps, 3).shape == (1, 3, 3, 1, 1)


@pytest.mark.parametrize("name", ["halves", "first", "first 0", "first -1", "first x", ""])
def test_unknown_allocations_are_refused(name):
    with pytest.raises(RecipeError, match=r"allocation must be one of all, mean, half.*first K, but got"):
        Allocation.parse(name)


def test_too_few_channels_are_refused():
    with pytest.raises(RecipeError, match="constrains 2 channels; with 3 priors and 4 channels at the tap"):
        Allocation.parse("half").per_prior(4, 3)
    with pytest.raises(RecipeError, match="constrains 9 channels; with 1 priors and 4 channels at the tap"):
        Allocation.parse("first 9").per_prior(4, 1)
