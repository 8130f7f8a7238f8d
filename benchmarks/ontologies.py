"""How long an ontology takes to be read.

    python benchmarks/ontologies.py FILE...        # three readings of each, the fastest counts

Goal: the 1,292 classes of the SUOG extract in under 2 seconds.
"""

import argparse
import time

from sonoprior.knowledge import Ontology, read_ontology

READINGS = 3


def timed(source: str) -> tuple[float, Ontology]:
    """Seconds of one reading, and what was read."""
    start = time.perf_counter()
    ontology = read_ontology(source)
    return time.perf_counter() - start, ontology


def main() -> None:
    """Time each file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+")
    for source in parser.parse_args().files:
        readings = [timed(source) for _ in range(READINGS)]
        fastest, ontology = min(readings, key=lambda reading: reading[0])
        print(f"{ontology.name}: {len(ontology.terms):,} terms in {fastest:.2f} s")


if __name__ == "__main__":
    main()
