"""A tiny case set, and a recipe that trains on it in a second."""

from pathlib import Path

import numpy as np

CLASSES = ["dark", "bright"]
CASES = 36


def blob(rng: np.random.Generator, bright: bool, side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A disc on speckle, and where it is: bright discs are one class, dark ones the other."""
    rows, columns = np.mgrid[:side, :side]
    row, column = rng.uniform(side * 0.3, side * 0.7, 2)
    disc = (rows - row) ** 2 + (columns - column) ** 2 < (side * 0.2) ** 2
    grey = rng.normal(110, 20, (side, side)) + (70 if bright else -70) * disc
    return grey.clip(0, 255).astype(np.uint8), disc


def write_blobs(folder: Path, cases: int = CASES, **info) -> Path:
    """Two classes in turn; every third case has an outline, one of them an empty one; exams of two images."""
    from sonoprior.cases import EMPTY, CaseSetWriter, DatasetInfo

    rng = np.random.default_rng(0)
    about = {"name": "blobs", "levels": {"tone": CLASSES}, "zones": ["disc"]} | info
    with CaseSetWriter(folder, DatasetInfo(**about)) as writer:
        for number in range(cases):
            image, disc = blob(rng, bright=number % 2 == 1)
            drawn = {} if number % 3 else {"disc": EMPTY if number == 0 else disc}
            label = {"tone": CLASSES[number % 2]}
            writer.add(
                f"case{number:02}",
                image,
                labels=label,
                outlines=drawn,
                exam=f"e{number // 2 % 9}-{number % 2}",
            )
    return folder


TINY = {
    "format": 1,
    "name": "tiny",
    "data": {"size": 32, "priors": {"source": "outlines", "grouping": "one"}},
    "model": {"backbone": "test_resnet", "tap": "stage2", "dropout": 0.2},
    "objectives": {
        "classification": {"type": "cross_entropy"},
        "guidance": {"type": "prior_guided_attribution", "weight": 1.0},
    },
    "training": {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "threads": 1},
    "split": {
        "protocol": "single_split",
        "validation": 0.25,
        "test": 0.25,
        "keep_duplicates_together": False,
    },
    "study": {
        "seeds": 1,
        "variants": {"plain": {"objectives.guidance.weight": 0}, "guided": {"objectives.guidance.weight": 2}},
    },
    "quick": {"training.epochs": 1},
}
