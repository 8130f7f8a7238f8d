"""How long the similarities of all pairs of terms take, in an ontology of the size of the SUOG extract.

    python benchmarks/term_similarity.py [--terms 1292] [--images 3000]
                                         [--out docs/results/term_similarity.md]

The ontology is drawn at random: five roots, each other term under an earlier one, one in ten under two. The
sets are those of an archive of 3,000 images with one to eleven codes each. Goal: all pairs of 1,292 terms in
under a second, by every measure.
"""

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path

from sonoprior.core.randomness import generator
from sonoprior.knowledge import IS_A, Edge, Ontology, Term
from sonoprior.knowledge.ancestry import Ancestry
from sonoprior.knowledge.sets import COMBINATIONS, set_similarity
from sonoprior.knowledge.similarity import MEASURES, term_similarity

ROOTS = 5


def drawn(size: int) -> Ontology:
    """An ontology of random terms."""
    rng = generator(0, "ontology")
    edges = []
    for child in range(ROOTS, size):
        parents = {int(parent) for parent in rng.integers(0, child, 2 if rng.random() < 0.1 else 1)}
        edges += [Edge(str(child), IS_A, str(parent)) for parent in sorted(parents)]
    return Ontology("drawn", [Term(str(number), str(number)) for number in range(size)], edges)


def row(what: str, work: Callable[[], object]) -> str:
    """A row of the table: the seconds of some work."""
    start = time.perf_counter()
    work()
    return f"| {what} | {time.perf_counter() - start:.3f} |"


def main() -> None:
    """Measure, print, and keep the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--terms", type=int, default=1_292)
    parser.add_argument("--images", type=int, default=3_000)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    ontology, rng = drawn(chosen.terms), generator(0, "images")
    images = [rng.choice(ontology.order, rng.integers(1, 12)).tolist() for _ in range(chosen.images)]
    similarity = term_similarity(ontology)
    tasks: dict[str, Callable[[], object]] = {"ancestors": lambda: Ancestry(ontology)}
    for name in MEASURES.names():
        tasks[f"terms by {name}"] = lambda name=name: term_similarity(ontology, name)
    for how in COMBINATIONS:
        tasks[f"sets by {how}"] = lambda how=how: set_similarity(images, images, similarity, how)
    lines = [
        "# The similarity of all pairs of terms, and of sets of terms",
        "",
        f"{chosen.terms:,} x {chosen.terms:,} terms of an ontology drawn at random, and {chosen.images:,} x",
        f"{chosen.images:,} sets of them, on {platform.machine()}, Python {platform.python_version()}.",
        "Goal: the pairs of 1,292 terms in under a second, by every measure.",
        "",
        "| what | seconds |",
        "|---|--:|",
    ]
    print("\n".join(lines), flush=True)
    for what, work in tasks.items():
        lines.append(row(what, work))
        print(lines[-1], flush=True)
    if chosen.out is not None:
        settings = f"--terms {chosen.terms} --images {chosen.images}"
        command = f"    python benchmarks/term_similarity.py {settings} --out docs/results/term_similarity.md"
        chosen.out.write_text("\n".join([*lines, "", command]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
