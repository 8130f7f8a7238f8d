"""Whether two views of unlabelled frames are ready faster than a ResNet18 uses them up.

    python benchmarks/two_views.py [--rounds 5] [--size 224] [--batch 16] [--threads 2]
                                   [--out docs/results/two_views.md]

Both policies of views: "two" (both strong), learnt from by deep clustering, two forward passes with a
gradient; and "weak-strong", learnt from by FixMatch, one without and one with. A step is that, the backward
passes and Adam. The frames are fans of speckle of 640 x 480 pixels, so that sectors are found and everything
in the strong policy has work. Loader alone, training alone on a batch that is already there, and training fed
by the loader take turns in one run; figures are medians over the rounds, ratios are taken within each. Goal:
the loader alone delivers more than training alone uses. Exit status 1 if it does not.
"""

import argparse
import platform
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.loading import Batch, Cache, Loader, ViewLoader
from sonoprior.cases.loading.policies import views
from sonoprior.models import ModelSpec, build_network
from sonoprior.objectives.base import averaged
from sonoprior.objectives.clustering_settings import DeepClusteringSettings
from sonoprior.objectives.deep_clustering import DeepClustering
from sonoprior.objectives.fixmatch import FixMatch
from sonoprior.objectives.semi_supervised_settings import FixMatchSettings

GOAL, OUTPUTS, CASES = 1.0, 12, 192
Views = Mapping[str, Batch]


def write_cases(folder: Path) -> CaseSet:
    """Speckle in a fan of 70 degrees on black."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:480, :640]
    depth, angle = np.hypot(rows + 60, columns - 320), np.arctan2(columns - 320, rows + 60)
    fan = (depth > 80) & (depth < 530) & (abs(angle) < np.deg2rad(35))
    with CaseSetWriter(folder, DatasetInfo(name="benchmark", levels={"organ": ["any"]})) as writer:
        for case in range(CASES):
            speckle = random.rayleigh(50, (480, 640)).clip(1, 255) * fan
            writer.add(f"{case}", speckle.astype(np.uint8))
    return CaseSet.open(folder)


class Training:
    """A ResNet18 that learns from two views."""

    def __init__(self, kind: str) -> None:
        torch.manual_seed(0)
        network, _ = build_network(ModelSpec(backbone="resnet18", tap="last"), OUTPUTS)
        self._network = network.train().to(memory_format=torch.channels_last)
        self._optimiser = torch.optim.Adam(network.parameters())
        self._teaches = kind == "weak-strong"
        fixmatch = FixMatch(FixMatchSettings(threshold=0.0), OUTPUTS)
        self._term = fixmatch if self._teaches else DeepClustering(DeepClusteringSettings())

    def step(self, batch: Views) -> None:
        """Forward passes, backward passes, Adam."""
        first, second = (view["image"] for view in batch.values())
        with torch.set_grad_enabled(not self._teaches):
            before = self._network(first)
        loss = averaged(self._term(before, self._network(second)))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()


def endless(loader: ViewLoader) -> Iterator[Views]:
    """Epoch after epoch."""
    return chain.from_iterable(loader.epoch(epoch) for epoch in count())


def seconds(step: Callable[[], object], steps: int) -> float:
    """The time of one of some steps."""
    begin = perf_counter()
    for _ in range(steps):
        step()
    return (perf_counter() - begin) / steps


def measure(loader: ViewLoader, training: Training, rounds: int) -> dict[str, list[float]]:
    """Seconds a batch of each way, a value a round."""
    ready = next(iter(loader.epoch(0)))
    alone, feeding = endless(loader), endless(loader)
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "loader alone": (lambda: next(alone), 4),
        "training alone": (lambda: training.step(ready), 2),
        "training fed by the loader": (lambda: training.step(next(feeding)), 2),
    }
    for step, _ in ways.values():  # the first time of everything is slower
        step()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (step, steps) in ways.items():
            taken[name].append(seconds(step, steps))
    return taken


def row(kind: str, taken: Mapping[str, list[float]]) -> tuple[str, float]:
    """A line of the table, and how many batches the loader makes while training uses one."""
    loader, alone, fed = taken.values()
    ratios = [a / b for a, b in zip(alone, loader, strict=True)]
    fed_ratio = median(a / b for a, b in zip(fed, alone, strict=True))
    figures = " | ".join(f"{1e3 * median(values):.0f}" for values in taken.values())
    spread = f"{median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    return f"| {kind} | {figures} | {spread} | {fed_ratio:.2f} |", median(ratios)


def main() -> int:
    """Measure, print, and keep the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    lines = [
        "# Two views beside training",
        "",
        f"ResNet18, {chosen.size} x {chosen.size}, batches of {chosen.batch} frames in two views,",
        f"{chosen.threads} threads of {platform.machine()}, torch {torch.__version__},",
        f"{chosen.rounds} rounds in turns.",
        f"Goal: a ratio above {GOAL:g}.",
        "",
        "| views | loader, ms | training, ms | training fed, ms | training / loader | fed / training |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    print("\n".join(lines), flush=True)
    lowest = float("inf")
    with TemporaryDirectory() as folder:
        case_set = write_cases(Path(folder) / "set")
        cache = Cache.build(case_set, Path(folder), size=chosen.size, priors=None)
        for kind in ("two", "weak-strong"):
            loader = Loader(cache, range(CASES), batch_size=chosen.batch, drop_last=True)
            line, ratio = row(kind, measure(ViewLoader(loader, views(kind)), Training(kind), chosen.rounds))
            lowest = min(lowest, ratio)
            lines.append(line)
            print(line, flush=True)
    if chosen.out is not None:
        command = "    python benchmarks/two_views.py --out docs/results/two_views.md"
        chosen.out.write_text("\n".join([*lines, "", command]) + "\n", encoding="utf-8")
    return 0 if lowest > GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
