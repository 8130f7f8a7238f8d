"""Network and objectives as one module: the thing that is differentiated, and distributed.

Attributions are gradients and are taken inside `forward`, so that a distributed wrapper sees them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from sonoprior.attribution.guided import guided_pass
from sonoprior.core.errors import RecipeError
from sonoprior.models.heads import Heads
from sonoprior.objectives.base import Guidance, Objective, Output, Record, Term, averaged


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
        network: (B, 1, H, W) to outputs (B, K + L D).
        objectives: name to (weight, objective).
        heads: which outputs are what; logits all of them where None.

    Raises:
        RecipeError: if two objectives of one stream need different guided passes.
    """

    def __init__(
        self,
        network: nn.Module,
        objectives: Mapping[str, tuple[float, Objective]],
        heads: Heads | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.heads = heads
        self.weights = {name: weight for name, (weight, _) in objectives.items()}
        self.objectives = nn.ModuleDict({name: module for name, (_, module) in objectives.items()})
        self._guidance = _guidance_by_stream(objectives)

    def forward(self, batches: Mapping[str, Record]) -> Outcome:
        """One forward pass a stream, and every objective on its stream.

        Args:
            batches: stream to batch.
        """
        outputs = {stream: self._run(stream, batch) for stream, batch in batches.items()}
        terms: dict[str, Term] = {}
        for name, objective in self.objectives.items():
            stream: str = objective.stream  # pyright: ignore[reportAssignmentType]
            terms[name] = objective(outputs[stream], batches[stream])
        loss = sum(self.weights[name] * averaged(term) for name, term in terms.items())
        return Outcome(loss, terms)  # pyright: ignore[reportArgumentType]

    def _run(self, stream: str, batch: Record) -> Output:
        guidance = self._guidance.get(stream)
        images = batch.fields["image"]
        if guidance is None or not batch.present["prior"].any():
            return Output(self.network(images), heads=self.heads)
        outputs, guided = guided_pass(
            self.network, guidance.tap, images, guidance.batch_norm, guidance.closed_head
        )
        return Output(outputs, guided, self.heads)


def _guidance_by_stream(objectives: Mapping[str, tuple[float, Objective]]) -> dict[str, Guidance]:
    wanted: dict[str, Guidance] = {}
    for name, (_, objective) in objectives.items():
        if objective.guidance is None:
            continue
        if wanted.setdefault(objective.stream, objective.guidance) != objective.guidance:
            raise RecipeError(
                f"objectives.{name}: the objectives of one stream share one guided pass, but this one asks"
                " for another tap or another batch_norm."
            )
    return wanted
