"""What a guided training step costs beside a plain one.

    python benchmarks/pga_cost.py [--pairs 20] [--size 112] [--only resnet50] [--out docs/results/pga_cost.md]

For each network and tap, with 23 % and with 100 % of the images having a prior, one thread and all: the
milliseconds of a plain step (forward and backward of the cross-entropy), of a guided step, and of the naive
way (a hook, `autograd.grad(logits.sum(), features, create_graph=True)` over the whole batch), interleaved in
one run, each beside the bound 1 + the tail's share of the operations. Ratios are medians over the pairs.
"""

import argparse
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from sonoprior.models import ModelSpec, Tap, build_network
from sonoprior.objectives import PriorGuidedAttribution
from sonoprior.objectives.prior_guided_attribution import privileged_attribution_term
from sonoprior.objectives.settings import PriorGuidedAttributionSettings

BATCH = 32
CLASSES = 3
CASES = (
    ("resnet50", "last"),
    ("resnet50", "stage3"),
    ("vgg16", "default"),
    ("regnetx_002", "stage3"),
    ("test_resnet", "stage2"),
)
FRACTIONS = (0.23, 1.0)

Times = dict[str, list[float]]


@dataclass
class Setting:
    """One network at one tap, with a batch for it."""

    network: nn.Module
    tap: Tap
    images: Tensor
    labels: Tensor
    priors: Tensor


def setting(backbone: str, tap: str, size: int) -> Setting:
    """The network in training mode, and a batch with an outline on every image."""
    torch.manual_seed(0)
    network, place = build_network(ModelSpec(backbone=backbone, tap=tap), CLASSES)
    priors = torch.zeros(BATCH, 1, size, size)
    priors[:, :, size // 4 : size // 2, size // 3 : size // 2] = 1
    images = torch.rand(BATCH, 1, size, size)
    return Setting(network.train(), place, images, torch.arange(BATCH) % CLASSES, priors)


def tail_share(at: Setting) -> float:
    """The share of the forward pass's operations that come after the tap."""

    class AtTapError(Exception):
        pass

    def stop(*_: object) -> None:
        raise AtTapError

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        at.network(at.images[:2])
    everything = counter.get_total_flops()
    handle = at.tap.module(at.network).register_forward_hook(stop)
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            at.network(at.images[:2])
    except AtTapError:
        pass
    finally:
        handle.remove()
    return 1 - counter.get_total_flops() / everything


def plain_step(at: Setting) -> None:
    """Forward and backward of the cross-entropy."""
    functional.cross_entropy(at.network(at.images), at.labels).backward()


def guided_step(at: Setting, guided: PriorGuidedAttribution, present: Tensor) -> None:
    """The same with guidance."""
    logits, term = guided(at.images, at.priors, present)
    (functional.cross_entropy(logits, at.labels) + term).backward()


def naive_step(at: Setting, present: Tensor) -> None:
    """Guidance as one would write it first."""
    with at.tap.capture(at.network) as captured:
        logits = at.network(at.images)
    (gradient,) = torch.autograd.grad(logits.sum(), captured.features, create_graph=True)
    maps = gradient.abs() * captured.features
    term = privileged_attribution_term(maps, at.priors, present, PriorGuidedAttributionSettings())
    (functional.cross_entropy(logits, at.labels) + term.total / term.count).backward()


def seconds(step: Callable[[], None], network: nn.Module) -> float:
    """The time of one step, with the gradients cleared outside of it."""
    network.zero_grad(set_to_none=True)
    begin = perf_counter()
    step()
    return perf_counter() - begin


def compare(at: Setting, fraction: float, pairs: int) -> Times:
    """Seconds of each kind of step, taken in turn."""
    present = (torch.arange(BATCH) < round(fraction * BATCH))[:, None]
    guided = PriorGuidedAttribution(at.network, at.tap.layer)
    steps: dict[str, Callable[[], None]] = {
        "plain": lambda: plain_step(at),
        "guided": lambda: guided_step(at, guided, present),
        "naive": lambda: naive_step(at, present),
    }
    times: Times = {name: [] for name in steps}
    for turn in range(pairs + 1):
        for name, step in steps.items():
            taken = seconds(step, at.network)
            if turn:  # the first turn warms up
                times[name].append(taken)
    return times


def row(case: tuple[str, str], threads: int, fraction: float, share: float, times: Times) -> str:
    """One line of the table."""
    backbone, tap = case
    ratio = {
        name: median(mine / plain for mine, plain in zip(times[name], times["plain"], strict=True))
        for name in ("guided", "naive")
    }
    milliseconds = " | ".join(f"{1000 * median(times[name]):.0f}" for name in ("plain", "guided", "naive"))
    return (
        f"| {backbone} | {tap} | {threads} | {fraction:.0%} | {milliseconds} | {1 + share:.2f} |"
        f" {ratio['guided']:.2f} | {ratio['naive']:.2f} |"
    )


def heading(size: int, pairs: int) -> list[str]:
    """What was measured on what, and the head of the table."""
    machine = f"torch {torch.__version__}, Python {platform.python_version()}"
    columns = (
        *("network", "tap", "threads", "with prior", "plain ms", "guided ms", "naive ms"),
        *("1 + tail's share", "guided / plain", "naive / plain"),
    )
    return [
        f"Batch {BATCH}, {size} x {size}, {pairs} interleaved turns, {machine}.",
        "",
        f"| {' | '.join(columns)} |",
        "|" + "---|" * len(columns),
    ]


def main() -> None:
    """Measure, print, and write the table if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = heading(arguments.size, arguments.pairs)
    print("\n".join(lines))
    for backbone, tap in CASES:
        if arguments.only not in backbone:
            continue
        at = setting(backbone, tap, arguments.size)
        share = tail_share(at)
        for threads in sorted({1, torch.get_num_threads()}):
            torch.set_num_threads(threads)
            for fraction in FRACTIONS:
                times = compare(at, fraction, arguments.pairs)
                lines.append(row((backbone, tap), threads, fraction, share, times))
                print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
