"""Guidance in somebody's own loop: five lines, copies, in-place layers, two processes."""

import copy
import os
import re
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel

from sonoprior.attribution.guided import guided_pass
from sonoprior.core.errors import ModelError, RecipeError
from sonoprior.models.taps import Tap
from sonoprior.objectives import OBJECTIVES, PriorGuidedAttribution
from sonoprior.objectives.base import Context, Output, Term, averaged
from sonoprior.objectives.cross_entropy import CrossEntropy
from sonoprior.objectives.prior_guided_attribution import GuidanceWarning, PriorGuidance
from sonoprior.objectives.settings import SETTINGS, CrossEntropySettings, PriorGuidedAttributionSettings


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 3),
    )


def batch(size: int = 8):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(size, 1, 12, 12, generator=generator)
    priors = torch.full((size, 12, 12), torch.nan)
    priors[:3] = 0
    priors[:3, 2:6, 5:9] = 1
    return images, torch.arange(size) % 3, priors


def test_the_example_of_the_readme_runs_as_it_stands():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (example,) = [
        code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "PriorGuided" in code
    ]
    images, labels, outlines = batch()
    model = nn.Sequential(OrderedDict(zip(["conv1", "bn1", "layer3", *"abcde"], net(), strict=True)))
    names = {"model": model, "loader": [(images, labels, outlines)] * 2, "cross_entropy": cross_entropy}
    names["optimizer"] = torch.optim.Adam(model.parameters())
    before = copy.deepcopy(model.state_dict())
    exec(compile(example, "README.md", "exec"), names)
    assert any((value != before[name]).any() for name, value in model.state_dict().items())


def test_the_term_moves_the_attribution_onto_the_outline():
    images, labels, priors = batch()
    guided = PriorGuidedAttribution(net(), "2", alpha=1.0)
    optimiser = torch.optim.Adam(guided.parameters(), 1e-2)
    values = []
    for _ in range(60):
        logits, term = guided(images, priors)
        optimiser.zero_grad()
        (cross_entropy(logits, labels) + term).backward()
        optimiser.step()
        values.append(float(term.detach()))
    assert values[-1] < -0.8 < values[0]


def test_alpha_scales_and_zero_switches_off():
    images, _, priors = batch()
    model = net().eval()
    one = PriorGuidedAttribution(model, "2", alpha=1.0)(images, priors)[1]
    ten = PriorGuidedAttribution(model, "2", alpha=10.0)(images, priors)[1]
    torch.testing.assert_close(ten, 10 * one)
    for nothing in (
        PriorGuidedAttribution(model, "2", alpha=0)(images, priors)[1],
        PriorGuidedAttribution(model, "2")(images)[1],
        PriorGuidedAttribution(model, "2")(images, torch.full_like(priors, torch.nan))[1],
    ):
        assert nothing.item() == 0
        assert nothing.requires_grad


def test_absent_by_nan_and_by_mask_are_the_same_and_absent_is_not_empty():
    images, _, priors = batch()
    guided = PriorGuidedAttribution(net().eval(), "2", empty="suppress")
    by_nan = guided(images, priors)[1]
    mask = (~priors.isnan().any((-2, -1)))[:, None]
    torch.testing.assert_close(guided(images, priors.nan_to_num(5.0)[:, None], mask)[1], by_nan)
    assert not torch.isclose(guided(images, priors.nan_to_num(0.0))[1], by_nan)


def test_the_model_is_left_as_it_was():
    images, _, priors = batch()
    model = net().eval()
    before, structure = model(images), repr(model)
    guided = PriorGuidedAttribution(model, "2")
    guided(images, priors)[1].backward()
    torch.testing.assert_close(model(images), before)
    assert repr(model) == structure
    assert not any(layer._forward_hooks for layer in model.modules())


def test_inference_is_the_same_graph():
    """A guided model costs at inference exactly what a plain one costs: it is the same graph."""
    images, labels, priors = batch()
    plain, model = net(), net()
    guided = PriorGuidedAttribution(model, "2")
    logits, term = guided(images, priors)
    (cross_entropy(logits, labels) + term).backward()
    graphs = [torch.fx.symbolic_trace(each.eval()).code for each in (plain, model)]
    assert graphs[0] == graphs[1]
    assert list(plain.state_dict()) == list(model.state_dict())


