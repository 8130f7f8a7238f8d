"""How long it takes to evaluate retrieval among many cases, and how much memory.

    python benchmarks/neighbours.py [--cases 50000] [--out docs/results/neighbours.md]

The embeddings are random, of length 128 around 18 classes in 5 meta-classes, in exams of 20 images that are
never each other's neighbours. Exits with 1 if the process needed more memory than the goal.
"""

import argparse
import platform
import resource
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from sonoprior.core.randomness import generator
from sonoprior.metrics.neighbours import DISTANCES, Embedded, nearest
from sonoprior.metrics.retrieval import retrieval

LENGTH, CLASSES, META, EXAM = 128, 18, 5, 20
GOAL = 2.0  # GiB


def row(text: str, work: Callable[[], object]) -> str:
    """A row of the table: the seconds of some work, and the peak memory of the process so far."""
    start = perf_counter()
    work()
    return f"| {text} | {perf_counter() - start:.0f} | {peak():.2f} |"


def peak() -> float:
    """The highest resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> int:
    """Measure, print, and keep the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    size, rng = chosen.cases, generator(0, "neighbours")
    views = rng.integers(0, CLASSES, size)
    around = rng.standard_normal((CLASSES, LENGTH))[views]
    exams = rng.permutation(size) // EXAM
    cases = Embedded(around + 3 * rng.standard_normal((size, LENGTH)), exams)
    labels = {"view": views, "meta-view": views % META}
    lines = [
        "# Evaluating retrieval among many cases",
        "",
        f"{size:,} cases, each compared with all the others but those of its exam; embeddings of length",
        f"{LENGTH}, on {platform.machine()}. The matrix of similarities alone would take",
        f"{4 * size**2 / 2**30:.1f} GiB; libraries and cases took {peak():.2f} before. Goal: {GOAL:g}.",
        "",
        "| what | seconds | highest memory so far, GiB |",
        "|---|--:|--:|",
    ]
    print("\n".join(lines), flush=True)
    tasks: dict[str, Callable[[], object]] = {
        f"the 10 nearest, {name}": lambda name=name: nearest(cases, k=10, distance=name) for name in DISTANCES
    }
    tasks["recalls, R-precision and MAP@R at two levels"] = lambda: retrieval(cases, labels)
    for text, work in tasks.items():
        lines.append(row(text, work))
        print(lines[-1], flush=True)
    if chosen.out is not None:
        command = "    python benchmarks/neighbours.py --out docs/results/neighbours.md"
        chosen.out.write_text("\n".join([*lines, "", command]) + "\n", encoding="utf-8")
    return 0 if peak() < GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
