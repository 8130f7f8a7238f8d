"""Whether loading can be the bottleneck: images a second of the loader alone, beside those of training.

    python benchmarks/loader.py [--rounds 15] [--size 112] [--cases 780] [--threads 2] [--device cpu]
                                [--out docs/results/loader.md]

The loader augments and has one prior map on 23 % of the cases; the network is a small one (timm
regnetx_002, one input channel, forward, backward and Adam), batch 32. Loader alone, training alone on a
batch that is already there, and training fed by the loader take turns in one run; figures are medians over
the rounds. Goal: the loader alone delivers 5 times what training alone uses. Exit status 1 if it does not.
"""

import argparse
import platform
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import cv2
import numpy as np
import timm
import torch
from torch.nn.functional import cross_entropy

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo, PriorSpec
from sonoprior.cases.loading import AugmentSpec, Batch, Cache, Loader

BATCH, FRACTION, GOAL = 32, 0.23, 5.0
CLASSES = ("benign", "malignant", "normal")


def write_cases(folder: Path, cases: int) -> CaseSet:
    """Speckled images of 500 x 400 pixels, one lesion outlined on 23 % of them."""
    random = np.random.default_rng(0)
    info = DatasetInfo(name="benchmark", levels={"diagnosis": list(CLASSES)}, zones=["lesion"])
    with CaseSetWriter(folder, info) as writer:
        for case in range(cases):
            image = random.integers(0, 256, (400, 500), dtype=np.uint8)
            outline = np.zeros((400, 500), np.uint8)
            cv2.circle(outline, random.integers(100, 300, 2).tolist(), 60, 1, -1)
            drawn = {"lesion": outline.astype(bool)} if random.random() < FRACTION else {}
            writer.add(f"{case}", image, labels={"diagnosis": CLASSES[case % 3]}, outlines=drawn)
    return CaseSet.open(folder)


class Training:
    """A small network in training."""

    def __init__(self, device: str) -> None:
        torch.manual_seed(0)
        self._network = timm.create_model("regnetx_002", in_chans=1, num_classes=len(CLASSES)).to(device)
        self._optimiser = torch.optim.Adam(self._network.parameters())

    def step(self, batch: Batch) -> None:
        """Forward, backward, Adam; waits for the device to be done."""
        loss = cross_entropy(self._network(batch["image"]), batch["label.diagnosis"])
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        loss.item()


def endless(loader: Loader) -> Iterator[Batch]:
    """Epoch after epoch."""
    return chain.from_iterable(loader.epoch(epoch) for epoch in count())


def rate(step: Callable[[], object], steps: int) -> float:
    """Images a second over some steps."""
    begin = perf_counter()
    for _ in range(steps):
        step()
    return steps * BATCH / (perf_counter() - begin)


def measure(loader: Loader, training: Training, rounds: int) -> dict[str, list[float]]:
    """Images a second of each way, a value a round."""
    ready = next(loader.epoch(0))
    alone, feeding = endless(loader), endless(loader)
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "loader alone": (lambda: next(alone), 16),
        "training alone": (lambda: training.step(ready), 4),
        "training fed by the loader": (lambda: training.step(next(feeding)), 4),
    }
    for step, _ in ways.values():  # the first time of everything is slower
        step()
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (step, steps) in ways.items():
            rates[name].append(rate(step, steps))
    return rates


def row(name: str, values: list[float], form: str) -> str:
    """A line of the table."""
    return f"| {name} | {median(values):{form}} | {min(values):{form}} | {max(values):{form}} |"


def report(rates: dict[str, list[float]], settings: str) -> tuple[str, float]:
    """A table in Markdown, and the ratio of the loader to training."""
    ratios = [a / b for a, b in zip(rates["loader alone"], rates["training alone"], strict=True)]
    columns = ("median", "lowest", "highest")
    lines = [settings, "", f"| images a second | {' | '.join(columns)} |", "|---|---|---|---|"]
    lines += [row(name, values, ".0f") for name, values in rates.items()]
    lines += [row("ratio of loader to training, alone", ratios, ".1f")]
    return "\n".join(lines), median(ratios)


def main() -> int:
    """Measure, print, and keep the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--cases", type=int, default=780)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    with TemporaryDirectory() as folder:
        case_set = write_cases(Path(folder) / "set", chosen.cases)
        begin = perf_counter()
        cache = Cache.build(case_set, Path(folder), size=chosen.size, priors=PriorSpec())
        built = chosen.cases / (perf_counter() - begin)
        loader = Loader(
            cache,
            range(chosen.cases),
            batch_size=BATCH,
            augment=AugmentSpec(),
            drop_last=True,
            device=chosen.device,
        )
        rates = measure(loader, Training(chosen.device), chosen.rounds)
    settings = (
        f"{chosen.size} x {chosen.size}, batch {BATCH}, {chosen.threads} threads of {platform.machine()},"
        f" device {chosen.device}, torch {torch.__version__}, {chosen.rounds} rounds;"
        f" the cache was written at {built:.0f} images a second."
    )
    text, ratio = report(rates, settings)
    print(text)
    if chosen.out is not None:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(f"# Loading beside training\n\n`python benchmarks/loader.py`: {text}\n")
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
