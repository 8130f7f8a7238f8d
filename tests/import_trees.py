"""Small trees of images for the tests of importers, and running one."""

from pathlib import Path

import numpy as np
from PIL import Image

SHAPE = (24, 20)
RNG = np.random.default_rng(0)


def grey(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def put(path: Path, pixels: np.ndarray | None = None) -> Path:
    """Write an image, of noise if none is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey() if pixels is None else pixels).save(path)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def square(top: int, left: int, side: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A white square on black, uint8."""
    drawn = np.zeros(shape, np.uint8)
    drawn[top : top + side, left : left + side] = 255
    return drawn


def run(name: str, source: Path, out: Path, *, strict: bool = False, **options):
    """Import, and open what came of it."""
    from sonoprior.cases import CaseSet
    from sonoprior.cases.importers import IMPORTERS, ImportOptions, import_cases

    report = import_cases(IMPORTERS.load(name)(source, ImportOptions(**options)), out, strict=strict)
    return report, CaseSet.open(out)


def reasons(report) -> str:
    return "\n".join(fault.reason for fault in report.left_out)
