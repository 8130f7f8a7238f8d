"""How long an ontology takes to be read.

    python benchmarks/ontologies.py FILE...        # three readings of each, the fastest counts

Goal: the 1,292 classes of the SUOG extract in under 2 seconds. On a busy machine the seconds of computing say
more than those on the clock.
"""

import argparse
import time

from sonoprior.knowledge import Ontology, read_ontology

READINGS = 3


def timed(source: str) -> tuple[float, float, Ontology]:
    """Seconds of one reading on the clock and of computing, and what was read."""
    clock, computing = time.perf_counter(), time.process_time()
    ontology = read_ontology(source)
    return time.perf_counter() - clock, time.process_time() - computing, ontology


def main() -> None:
    """Time each file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+")
    for source in parser.parse_args().files:
        readings = [timed(source) for _ in range(READINGS)]
        clock, computing, ontology = min(readings, key=lambda reading: reading[0])
        print(f"{ontology.name}: {len(ontology.terms):,} terms in {clock:.2f} s, computing {computing:.2f} s")


if __name__ == "__main__":
    main()
