"""How long it takes to evaluate retrieval among many cases, and how much memory.

    python benchmarks/neighbours.py                # 50,000 x 50,000, in minutes and less than 2 GiB
    python benchmarks/neighbours.py --cases 5000

The embeddings are random, of length 128 around 18 classes in 5 meta-classes, in exams of 20 images that are
never each other's neighbours. The matrix of similarities alone would take 9.3 GiB.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import TypeVar

from sonoprior.core.randomness import generator
from sonoprior.metrics.neighbours import DISTANCES, Embedded, nearest
from sonoprior.metrics.retrieval import retrieval

LENGTH, CLASSES, META, EXAM = 128, 18, 5, 20

Result = TypeVar("Result")


def timed(text: str, work: Callable[[], Result]) -> Result:
    """The result of some work; its seconds, and the peak memory of the process so far, printed."""
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {text}: {seconds:.1f} s, peak memory {memory:.2f} GiB", flush=True)
    return result


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--cases", type=int, default=50_000)
    size = options.parse_args().cases
    rng = generator(0, "neighbours")
    views = rng.integers(0, CLASSES, size)
    around = rng.standard_normal((CLASSES, LENGTH))[views]
    exams = rng.permutation(size) // EXAM
    cases = Embedded(around + 3 * rng.standard_normal((size, LENGTH)), exams)
    print(f"{size:,} x {size:,} cases")
    for distance in DISTANCES:
        timed(f"10 nearest, {distance}", lambda distance=distance: nearest(cases, k=10, distance=distance))
    labels = {"view": views, "meta-view": views % META}
    found = timed("recall, R-precision and MAP@R at two levels", lambda: retrieval(cases, labels))
    for level, means in found.means().items():
        print(f"  {level}: " + ", ".join(f"{name} {value:.3f}" for name, value in means.items()))


if __name__ == "__main__":
    main()
