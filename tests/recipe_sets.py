"""The smallest case sets on which every recipe trains: lesions, simulated exams, faces, birds."""

from pathlib import Path

import numpy as np
from PIL import Image

from import_trees import run
from made_study import write_cases
from sonoprior.cases import CaseSet
from sonoprior.cases.phantom import Confounder, make_phantom

_LIST = Path("EmoLabel", "list_patition_label.txt")
_BIRDS = {  # two genera in each half of two families, so that an open set has a hierarchy on both sides
    1: "Black_footed_Albatross", 2: "Laysan_Albatross", 3: "Sooty_Albatross", 5: "Crested_Auklet",
    6: "Least_Auklet", 8: "Rhinoceros_Auklet", 14: "Indigo_Bunting", 15: "Lazuli_Bunting", 17: "Cardinal",
    29: "American_Crow", 30: "Fish_Crow", 73: "Blue_Jay",
}  # fmt: skip
_MEAN_FACE = {  # the middles of the parts, as shares of the face's box, with their numbers in the 68 points
    "jaw": (range(1, 18), (0.5, 0.9)),
    "left brow": (range(18, 23), (0.3, 0.25)),
    "right brow": (range(23, 28), (0.7, 0.25)),
    "nose": (range(28, 37), (0.5, 0.5)),
    "left eye": (range(37, 43), (0.3, 0.35)),
    "right eye": (range(43, 49), (0.7, 0.35)),
    "mouth": (range(49, 69), (0.5, 0.75)),
}


def made_lesions(folder: Path) -> CaseSet:
    """Benign, malignant and normal images, as a set like BUSI."""
    return CaseSet.open(write_cases(folder, cases=48))


def made_exams(folder: Path) -> CaseSet:
    """Simulated exams, all frames outlined, with a mark that goes with a class."""
    confounder = Confounder("logo", "adnexa and ovary")
    settings = {"patients": 14, "frames": 180, "size": 64, "outline_fraction": 1.0, "unlabelled": 0.0}
    return make_phantom(folder, jobs=1, confounder=confounder, **settings)


def made_views(folder: Path) -> CaseSet:
    """Simulated exams of as many patients as it takes to have every view in every part."""
    settings = {"patients": 40, "frames": 520, "size": 64, "outline_fraction": 1.0, "unlabelled": 0.0}
    return make_phantom(folder, jobs=1, **settings)


def made_abdomens(folder: Path) -> CaseSet:
    """Simulated exams of the abdomen, half of them labelled."""
    return make_phantom(folder, kit="abdomen", jobs=1, patients=22, size=64, unlabelled=0.4)


def made_organs(folder: Path) -> CaseSet:
    """Simulated exams of as many patients as it takes to have every organ in each of five folds."""
    return make_phantom(folder, kit="abdomen", jobs=1, patients=40, size=64, unlabelled=0.4)


def made_scans(folder: Path) -> CaseSet:
    """Simulated fetal scans of as many patients as it takes to have every plane in every part."""
    return make_phantom(folder, kit="fetal-planes", jobs=1, patients=40, size=64)


def made_faces(folder: Path, form: str = "aligned") -> CaseSet:
    """Faces of seven expressions in a made RAF-DB tree, through its importer."""
    root, random = folder / "tree" / "basic", np.random.default_rng(0)
    names = [f"train_{n:05}" for n in range(42)] + [f"test_{n:04}" for n in range(14)]
    rows = ["image," + ",".join(f"x{n},y{n}" for n in range(1, 69))]
    for number, name in enumerate(names):
        grey, points = _face(random, expression=number % 7)
        for file in (f"aligned/{name}_aligned.jpg", f"original/{name}.jpg"):
            path = root / "Image" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(grey).save(path, quality=95)
        _written(root / "Annotation" / "boundingbox" / f"{name}_boundingbox.txt", "20 20 80 80\n")
        rows.append(f"{name}.jpg," + ",".join(f"{value:.2f}" for value in points.ravel()))
    _written(root / _LIST, "".join(f"{name}.jpg {number % 7 + 1}\n" for number, name in enumerate(names)))
    landmarks = _written(folder / "tree" / "landmarks.csv", "\n".join(rows) + "\n")
    return run("rafdb", root, folder / form, form=form, landmarks=landmarks)[1]


def made_birds(folder: Path, each: int = 20) -> CaseSet:
    """Twelve species in a made CUB-200-2011 tree, imported; a species is a grey level and a stripe."""
    root, random = folder / "tree" / "CUB_200_2011", np.random.default_rng(0)
    classes = [f"{number:03}.{name}" for number, name in _BIRDS.items()]
    names = [f"{name}/{name[4:]}_{number:04}.jpg" for name in classes for number in range(each)]
    label_of = [1 + at // each for at in range(len(names))]
    for name, label in zip(names, label_of, strict=True):
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.normal(40 + 12 * label, 15, (80, 96, 3))
        pixels[5 * label : 5 * label + 6] += 80
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=95)
    lists = {
        "images.txt": names,
        "image_class_labels.txt": label_of,
        "train_test_split.txt": [at % 2 for at in range(len(names))],
        "bounding_boxes.txt": ["8.0 6.0 80.0 70.0"] * len(names),
        "classes.txt": classes,
    }
    for file, rows in lists.items():
        _written(root / file, "".join(f"{number} {row}\n" for number, row in enumerate(rows, start=1)))
    return run("cub", root, folder / "birds")[1]


def _face(random: np.random.Generator, expression: int) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture of 100 x 100 pixels, brighter where the landmarks are; and the landmarks, (68, 2)."""
    middles = {n: middle for numbers, middle in _MEAN_FACE.values() for n in numbers}
    points = np.array([middles[n] for n in range(1, 69)]) * 60 + 20 + random.normal(0, 2, (68, 2))
    points[48:, 1] += expression  # the mouth tells the expression
    grey = random.normal(100, 15, (100, 100))
    columns, rows = np.rint(points).astype(int).clip(0, 99).T
    grey[rows, columns] += 90
    return grey.clip(0, 255).astype(np.uint8), points


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
