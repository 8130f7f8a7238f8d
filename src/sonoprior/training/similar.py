"""Which known cases lie nearest to images, as pictures on a page and as a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.images import read_grey
from sonoprior.core.checks import at_least
from sonoprior.core.errors import RecipeError
from sonoprior.core.folder import write_json
from sonoprior.metrics.neighbours import Embedded, nearest
from sonoprior.render.blocks import Cell, Figure, Paragraph, Table
from sonoprior.render.page import Page
from sonoprior.render.pictures import thumbnail

from .predictor import Grey, Predictor

_SIDE = 150
_READING = (
    "Each image with the known cases that the run holds to be most like it, the nearest first; below each its"
    " similarity, a cosine, and what is known of it. An image that is one of these cases finds nothing of its"
    " own patient or exam. Likeness is no diagnosis."
)


@dataclass(frozen=True)
class Nearest:
    """What lies nearest to one image.

    Attributes:
        image: its path.
        picture: uint8 (H, W), the image itself.
        positions: (k,) in the case set, the nearest first; fewer where fewer may be found.
        similarity: (k,) cosines.
    """

    image: str
    picture: Grey
    positions: NDArray[np.int64]
    similarity: NDArray[np.float32]


class Similar:
    """The cases of a set as a run embeds them, to find those that are like an image.

    Args:
        run: a run that embeds.
        case_set: where the known cases come from.

    Raises:
        RecipeError: if the run does not embed.
        DataError: if an image of the set cannot be read.
    """

    def __init__(self, run: Predictor, case_set: CaseSet) -> None:
        every = (case_set.read_image(at) for at in range(len(case_set)))
        self.run, self.case_set = run, case_set
        self.groups = case_set.groups()
        self._known = np.stack(list(run.embed(every).values()))
        paths = [case_set.image_path(at).resolve() for at in range(len(case_set))]
        self._own = {path: at for at, path in enumerate(paths)}

    def to(self, image: Path, k: int = 5) -> Nearest:
        """The k nearest cases of an image file.

        Raises:
            DataError: if it cannot be read.
            RecipeError: if k is below 1.
        """
        at_least("k", k, 1, RecipeError)
        picture = read_grey(image)
        (embedding,) = self.run.embed([picture]).values()
        own = self._own.get(image.resolve())
        group = np.array([None if own is None else self.groups[own]], dtype=object)
        found = nearest(Embedded(embedding[None], group), Embedded(self._known, self.groups), k=k)
        there = found.index[0] >= 0
        return Nearest(str(image), picture, found.index[0][there], found.similarity[0][there])


def write_similar(folder: Path, found: Iterable[Nearest], known: Similar) -> list[dict[str, Any]]:
    """Write `index.html` with every image beside its nearest cases, and `similar.json`.

    Args:
        folder: where to write; it exists.
        found: one an image.
        known: where it was found.

    Returns:
        What `similar.json` holds: an entry an image, with the case, similarity and label of each it found.
    """
    case_set, level = known.case_set, known.run.model.level
    labels = case_set.label_names(level)
    rows: list[dict[str, Any]] = []
    shown: list[list[str | Cell | Figure]] = []
    for one in found:
        cases = [
            {"case": case_set.ids[at], "similarity": round(float(near), 4), level: labels[at]}
            for at, near in zip(one.positions, one.similarity, strict=True)
        ]
        rows.append({"image": one.image, "nearest": cases})
        shown.append(_pictures(one, [_said(case, level) for case in cases], case_set))
    write_json(folder / "similar.json", rows)
    most = max((len(row) for row in shown), default=1)
    header = ["image", *(f"{place}." for place in range(1, most))]
    padded = [[*row, *[""] * (most - len(row))] for row in shown]
    about = f"The nearest cases of {case_set.info.name}."
    page = Page(str(known.run.folder), about=about, simulated=known.run.identity["simulated"])
    page.section("Nearest cases", Paragraph(_READING), Table(header, padded)).write(folder / "index.html")
    return rows


def _pictures(one: Nearest, said: Sequence[str], case_set: CaseSet) -> list[str | Cell | Figure]:
    query = Figure(thumbnail(one.picture, _SIDE), Path(one.image).name)
    return [
        query,
        *(
            Figure(thumbnail(case_set.read_image(int(at)), _SIDE), text)
            for at, text in zip(one.positions, said, strict=True)
        ),
    ]


def _said(case: dict[str, Any], level: str) -> str:
    return f"{case['similarity']:.2f}: {case[level] or 'not labelled'} ({case['case']})"
