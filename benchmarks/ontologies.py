"""How long an ontology takes to be read.

    python benchmarks/ontologies.py FILE... [--out docs/results/ontologies.md]

Three readings of each, of which the fastest counts. Goal: the 1,292 classes of the SUOG extract in under 2
seconds. On a busy machine the seconds of computing say more than those on the clock.
"""

import argparse
import platform
import time
from pathlib import Path

from sonoprior.knowledge import Ontology, read_ontology

READINGS = 3


def timed(source: str) -> tuple[float, float, Ontology]:
    """Seconds of one reading on the clock and of computing, and what was read."""
    clock, computing = time.perf_counter(), time.process_time()
    ontology = read_ontology(source)
    return time.perf_counter() - clock, time.process_time() - computing, ontology


def row(source: str) -> str:
    """A row of the table: the fastest reading of a file."""
    readings = [timed(source) for _ in range(READINGS)]
    clock, computing, ontology = min(readings, key=lambda reading: reading[0])
    return f"| {Path(source).name} | {len(ontology.terms):,} | {clock:.2f} | {computing:.2f} |"


def main() -> None:
    """Time each file, print, and keep the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = [
        "# Reading an ontology",
        "",
        f"The fastest of {READINGS} readings, on {platform.machine()}, Python {platform.python_version()}.",
        "Goal: the 1,292 classes of the SUOG extract in under 2 seconds.",
        "",
        "| ontology | terms | seconds | of computing |",
        "|---|--:|--:|--:|",
    ]
    print("\n".join(lines), flush=True)
    for source in given.files:
        lines.append(row(source))
        print(lines[-1], flush=True)
    if given.out is not None:
        names = " ".join(Path(source).name for source in given.files)
        command = f"    python benchmarks/ontologies.py {names} --out docs/results/ontologies.md"
        given.out.write_text("\n".join([*lines, "", command]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
