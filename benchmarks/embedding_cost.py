"""What a training step costs that knows the hierarchy, beside one that does not.

    python benchmarks/embedding_cost.py [--pairs 10] [--size 112] [--out docs/results/embedding_cost.md]

A ResNet18 with batches of 64 images of 18 views in 5 meta-views. Plain: forward and backward of a metric loss
on one embedding. Led by the hierarchy: the Semantic Abstraction Loss over both levels and Ontology Language
Guidance at both, on two embeddings. Both kinds of step are taken in turn in one run; ratios are medians over
the pairs.
"""

import argparse
import platform
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from sonoprior.models import ModelSpec, build_network
from sonoprior.models.heads import Heads
from sonoprior.objectives.base import averaged
from sonoprior.objectives.embedding_settings import (
    OntologyLanguageGuidanceSettings,
    SemanticAbstractionSettings,
)
from sonoprior.objectives.metric_loss_settings import metric_loss_settings
from sonoprior.objectives.metric_losses import METRIC_LOSSES
from sonoprior.objectives.ontology_language_guidance import OntologyLanguageGuidance
from sonoprior.objectives.semantic_abstraction import SemanticAbstraction

BATCH, DIMENSION = 64, 128
CLASSES = {"view": 18, "meta": 5}
METAS = torch.tensor([0] * 4 + [1] * 3 + [2] * 8 + [3] + [4] * 2)
Step = Callable[[], Tensor]


def network_of(heads: Heads) -> nn.Module:
    """A ResNet18 in training mode, its channels last, as runs have it."""
    torch.manual_seed(0)
    network, _ = build_network(ModelSpec(backbone="resnet18", tap="last"), heads.width)
    return network.train().to(memory_format=torch.channels_last)


def plain_step(loss: str, images: Tensor, labels: dict[str, Tensor]) -> tuple[nn.Module, Step]:
    """One embedding, and its metric loss."""
    heads = Heads(0, ("view",), DIMENSION, ("view",))
    network = network_of(heads)
    settings = SemanticAbstractionSettings(alphas=(1,), loss=metric_loss_settings(loss))
    metric = SemanticAbstraction(settings, {"view": CLASSES["view"]}, DIMENSION)
    return network, lambda: averaged(metric(heads.embeddings(network(images)), labels))


def led_step(loss: str, images: Tensor, labels: dict[str, Tensor]) -> tuple[nn.Module, Step]:
    """An embedding a level, with both of the hierarchy's terms."""
    heads = Heads(0, tuple(CLASSES), DIMENSION, ("view",))
    network = network_of(heads)
    settings = SemanticAbstractionSettings(alphas=(1, 0.5), loss=metric_loss_settings(loss))
    metric = SemanticAbstraction(settings, CLASSES, DIMENSION)
    said = {level: torch.rand(count, count) for level, count in CLASSES.items()}
    guidance = OntologyLanguageGuidance(OntologyLanguageGuidanceSettings(weights=(1, 0.5)), said)

    def step() -> Tensor:
        embeddings = heads.embeddings(network(images))
        return averaged(metric(embeddings, labels)) + averaged(guidance(embeddings, labels))

    return network, step


def seconds(network: nn.Module, step: Step) -> float:
    """The time of one step, with the gradients cleared outside of it."""
    network.zero_grad(set_to_none=True)
    begin = perf_counter()
    step().backward()
    return perf_counter() - begin


def compare(loss: str, size: int, pairs: int) -> tuple[float, float, float]:
    """Milliseconds of a plain and of a led step, and the ratio; medians over the pairs."""
    images = torch.rand(BATCH, 1, size, size).to(memory_format=torch.channels_last)
    view = torch.arange(BATCH) % CLASSES["view"]
    labels = {"view": view, "meta": METAS[view]}
    plain, led = plain_step(loss, images, labels), led_step(loss, images, labels)
    times = [(seconds(*plain), seconds(*led)) for _ in range(pairs + 1)][1:]  # the first pair warms up
    return (
        1e3 * median(one for one, _ in times),
        1e3 * median(other for _, other in times),
        median(other / one for one, other in times),
    )


def main() -> None:
    """Print the table, and write it if asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = [
        "# What a step costs that knows the hierarchy",
        "",
        f"ResNet18 at {given.size} pixels, batch {BATCH}, {torch.get_num_threads()} threads.",
        f"{platform.machine()}, torch {torch.__version__}; medians of {given.pairs} pairs, taken in turn.",
        "The goal was at most 1.05.",
        "",
        "| metric loss | plain, ms | both levels and language, ms | ratio |",
        "|---|--:|--:|--:|",
    ]
    for loss in METRIC_LOSSES.names():
        plain, led, ratio = compare(loss, given.size, given.pairs)
        lines.append(f"| {loss} | {plain:.0f} | {led:.0f} | {ratio:.3f} |")
        print(lines[-1], flush=True)
    settings = f"--pairs {given.pairs} --size {given.size}"
    lines += ["", f"    python benchmarks/embedding_cost.py {settings} --out docs/results/embedding_cost.md"]
    if given.out:
        given.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
