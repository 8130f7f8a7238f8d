"""How many frames a second the phantom makes on one core, from patient to picture with its zones.

    python benchmarks/phantom_speed.py [--frames 200] [--size 256] [--kit early-pregnancy]

Prints frames a second of processor time and of wall time, so that a busy machine does not hide the figure;
the goal is 20 frames of 256 x 256 a second on one core. The time of drawing the patients is included, that of
writing files is not.
"""

import argparse
import os
import time

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import cv2  # noqa: E402 - the number of threads must be set before

from sonoprior.cases.phantom import KITS  # noqa: E402
from sonoprior.cases.phantom.plan import Visit  # noqa: E402

GOAL = 20.0
PER_PATIENT = 20


def measure(name: str, frames: int, size: int) -> tuple[float, float]:
    """Frames a second of processor and of wall time, over as many patients as the frames need."""
    kit = KITS.load(name)
    settings = kit.choose({"size": size})
    kit.records_of(Visit(0, "train", 5), settings)
    wall, processor, made = time.perf_counter(), time.process_time(), 0
    for number in range(1, 1 + -(-frames // PER_PATIENT)):
        made += len(kit.records_of(Visit(number, "train", PER_PATIENT), settings))
    return made / (time.process_time() - processor), made / (time.perf_counter() - wall)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--kit", default="early-pregnancy")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    processor, wall = measure(given.kit, given.frames, given.size)
    print(f"{given.kit}, {given.size} x {given.size}, one thread")
    print(f"  {processor:.1f} frames a second of processor time (goal {GOAL:.0f})")
    print(f"  {wall:.1f} frames a second of wall time, with whatever else runs on this machine")


if __name__ == "__main__":
    main()
