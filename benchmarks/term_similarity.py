"""How long the similarities of all pairs of terms take, in an ontology of the size of the SUOG extract.

    python benchmarks/term_similarity.py                  # 1,292 terms: seconds
    python benchmarks/term_similarity.py --terms 5000

The ontology is drawn at random: five roots, each other term under an earlier one, one in ten under two. The
sets are those of an archive of 3,000 images with one to eleven codes each.
"""

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

from sonoprior.core.randomness import generator
from sonoprior.knowledge import IS_A, Edge, Ontology, Term
from sonoprior.knowledge.ancestry import Ancestry
from sonoprior.knowledge.sets import COMBINATIONS, set_similarity
from sonoprior.knowledge.similarity import MEASURES, term_similarity

ROOTS = 5

Result = TypeVar("Result")


def drawn(size: int) -> Ontology:
    """An ontology of random terms."""
    rng = generator(0, "ontology")
    edges = []
    for child in range(ROOTS, size):
        parents = {int(parent) for parent in rng.integers(0, child, 2 if rng.random() < 0.1 else 1)}
        edges += [Edge(str(child), IS_A, str(parent)) for parent in sorted(parents)]
    return Ontology("drawn", [Term(str(number), str(number)) for number in range(size)], edges)


def timed(text: str, work: Callable[[], Result]) -> Result:
    """The result of some work, its seconds printed."""
    start = time.perf_counter()
    result = work()
    print(f"  {text}: {time.perf_counter() - start:.3f} s", flush=True)
    return result


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--terms", type=int, default=1_292)
    options.add_argument("--images", type=int, default=3_000)
    chosen = options.parse_args()
    ontology, rng = drawn(chosen.terms), generator(0, "images")
    print(f"{chosen.terms:,} x {chosen.terms:,} terms")
    timed("ancestors", lambda: Ancestry(ontology))
    for name in MEASURES.names():
        timed(name, lambda name=name: term_similarity(ontology, name))
    similarity = term_similarity(ontology)
    images = [rng.choice(ontology.order, rng.integers(1, 12)).tolist() for _ in range(chosen.images)]
    print(f"{chosen.images:,} x {chosen.images:,} sets of terms")
    for how in COMBINATIONS:
        timed(how, lambda how=how: set_similarity(images, images, similarity, how))


if __name__ == "__main__":
    main()
