"""RAF-DB, the real-world affective faces of Li, Deng and Du, with seven basic expressions.

The layout is `basic/EmoLabel/list_patition_label.txt` (so spelt: "train_00001.jpg 5"), the images
`basic/Image/aligned/train_00001_aligned.jpg` and `basic/Image/original/train_00001.jpg`, and the face boxes
`basic/Annotation/boundingbox/train_00001_boundingbox.txt`. Its 68 landmarks come from whoever found them.

The forms follow `000`, section 2.3.3.1. Its RAF-In-The-Wild are random crops around the face from images that
its authors aligned themselves; here they are taken from the photographs, where RAF-DB gives the face's box.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sonoprior.cases.info import DatasetInfo
from sonoprior.cases.inside import Inside
from sonoprior.core.checks import one_of, within
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

from .crop import Crop, grown, moved
from .faces import Box, Points, box_around, face_columns, face_info
from .files import require_folder
from .findings import Findings, Found, ImportOptions, LeftOut, Picture
from .landmark_table import read_landmarks
from .records import check_once

FORMS = ("aligned", "cropped-aligned", "original", "in-the-wild")
# In the order of their numbers in the list, from 1.
EXPRESSIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")

_LIST = Path("EmoLabel", "list_patition_label.txt")
_BOXES = "Annotation/boundingbox"
_MARGINS = {"cropped-aligned": 0.1, "in-the-wild": 0.5}
_LARGEST_MARGIN = 10
_NAME = re.compile(r"(train|test)_\w+\.jpg")
_INFO = {
    "about": "Faces from the internet, labelled with the basic expression that most of 40 raters saw.",
    "levels": {"expression": list(EXPRESSIONS)},
    "licence": "for non-commercial research, from its authors on request",
    "source": "Li, Deng and Du, Reliable crowdsourcing and deep locality-preserving learning for expression"
    " recognition in the wild, CVPR 2017",
}


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images of RAF-DB in one of its forms.

    - aligned: the aligned images as they are; the face's box is that of the landmarks.
    - cropped-aligned: the aligned images, cropped to the landmarks' box and a margin.
    - original: the photographs as they are, with the face box of RAF-DB.
    - in-the-wild: the photographs, cropped around box and landmarks with a random margin on each side.

    Args:
        source: the folder `basic`, or the folder that holds it.
        options: `form`; `landmarks`, in pixels of the images of that form before they are cropped; `margin`,
            a share of the box's width and height, the largest one with in-the-wild.

    Raises:
        DataError: if the layout, the list, the landmarks or an option is wrong.
    """
    options.only("rafdb", "form", "landmarks", "margin")
    form = one_of("--form", options.form or FORMS[0], FORMS, DataError)
    root = _root(require_folder(source))
    landmarks = read_landmarks(options.landmarks) if options.landmarks else {}
    reader = _Reader(root, form, _margin(form, options.margin), landmarks)
    info = DatasetInfo(name=f"RAF-DB {form}", **_INFO, **face_info())
    findings = Findings(info, [])
    listed = list(_lines(root / _LIST))
    check_once(root / _LIST, [name for name, _, _ in listed])
    for name, label, where in listed:
        try:
            findings.cases.append(reader.found(name, label, where))
        except DataError as error:
            findings.left_out.append(LeftOut(name, str(error)))
    unused = landmarks.keys() - {name for name, _, _ in listed}
    findings.left_out.extend(
        LeftOut(name, f"{options.landmarks} has landmarks of '{name}', which RAF-DB does not list.")
        for name in sorted(unused)
    )
    return findings


def _root(source: Path) -> Path:
    for root in (source, source / "basic"):
        if (root / _LIST).is_file():
            return root
    raise DataError(f"{source} must hold {_LIST}, or the folder basic with it, but has none.")


def _margin(form: str, given: float | None) -> float:
    if given is not None and form not in _MARGINS:
        raise DataError(f"--margin is for images that are cropped, but the form is {form}; leave it out.")
    return within(
        "--margin", _MARGINS.get(form, 0.0) if given is None else given, 0, _LARGEST_MARGIN, DataError
    )


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    """Name, expression and place of each line of the list."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8: {error}.") from error
    numbers = {str(number): name for number, name in enumerate(EXPRESSIONS, start=1)}
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}, line {number}"
        words = line.split()
        if not words:
            continue
        if len(words) != 2:
            raise DataError(f"{where}: must be 'NAME NUMBER', but got '{line[:80]}'.")
        if not _NAME.fullmatch(words[0]):
            raise DataError(
                f"{where}: the name must be train_N.jpg or test_N.jpg, but got '{words[0][:80]}'."
            )
        one_of(f"{where}: the number of the expression", words[1], numbers, DataError)
        yield words[0], numbers[words[1]], where


@dataclass(frozen=True)
class _Reader:
    """Reads what belongs to one image."""

    root: Path
    form: str
    margin: float
    landmarks: dict[str, Points]

    def found(self, name: str, label: str, where: str) -> Found:
        """One image of the list.

        Raises:
            DataError: if it cannot be cropped, or its box cannot be read.
        """
        stem = Path(name).stem
        original = self.form in ("original", "in-the-wild")
        folder, file = ("original", name) if original else ("aligned", f"{stem}_aligned.jpg")
        image = Inside(self.root / "Image" / folder).path(file, where)
        points = self.landmarks.get(name)
        box = self._box(stem, where) if original else None if points is None else box_around(points)
        picture, columns = self._cropped(name, image, points, box)
        return Found(
            stem, picture, {"expression": label}, columns=columns | {"split": stem.partition("_")[0]}
        )

    def _box(self, stem: str, where: str) -> Box | None:
        path = Inside(self.root / _BOXES).path(f"{stem}_boundingbox.txt", where)
        if not path.is_file():
            return None
        words = path.read_bytes()[:1000].split()
        try:
            x0, y0, x1, y1 = (float(word) for word in words)
        except ValueError as error:
            raise DataError(f"{path} must hold 'x0 y0 x1 y1' in numbers, but does not.") from error
        if not (0 <= abs(x0) + abs(y0) + abs(x1) + abs(y1) < float("inf") and x0 < x1 and y0 < y1):
            raise DataError(
                f"{path} must hold a box with x0 < x1 and y0 < y1, but has '{x0:g} {y0:g} {x1:g} {y1:g}'."
            )
        return x0, y0, x1, y1

    def _cropped(
        self, name: str, image: Path, points: Points | None, box: Box | None
    ) -> tuple[Path | Picture, dict[str, str]]:
        if self.form not in _MARGINS:
            return image, face_columns(points, box)
        if box is None:
            needed = "landmarks" if self.form == "cropped-aligned" else "face box"
            raise DataError(f"{image} cannot be cropped: it has no {needed}.")
        around = box if points is None else _union(box, box_around(points))
        crop = Crop(image, grown(around, self._margins(name)))
        return crop, face_columns(*moved(points, box, crop))

    def _margins(self, name: str) -> tuple[float, float, float, float]:
        """Left, top, right and bottom; where they are random, always the same ones for an image."""
        if self.form != "in-the-wild":
            return self.margin, self.margin, self.margin, self.margin
        left, top, right, bottom = generator(0, "RAF-DB crop", name).uniform(0, self.margin, 4).tolist()
        return left, top, right, bottom


def _union(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
