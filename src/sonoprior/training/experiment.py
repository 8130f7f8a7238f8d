"""Network and objectives as one module: the thing that is differentiated, and distributed.

Attributions are gradients and are taken inside `forward`, so that a distributed wrapper sees them.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from sonoprior.attribution.guided import guided_pass, rows_with_prior
from sonoprior.core.errors import RecipeError
from sonoprior.models.heads import Heads
from sonoprior.objectives.base import (
    Guidance,
    Objective,
    Output,
    Record,
    Records,
    Term,
    Views,
    ViewsObjective,
    averaged,
)

Precision = Literal["float32", "bfloat16"]
AnyObjective = Objective | ViewsObjective
Weighted = Mapping[str, tuple[float, AnyObjective]]


@dataclass(frozen=True)
class Outcome:
    """What one step gave.

    Attributes:
        loss: the weighted sum of the objectives' means, a scalar on the graph.
        terms: each objective's term, before its weight.
    """

    loss: Tensor
    terms: dict[str, Term]


class Experiment(nn.Module):
    """A network with the named objectives that train it.

    Args:
        network: (B, 1, H, W) to outputs (B, width).
        objectives: name to (weight, objective).
        heads: which outputs are what; logits all of them where None.
        precision: what the network computes in. In "bfloat16" its convolutions and matrix products do, by
            `torch.autocast`; weights, outputs, attributions and losses stay in single precision.

    Raises:
        RecipeError: if two objectives of one stream need different guided passes.
    """

    def __init__(
        self,
        network: nn.Module,
        objectives: Weighted,
        heads: Heads | None = None,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.precision: Precision = precision
        self.network = network
        self.heads = heads
        self.weights = {name: weight for name, (weight, _) in objectives.items()}
        self.objectives = nn.ModuleDict({name: module for name, (_, module) in objectives.items()})
        self._guidance = _guidance_by_stream(objectives)
        self._without_gradient = _without_gradient([module for _, module in objectives.values()])

    def forward(self, batches: Mapping[str, Records]) -> Outcome:
        """One forward pass a stream and view, and every objective on its stream.

        The running statistics of batch normalisation follow the first stream alone: those of other cases, in
        strong views, are not what labelled images are normalised with here, nor what is measured later.

        Args:
            batches: stream to its views to their batches; an objective of one view reads the first. The
                labelled stream comes first.
        """
        first = next(iter(batches))
        outputs: dict[str, dict[str, Output]] = {}
        for stream, views in batches.items():
            with nullcontext() if stream == first else running_statistics_kept(self.network):
                outputs[stream] = {view: self._run(stream, view, batch) for view, batch in views.items()}
        terms = {
            name: _term(objective, outputs, batches)  # pyright: ignore[reportArgumentType]
            for name, objective in self.objectives.items()
        }
        loss = sum(self.weights[name] * averaged(term) for name, term in terms.items())
        return Outcome(loss, terms)  # pyright: ignore[reportArgumentType]

    @property
    def recordable(self) -> bool:
        """Whether a step may be recorded on a GPU: no objective asks for the value of a tensor."""
        return all(objective.recordable for objective in self.objectives.values())  # pyright: ignore[reportReturnType]

    def after_step(self) -> None:
        """Let the objectives follow a step of the optimiser."""
        for objective in self.objectives.values():
            if isinstance(objective, ViewsObjective):
                objective.after_step()

    def _run(self, stream: str, view: str, batch: Record) -> Output:
        guidance = self._guidance.get(stream)
        images = batch.fields["image"]
        if guidance is None or _none_has(batch.present["prior"]):
            still = (stream, view) in self._without_gradient
            with torch.no_grad() if still else nullcontext(), self._autocast(images):
                outputs = self.network(images)
            return Output(outputs.to(images.dtype), heads=self.heads)
        with self._autocast(images):
            outputs, guided = guided_pass(
                self.network, guidance.tap, images, guidance.batch_norm, guidance.closed_head
            )
        return Output(outputs.to(images.dtype), guided, self.heads)

    def _autocast(self, images: Tensor) -> torch.autocast:
        return torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")


@contextmanager
def running_statistics_kept(network: nn.Module) -> Generator[None, None, None]:
    """Batch normalisation by the batch, as in training, without remembering it."""
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def _none_has(priors: Tensor) -> bool:
    """Whether it is known that no image has any of the priors (B, P)."""
    rows = rows_with_prior(priors)
    return rows is not None and not len(rows)


def _term(objective: AnyObjective, outputs: Mapping[str, Views], batches: Mapping[str, Records]) -> Term:
    views, records = outputs[objective.stream], batches[objective.stream]
    if isinstance(objective, ViewsObjective):
        return objective(views, records)
    first = next(iter(views))
    return objective(views[first], records[first])


def _without_gradient(objectives: list[AnyObjective]) -> set[tuple[str, str]]:
    """The (stream, view) pairs that are read, and that no objective needs a gradient of."""
    reading = [of for of in objectives if isinstance(of, ViewsObjective)]
    still = {(of.stream, view) for of in reading for view in of.without_gradient}
    learnt = {(of.stream, view) for of in reading for view in of.views if view not in of.without_gradient}
    return still - learnt


def _guidance_by_stream(objectives: Weighted) -> dict[str, Guidance]:
    wanted: dict[str, Guidance] = {}
    for name, (_, objective) in objectives.items():
        if not isinstance(objective, Objective) or objective.guidance is None:
            continue
        if wanted.setdefault(objective.stream, objective.guidance) != objective.guidance:
            raise RecipeError(
                f"objectives.{name}: the objectives of one stream share one guided pass, but this one asks"
                " for another tap or another batch_norm."
            )
    return wanted