def test_a_moving_average_copy_lives_on_its_own():
    images, labels, priors = batch()
    guided = PriorGuidedAttribution(net(), "2")
    teacher = AveragedModel(guided, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    optimiser = torch.optim.SGD(guided.parameters(), 0.1)
    for _ in range(3):
        logits, term = guided(images, priors)
        optimiser.zero_grad()
        (cross_entropy(logits, labels) + term).backward()
        optimiser.step()
        teacher.update_parameters(guided)
    student_logits, student = guided(images, priors)
    copied_logits, copied = teacher(images, priors)
    assert not torch.allclose(copied_logits, student_logits)
    assert torch.isfinite(copied)
    assert copied != student


def save_gradients_of_half(rank: int, folder: str) -> None:
    images, labels, priors = batch()
    # Three images have a prior; the split is uneven, and in the second half the other process has none.
    half = [slice(0, 4), slice(4, 8)][rank]
    guided = nn.parallel.DistributedDataParallel(PriorGuidedAttribution(net().eval(), "2", alpha=3.0))
    logits, term = guided(images[half], priors[half])
    (cross_entropy(logits, labels[half]) + term).backward()
    if rank == 0:
        torch.save([parameter.grad for parameter in guided.parameters()], f"{folder}/gradients.pt")


def two_processes(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    save_gradients_of_half(rank, folder)
    torch.distributed.barrier()
    # gloo's threads may hold tensors yet; letting them go while Python shuts down can abort the process.
    os._exit(0)


def test_two_processes_give_the_gradients_of_one(tmp_path):
    mp.spawn(two_processes, (str(tmp_path),), nprocs=2)
    images, labels, priors = batch()
    guided = PriorGuidedAttribution(net().eval(), "2", alpha=3.0)
    logits, term = guided(images, priors)
    (cross_entropy(logits, labels) + term).backward()
    distributed = torch.load(tmp_path / "gradients.pt", weights_only=True)
    for mine, theirs in zip(guided.parameters(), distributed, strict=True):
        torch.testing.assert_close(mine.grad, theirs, rtol=1e-4, atol=1e-5)


def test_degenerate_pairs_are_said_before_training():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    images, _, priors = batch()
    with pytest.warns(GuidanceWarning, match="'grad' at the last map before average pooling"):
        PriorGuidedAttribution(model, "1", method="grad")(images, priors)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 3))
    with pytest.warns(GuidanceWarning, match="directly before a max-pool"):
        PriorGuidedAttribution(model, "0")(images, priors)


def test_a_tail_without_second_derivative_is_refused():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Hardsigmoid(), nn.Flatten(), nn.Linear(300, 2))
    images, _, priors = batch()
    with pytest.raises(ModelError, match=r"tap '0' cannot be guided.*derivative for.*models taps NAME"):
        PriorGuidedAttribution(model, "0")(images, priors)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"layer": "7x"}, ModelError, "tap must name a layer of the network, but got '7x'"),
        ({"layer": "2", "alpha": -1}, RecipeError, "alpha must be at least 0, but got -1"),
        ({"layer": "2", "method": "gradcam"}, RecipeError, "method: .*'grad'.*'gradcam'"),
        ({"layer": "2", "alocation": "half"}, RecipeError, "alocation"),
        ({"layer": "2", "allocation": "mean", "empty": "suppress"}, RecipeError, "leaves none"),
    ],
)
def test_wrong_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        PriorGuidedAttribution(net(), **settings)


def test_priors_of_another_batch_are_refused():
    images, _, priors = batch()
    with pytest.raises(ModelError, match=r"priors must be \(B, P, H, W\) and present \(B, P\) for 8 images"):
        PriorGuidedAttribution(net(), "2")(images, priors[:4])


def test_every_objective_has_its_settings():
    assert OBJECTIVES.names() == sorted(SETTINGS)


def context(**changes) -> Context:
    values = {
        "network": net(),
        "tap": Tap("2"),
        "example": batch()[0][:2],
        "level": "class",
        "class_counts": torch.tensor([1, 3, 0]),
        "priors": ("lesion",),
    }
    return Context(**(values | changes))


class Record:
    def __init__(self, **fields) -> None:
        self.fields, self.present = fields, {}


def test_cross_entropy_against_a_slow_loop():
    logits, labels = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, -1, 1, 1])
    objective = CrossEntropy(CrossEntropySettings(class_weights="balanced"), context())
    term = objective(Output(logits.float()), Record(**{"label.class": labels}))
    total = count = 0.0
    for row, label in zip(logits, labels.tolist(), strict=True):
        if label >= 0:
            weight = {0: 1.5, 1: 0.5}[label]
            total -= weight * math_log_softmax(row, label)
            count += weight
    assert float(term.total) == pytest.approx(total, rel=1e-5)
    assert float(term.count) == pytest.approx(count)


def math_log_softmax(row, label):
    return float(row[label] - row.exp().sum().log())


def test_a_batch_without_labels_adds_a_zero_on_the_graph():
    logits = torch.randn(2, 3, requires_grad=True)
    objective = CrossEntropy(CrossEntropySettings(), context())
    loss = averaged(objective(Output(logits), Record(**{"label.class": torch.tensor([-1, -1])})))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_guidance_without_priors_is_refused():
    with pytest.raises(RecipeError, match="needs priors, but the case set has none"):
        PriorGuidance(PriorGuidedAttributionSettings(), context(priors=()))


def test_accumulated_terms_are_those_of_the_whole_batch():
    """Sums and counts add up, so that accumulation over uneven parts is exact."""
    images, labels, priors = batch()
    objective = PriorGuidance(PriorGuidedAttributionSettings(), context(network=net().eval()))

    def term(rows) -> Term:
        record = Record(**{"prior": priors[rows, None].nan_to_num(), "label.class": labels[rows]})
        record.present = {"prior": ~priors[rows].isnan().any((-2, -1))[:, None]}
        logits, guided = guided_pass(net().eval(), Tap("2"), images[rows])
        return objective(Output(logits, guided), record)

    whole, parts = term(slice(0, 8)), [term(slice(0, 2)), term(slice(2, 8))]
    torch.testing.assert_close(whole.total, parts[0].total + parts[1].total)
    assert int(whole.count) == sum(int(part.count) for part in parts) == 3
