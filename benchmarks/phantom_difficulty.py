"""How hard the phantom's eight classes are for classifiers that know little; what may not tell a view.

    sonoprior data phantom out/phantom --overlay-masks
    python benchmarks/phantom_difficulty.py out/phantom

Prints test accuracy and balanced accuracy of the commonest class, and of classifiers on the mean grey level,
on what is burnt in (for a set that keeps its masks), on thumbnails of 8 x 8 and of 24 x 24; their strength is
chosen on the validation part. A network to compare with is the variant `plain` of the study `phantom-pga`.
"""

import argparse
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.images import read_grey
from sonoprior.cases.phantom.burnt_in import OVERLAYS

Features = NDArray[np.float64]
STRENGTHS = (0.001, 0.01, 0.1)
MARGINS = (1.0, 10.0)


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The image at another size."""
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def thumbnails(images: Sequence[NDArray[np.uint8]], side: int) -> Features:
    """Shrunk images as rows."""
    return np.stack([shrunk(image, side).ravel() for image in images]).astype(np.float64)


def burnt_in(cases: CaseSet, i: int) -> NDArray[np.uint8]:
    """Where each burnt-in mark stands, as thumbnails of 16 x 16."""
    paths = [cases.path(i, f"map.{name}") for name in OVERLAYS]
    return np.concatenate([shrunk(read_grey(path), 16).ravel() for path in paths if path is not None])


def linear() -> list[Pipeline]:
    """Logistic regressions of several strengths."""
    return [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=3000)) for c in STRENGTHS]


def curved() -> list[Pipeline]:
    """Support vector machines with a Gaussian kernel, of several margins."""
    return [make_pipeline(StandardScaler(), SVC(C=c)) for c in MARGINS]


def scored(models: list[Pipeline], features: Features, cases: CaseSet) -> tuple[float, float]:
    """Test accuracy and balanced accuracy of the model that is best on the validation part."""
    labels, split = cases.labels("plane"), cases.column("split")
    train, chosen, test = (
        np.flatnonzero((labels >= 0) & (split == part)) for part in ("train", "validation", "test")
    )
    fitted = [model.fit(features[train], labels[train]) for model in models]
    best = max(fitted, key=lambda model: model.score(features[chosen], labels[chosen]))
    named = best.predict(features[test])
    return float((named == labels[test]).mean()), float(balanced_accuracy_score(labels[test], named))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("case_set")
    cases = CaseSet.open(parser.parse_args().case_set)
    labels = cases.labels("plane")
    tested = np.bincount(labels[(labels >= 0) & (cases.column("split") == "test")])
    rows = {"commonest class": (tested.max() / tested.sum(), 1 / len(tested))}
    images = [cases.read_image(i) for i in range(len(cases))]
    rows["mean grey level"] = scored(linear(), np.array([[image.mean()] for image in images]), cases)
    if cases.members("map"):
        marks = np.stack([burnt_in(cases, i) for i in range(len(cases))]).astype(np.float64)
        rows["what is burnt in"] = scored(linear(), marks, cases)
    rows["8 x 8, linear"] = scored(linear(), thumbnails(images, 8), cases)
    rows["24 x 24, kernel"] = scored(curved(), thumbnails(images, 24), cases)
    print(f"{cases.info.name}, {tested.sum()} test frames: accuracy, balanced accuracy")
    for name, (accuracy, balanced) in rows.items():
        print(f"  {name:<20} {100 * accuracy:5.1f} %  {100 * balanced:5.1f} %")


if __name__ == "__main__":
    main()
