"""How long the search for near-duplicates takes, and what it finds.

    python benchmarks/duplicates.py                # 1,000 images from files, 100,000 as sketches: 10 minutes
    python benchmarks/duplicates.py --sketches 20000

The files are PNGs of 640 x 480 pixels, read and searched as `sonoprior data audit` does. Writing 100,000 of
them would take longer than the search, so the large run starts from sketches, which is all that the search
ever sees; the seconds for reading are computed from the rate measured on the files. One image in fifty is a
copy of another: re-encoded as JPEG, cropped by up to 5 % and brightened by up to 10 %.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from sonoprior.cases.duplicates import Duplicates, Sketches, duplicates_among
from sonoprior.cases.duplicates.sketches import SIDE, small_picture
from sonoprior.cases.images import read_grey
from sonoprior.core.randomness import generator

ONE_IN = 50

Result = TypeVar("Result")


def speckle(number: int, height: int, width: int) -> np.ndarray:
    """Layers and lesions under speckle in a sector-less frame, (height, width) uint8."""
    rng = generator(0, "benchmark", number)
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    echo = np.full((height, width), rng.uniform(0.5, 1), np.float32)
    for _ in range(rng.integers(3, 7)):
        distance = rows - rng.uniform() - rng.uniform(-0.2, 0.2) * columns
        echo += rng.uniform(-0.4, 1.5) * np.exp(-((distance / rng.uniform(0.02, 0.08)) ** 2))
    for _ in range(rng.integers(1, 4)):
        (row, column), (tall, wide) = rng.uniform(0.2, 0.8, 2), rng.uniform(0.05, 0.2, 2)
        echo[((rows - row) / tall) ** 2 + ((columns - column) / wide) ** 2 < 1] *= rng.uniform(0.05, 0.6)
    echo = np.maximum(echo, 0.02) * np.exp(-rows * rng.uniform(0.5, 2.5))
    grain = rng.standard_normal((2, height, width), np.float32)
    real, imaginary = (
        cv2.GaussianBlur(part, (0, 0), sigmaX=width / 180, sigmaY=width / 360) for part in grain
    )
    decibel = 20 * np.log10(np.hypot(real, imaginary) * echo + 1e-6)
    return np.clip((decibel - decibel.max() + 60) / 60 * 255, 0, 255).astype(np.uint8)


def copy(image: np.ndarray, number: int) -> np.ndarray:
    """Cropped by up to 5 % of each side, up to 10 % brighter, and through a JPEG."""
    rng = generator(0, "copy", number)
    height, width = image.shape
    (lost_rows, lost_columns), (above, before) = rng.uniform(0, 0.05, 2), rng.uniform(0, 1, 2)
    top, left = round(height * lost_rows * above), round(width * lost_columns * before)
    bottom, right = round(height * lost_rows * (1 - above)), round(width * lost_columns * (1 - before))
    cropped = image[top : height - bottom, left : width - right]
    brighter = np.clip(cropped * rng.uniform(1, 1.1), 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 95))]
    return cv2.imdecode(cv2.imencode(".jpg", brighter, quality)[1], cv2.IMREAD_GRAYSCALE)


def image(number: int, height: int, width: int) -> np.ndarray:
    """The image with this number; one in `ONE_IN` is a copy of the one before."""
    if number % ONE_IN == 1:
        return copy(speckle(number - 1, height, width), number)
    return speckle(number, height, width)


def timed(text: str, count: int, work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds and result of some work, printed with the seconds of all processors together."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(
        f"  {text}: {seconds:.1f} s ({cpu:.1f} s of processor time), {1000 * seconds / count:.2f} ms an image"
    )
    return seconds, result


def judge(found: Duplicates) -> None:
    """How many planted copies were found, and how many pairs are false."""
    planted = {(number - 1, number) for number in range(1, len(found.groups), ONE_IN)}
    pairs = {(i, j) for i, j, _ in found.near} | set(found.exact)
    hits = len(pairs & planted)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  found {hits} of {len(planted)} copies ({hits / len(planted):.1%})")
    print(f"  {len(pairs) - hits} false pairs; peak memory {memory:.2f} GB", flush=True)


def from_files(count: int) -> float:
    """Read and search files; seconds of reading an image."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.png" for number in range(count)]
        for number, path in enumerate(paths):
            cv2.imwrite(str(path), image(number, 480, 640))
        print(f"{count:,} PNG files of 640 x 480")
        seconds, sketches = timed(
            "  read", count, lambda: Sketches.read(lambda i: read_grey(paths[i]), count)
        )
        judge(timed("search", count, lambda: duplicates_among(sketches))[1])
    return seconds / count


def from_sketches(count: int, reading: float) -> None:
    """Search among sketches of images that were never written."""
    pictures = np.zeros((count, SIDE, SIDE), np.uint8)
    for number in range(count):
        pictures[number] = small_picture(image(number, SIDE * 3 // 2, SIDE * 3 // 2))
    sketches = Sketches(pictures, [str(number) for number in range(count)], {})
    print(f"{count:,} sketches; reading as many files would take {reading * count:.0f} s")
    judge(timed("search", count, lambda: duplicates_among(sketches))[1])


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--files", type=int, default=1_000)
    options.add_argument("--sketches", type=int, default=100_000)
    chosen = options.parse_args()
    from_sketches(chosen.sketches, from_files(chosen.files))


if __name__ == "__main__":
    main()
