"""A process whose work in another process never ends; a test kills it: `python endless.py FILE`."""

import sys
import time
from pathlib import Path

from sonoprior.studies.workers import work_through


def endless(_, beating):
    """Go on whether or not anybody listens, and write the time into a file."""
    while True:
        beating.write_text(str(time.monotonic()))
        time.sleep(0.05)


if __name__ == "__main__":
    list(work_through({"endless": (Path(sys.argv[1]),)}, endless, workers=1))
