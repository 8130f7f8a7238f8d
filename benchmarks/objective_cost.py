"""What the terms for unlabelled images cost beside the passes of the network that they need.

    python benchmarks/objective_cost.py [--pairs 5] [--size 64] [--out docs/results/objective_cost.md]

A ResNet18 in training mode. Deep clustering (PICA, and with the Dirichlet prior) needs two forward passes
with a gradient, FixMatch one without a gradient and one with, and the backward passes of those. Bare: these
passes, with a gradient of the outputs that is already there. With the term: the same passes, the term, and
its gradient. Both are taken in turn in one run; ratios are medians over the pairs. The term alone, forward
and backward on outputs that are already there, is timed in the same turns. Times are those of the processor
on one thread. On a machine that does other work they still scatter by more than a term takes, since caches
are shared; then the term's own share of the bare passes is what counts. FixMatch uses every pseudo-label
(tau 0), and with flexible thresholds it remembers 85,000 images. Goal: at most 1.03. Exit status 1 if a share
makes it more.
"""

import argparse
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time

import torch
from torch import Tensor, nn

from sonoprior.models import ModelSpec, build_network
from sonoprior.objectives.base import Term, averaged
from sonoprior.objectives.clustering_settings import DeepClusteringSettings, EntropySettings
from sonoprior.objectives.deep_clustering import DeepClustering
from sonoprior.objectives.fixmatch import FixMatch
from sonoprior.objectives.fixmatch_two_heads import HeadLogits, TwoHeadFixMatch
from sonoprior.objectives.semi_supervised_settings import (
    DebiasingSettings,
    FixMatchSettings,
    FlexibleThresholdSettings,
    TwoHeadFixMatchSettings,
)

GOAL, FRAMES = 1.03, 85_000
LABELS, COMBINATIONS = 7, 24
BATCHES = (16, 32, 64)
Compare = Callable[[Tensor, Tensor], Term]


@dataclass(frozen=True)
class Method:
    """A term on the outputs of two views, and whether the first one teaches without a gradient."""

    name: str
    outputs: int
    first_is_taught: bool
    term: Compare


@dataclass(frozen=True)
class Cost:
    """Milliseconds of the bare passes and of the term alone, the ratio, and the share; medians."""

    bare: float
    alone: float
    ratio: float
    share: float


def methods(batch: int) -> list[Method]:
    """Everything that is measured, for batches of this size."""
    numbers = torch.randperm(FRAMES)[:batch]
    certain = {"threshold": 0.0}
    pica = DeepClustering(DeepClusteringSettings(size=EntropySettings()))
    lsd = DeepClustering(DeepClusteringSettings())
    plain = FixMatch(FixMatchSettings(**certain), LABELS)
    settings = FixMatchSettings(
        flexible=FlexibleThresholdSettings(), debiasing=DebiasingSettings(), **certain
    )
    flexible = FixMatch(settings, LABELS, images=FRAMES)
    shown = (torch.arange(1, COMBINATIONS + 1)[:, None] >> torch.arange(LABELS)) & 1
    heads = TwoHeadFixMatch(TwoHeadFixMatchSettings(learner="both", **certain), shown)
    truth = torch.randint(0, LABELS, (batch,))

    def two_heads(weak: Tensor, strong: Tensor) -> Term:
        split = [HeadLogits(of[:, LABELS:], of[:, :LABELS]) for of in (weak, strong)]
        return heads(*split, shown[truth])

    return [
        Method("PICA", COMBINATIONS, first_is_taught=True, term=pica),
        Method("LSD", COMBINATIONS, first_is_taught=True, term=lsd),
        Method("FixMatch", LABELS, first_is_taught=False, term=lambda *of: plain(*of, truth)),
        Method(
            "FixMatch, flexible and debiased",
            LABELS,
            first_is_taught=False,
            term=lambda *of: flexible(*of, truth, numbers),
        ),
        Method("FixMatch, two heads", LABELS + COMBINATIONS, first_is_taught=False, term=two_heads),
    ]


def passes(network: nn.Module, method: Method, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The forward passes that a method needs."""
    with torch.set_grad_enabled(method.first_is_taught):
        first = network(views[0])
    return first, network(views[1])


def bare_step(network: nn.Module, method: Method, views: tuple[Tensor, Tensor], gradient: Tensor) -> None:
    """The passes, forward and backward."""
    taught = [each for each in passes(network, method, views) if each.requires_grad]
    torch.autograd.backward(taught, [gradient] * len(taught))


def whole_step(network: nn.Module, method: Method, views: tuple[Tensor, Tensor]) -> None:
    """The same passes, with the term between them."""
    averaged(method.term(*passes(network, method, views))).backward()


def term_step(method: Method, first: Tensor, second: Tensor) -> None:
    """The term alone."""
    averaged(method.term(first, second)).backward()


def seconds(step: Callable[[], None], network: nn.Module) -> float:
    """The processor's time for one step, with the gradients cleared outside of it."""
    network.zero_grad(set_to_none=True)
    begin = process_time()
    step()
    return process_time() - begin


def compare(method: Method, batch: int, size: int, pairs: int) -> Cost:
    """What a method costs, over some turns after one that warms up."""
    torch.manual_seed(0)
    network, _ = build_network(ModelSpec(backbone="resnet18", tap="last"), method.outputs)
    network = network.train().to(memory_format=torch.channels_last)
    views = tuple(torch.rand(batch, 1, size, size) for _ in range(2))
    outputs = [torch.randn(batch, method.outputs, requires_grad=True) for _ in range(2)]
    gradient = torch.randn(batch, method.outputs) / batch
    steps = {
        "bare": lambda: bare_step(network, method, views, gradient),
        "whole": lambda: whole_step(network, method, views),
        "alone": lambda: term_step(method, *outputs),
    }
    turns = [{name: seconds(step, network) for name, step in steps.items()} for _ in range(pairs + 1)][1:]
    bare, alone = (median(turn[name] for turn in turns) for name in ("bare", "alone"))
    ratio = median(turn["whole"] / turn["bare"] for turn in turns)
    return Cost(1e3 * bare, 1e3 * alone, ratio, 1 + alone / bare)


def main() -> int:
    """Print the table, and write it if asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# What the terms for unlabelled images cost",
        "",
        f"ResNet18 at {given.size} pixels, the processor's time on one thread of {platform.machine()},",
        f"torch {torch.__version__}, medians of {given.pairs} turns. The bare passes are two forward passes",
        "with a gradient for PICA and LSD, one without and one with for FixMatch, and their backward passes.",
        f"The goal was at most {GOAL}, at {given.size} pixels: larger images only make the passes longer.",
        "",
        "| term | batch | bare, ms | the term alone, ms | with it / bare, in turns | 1 + alone / bare |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    print("\n".join(lines), flush=True)
    largest = 0.0
    for batch in BATCHES:
        for method in methods(batch):
            cost = compare(method, batch, given.size, given.pairs)
            largest = max(largest, cost.share)
            figures = f"{cost.bare:.0f} | {cost.alone:.2f} | {cost.ratio:.3f} | {cost.share:.3f}"
            lines.append(f"| {method.name} | {batch} | {figures} |")
            print(lines[-1], flush=True)
    if given.out:
        command = "    python benchmarks/objective_cost.py --out docs/results/objective_cost.md"
        given.out.write_text("\n".join([*lines, "", command]) + "\n", encoding="utf-8")
    return 0 if largest <= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
