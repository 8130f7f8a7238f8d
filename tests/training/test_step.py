"""A step of training that is recorded once on a GPU and replayed."""

import copy

import pytest
import torch
from torch import nn

from asking import AsksNothing
from sonoprior.attribution import guided
from sonoprior.cases.loading.batch import Batch
from sonoprior.core.errors import ModelError
from sonoprior.models.taps import Tap
from sonoprior.objectives import OBJECTIVES
from sonoprior.objectives.base import Context
from sonoprior.objectives.cross_entropy import CrossEntropy
from sonoprior.objectives.prior_guided_attribution import PriorGuidance
from sonoprior.objectives.settings import CrossEntropySettings, PriorGuidedAttributionSettings
from sonoprior.training.experiment import Experiment, Outcome
from sonoprior.training.step import RecordedStep, plain_step

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def network() -> nn.Module:
    torch.manual_seed(0)
    head = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3))
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), *head
    )


def batches(seed: int, cases: int = 6, guided_cases: int = 3) -> dict[str, dict[str, Batch]]:
    generator = torch.Generator().manual_seed(seed)
    priors = (torch.rand(cases, 1, 16, 16, generator=generator) > 0.7).float()
    present = torch.arange(cases)[:, None] < guided_cases
    fields = {
        "image": torch.rand(cases, 1, 16, 16, generator=generator),
        "label.view": torch.randint(-1, 3, (cases,), generator=generator),
        "prior": torch.where(present[:, :, None, None], priors, 0),
    }
    return {"labelled": {"only": Batch(fields, {"prior": present})}}


def experiment(weights: str = "balanced", **settings: str) -> Experiment:
    net = network()
    about = Context(net, Tap("1"), torch.rand(2, 1, 16, 16), "view", torch.tensor([3, 2, 1]), ("zone",))
    classification = CrossEntropy(CrossEntropySettings(class_weights=weights), about)
    guidance = PriorGuidance(PriorGuidedAttributionSettings(**settings), about)
    return Experiment(net, {"classification": (1.0, classification), "guidance": (2.0, guidance)})


def adamw(of: nn.Module, device: str | None = None) -> torch.optim.Optimizer:
    rate = 0.01 if device is None else torch.tensor(0.01, device=device)
    return torch.optim.AdamW(of.parameters(), lr=rate, fused=True, capturable=device is not None)


@pytest.fixture
def as_on_gpu(monkeypatch):
    monkeypatch.setattr(guided, "_answers_at_once", lambda tensor: False)


@pytest.mark.parametrize("batch_norm", ["detached", "running", "mixed"])
@pytest.mark.parametrize(
    ("target", "weights"), [("sum", "balanced"), ("label", "none"), ("predicted", "none")]
)
@pytest.mark.usefixtures("as_on_gpu")
def test_a_step_that_may_be_recorded_asks_nothing(batch_norm, target, weights):
    one = experiment(weights, batch_norm=batch_norm, target=target, allocation="half", empty="suppress")
    assert one.recordable
    with AsksNothing():
        one(batches(1)).loss.backward()


def test_who_asks_is_refused():
    ones, mask = torch.ones(3), torch.tensor([True, False, True])
    with pytest.raises(AssertionError, match="asks for the value"), AsksNothing():
        float(ones.sum())
    with pytest.raises(AssertionError, match="asks for the value"), AsksNothing():
        mask.nonzero()
    with pytest.raises(AssertionError, match="asks how many"), AsksNothing():
        ones[mask]
    with pytest.raises(AssertionError, match="sends a number"), AsksNothing():
        torch.tensor(3)


def test_a_metric_loss_may_not_be_recorded():
    assert not OBJECTIVES.load("metric").recordable
    one = experiment()
    one.objectives["guidance"].recordable = False
    assert not one.recordable


@pytest.mark.parametrize("batch_norm", ["detached", "running", "mixed"])
@pytest.mark.parametrize("guided_cases", [0, 3, 6])
def test_attributing_all_images_changes_no_gradient(batch_norm, guided_cases, monkeypatch):
    given = batches(2, guided_cases=guided_cases)
    few, every = (experiment(batch_norm=batch_norm, allocation="half") for _ in range(2))
    chosen = few(given)
    chosen.loss.backward()
    monkeypatch.setattr(guided, "_answers_at_once", lambda tensor: False)
    whole = every(given)
    whole.loss.backward()
    torch.testing.assert_close(whole.loss, chosen.loss)
    for name, term in whole.terms.items():
        torch.testing.assert_close(term.count.float(), chosen.terms[name].count.float())
    for mine, theirs in zip(every.parameters(), few.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@ON_GPU
def test_replayed_steps_train_as_plain_ones():
    plain = experiment(allocation="half").cuda()
    other = copy.deepcopy(plain)
    one = plain_step(plain, adamw(plain, "cuda"))
    recorded = RecordedStep(plain_step(other, adamw(other, "cuda")), torch.device("cuda"))
    for at in range(12):
        given = batches(at, cases=6 if at % 3 else 4)
        on_gpu = {"labelled": {"only": given["labelled"]["only"].to("cuda")}}
        expected, found = one(on_gpu), recorded(on_gpu)
        torch.testing.assert_close(found.loss, expected.loss, rtol=1e-3, atol=1e-4)
    for mine, theirs in zip(other.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-2, atol=1e-3)


@ON_GPU
def test_a_step_that_asks_is_refused_with_the_way_out():
    def asking(given):
        return Outcome(torch.tensor(given["labelled"]["only"]["image"].sum().item()), {})

    step = RecordedStep(asking, torch.device("cuda"))
    given = {"labelled": {"only": batches(0)["labelled"]["only"].to("cuda")}}
    for _ in range(3):
        step(given)
    with pytest.raises(ModelError, match=r"cannot be recorded on the GPU: .+; train it with --set"):
        step(given)
