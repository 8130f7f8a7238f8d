"""The parts of a bird's body in CUB-200-2011: parts.txt ("7 left eye") and part_locs.txt.

A line of the latter is "1 7 312.0 182.0 1": image, part, x, y, visible.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError

from .cub_lists import lines, numbers_of, rows_by_number


@dataclass(frozen=True)
class BodyParts:
    """Where the parts are seen.

    Attributes:
        names: of the parts, in order.
        points: number of an image to its cell of the column `points`; images that show no part are not there.
    """

    names: list[str]
    points: Mapping[str, str]

    @staticmethod
    def read(folder: Path, images: Collection[str]) -> "BodyParts":
        """The parts in a folder; none, where there is no such folder.

        Args:
            folder: with parts.txt and part_locs.txt.
            images: numbers of the images.

        Raises:
            DataError: if a file is missing or damaged, or names an unknown image or part.
        """
        if not folder.is_dir():
            return BodyParts([], {})
        names = rows_by_number(folder / "parts.txt")
        shown: dict[str, dict[str, str]] = {}
        for where, (image, rest) in lines(folder / "part_locs.txt"):
            one_of(f"{where}: the image", image, images, DataError)
            part, place = _seen(rest, where, list(names))
            if part in shown.setdefault(image, {}):
                raise DataError(f"{where}: every part of an image may stand there once, but {part} is again.")
            shown[image][part] = place
        cells = {image: [places.get(part, "") for part in names] for image, places in shown.items()}
        return BodyParts(
            list(names.values()), {image: ";".join(cell) for image, cell in cells.items() if any(cell)}
        )

    def mirror(self) -> list[tuple[str, str]]:
        """The parts that a mirrored image swaps."""
        pairs = [(f"left {name[6:]}", name) for name in self.names if name.startswith("right ")]
        return [pair for pair in pairs if pair[0] in self.names]


def _seen(rest: str, where: str, parts: Sequence[str]) -> tuple[str, str]:
    """Number of a part and its place "x y"; nothing for the place, where it is not visible."""
    part, _, place = rest.partition(" ")
    one_of(f"{where}: the number of the part", part, parts, DataError)
    x, y, visible = numbers_of(place, "x y visible", where)
    return part, f"{x:g} {y:g}" if visible else ""
