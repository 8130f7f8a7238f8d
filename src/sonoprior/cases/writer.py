"""Writing a case set: whole or not at all."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd

from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError
from sonoprior.core.folder import whole_folder

from .cells import EMPTY, join_items
from .columns import check_column, in_order
from .images import Grey, Mask, read_shape, write_indexed, write_png
from .info import DatasetInfo, write_info
from .problems import problems
from .table import PARQUET, write_table

Outline = str | Sequence[Path] | Mask
"""`EMPTY`, files whose union it is, or (H, W) bool."""


class CaseSetWriter:
    """Collects cases in a folder that appears when all of them are written, or never.

        with CaseSetWriter(out, info) as writer:
            writer.add("a", image, labels={"view": "uterus"}, outlines={"sac": EMPTY}, patient="7")
            writer.add("b", image, labels={"organs": ["liver", "kidney"]})

    Images and outlines given as files are copied bit by bit; those given as arrays become PNGs.

    Args:
        out: the new folder.
        info: what holds for all cases.

    Raises:
        FolderError: on entering, if `out` exists and is not empty; on leaving, if it cannot be written.
        DataError: on leaving, if what was added is not a case set (see `CaseSet.open`).
    """

    def __init__(self, out: Path, info: DatasetInfo) -> None:
        self._out = out
        self._info = info
        self._rows: list[dict[str, str]] = []
        self._ids: set[str] = set()
        self._taken: set[str] = set()
        self._stack = ExitStack()
        self._folder = out

    def __enter__(self) -> "CaseSetWriter":
        self._folder = self._stack.enter_context(whole_folder(self._out))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            self._finish()

    def add(
        self,
        case: str,
        image: Path | Grey,
        *,
        labels: Mapping[str, str | Sequence[str]] | None = None,
        outlines: Mapping[str, Outline] | None = None,
        zonemap: Grey | None = None,
        maps: Mapping[str, Path | Grey] | None = None,
        **columns: str | None,
    ) -> None:
        """Add one case.

        Args:
            case: its id.
            image: a file, or (H, W) uint8.
            labels: level to class, or to all the classes that the case shows where it may show several; an
                empty list says that it shows none of them.
            outlines: zone to outline; a zone that is not named is absent.
            zonemap: (H, W) uint8, 0 background, k the k-th zone; all zones are then present.
            maps: name to automatic mask or heat map, a file or (H, W) uint8.
            columns: any other column ("patient", "box.lesion"), None where missing.

        Raises:
            DataError: if the id was added before, a level or zone is unknown, an array does not fit, or
                several classes are given where a case has one.
        """
        if case in self._ids:
            raise DataError(f"{self._out}: every case must have an id of its own, but '{case}' came twice.")
        labels, outlines, maps = labels or {}, outlines or {}, maps or {}
        families = {"label": labels, "outline": outlines, "map": maps}
        for name in (*(f"{family}.{name}" for family, names in families.items() for name in names), *columns):
            check_column(name, self._info, f"{self._out}: case '{case}'")
        self._check_arrays(case, image, [zonemap, *outlines.values(), *maps.values()])
        self._ids.add(case)
        stem = self._stem(case)
        row = {"case": case, "image": self._store(image, "images", stem)}
        row |= {f"label.{level}": self._label(level, shown, case) for level, shown in labels.items()}
        row |= {f"outline.{zone}": self._outline(zone, drawn, stem) for zone, drawn in outlines.items()}
        row |= {f"map.{name}": self._store(grey, f"maps/{name}", stem) for name, grey in maps.items()}
        if zonemap is not None:
            row["zonemap"] = f"zonemaps/{stem}.png"
            write_indexed(self._new(row["zonemap"]), zonemap)
        self._rows.append(row | {name: cell for name, cell in columns.items() if cell is not None})

    def _check_arrays(self, case: str, image: Path | Grey, others: Sequence[object]) -> None:
        """Refuse arrays that are no grey image, or that have another size than the image."""
        where = f"{self._out}: case '{case}'"
        if isinstance(image, np.ndarray) and (image.ndim != 2 or image.dtype != np.uint8):
            raise DataError(f"{where}: an image must be (H, W) uint8, but got {image.shape} {image.dtype}.")
        arrays = [other for other in others if isinstance(other, np.ndarray)]
        shape = image.shape if isinstance(image, np.ndarray) else read_shape(image) if arrays else ()
        for array in arrays:
            if array.shape != shape:
                raise DataError(
                    f"{where}: a map must have the shape of its image, {shape}, but got {array.shape}."
                )

    def _label(self, level: str, shown: str | Sequence[str], case: str) -> str:
        if isinstance(shown, str):
            return shown
        if level not in self._info.several:
            raise DataError(
                f"{self._out}: case '{case}': a list of classes is for levels in which a case may show"
                f" several ({listed(self._info.several) or 'none here'}), but got one for '{level}'; add"
                " that to `several`, or give one class."
            )
        return join_items(list(shown)) if shown else EMPTY

    def _outline(self, zone: str, drawn: Outline, stem: str) -> str:
        if isinstance(drawn, str):
            return drawn
        folder = f"outlines/{zone}"
        if isinstance(drawn, np.ndarray):
            white = np.where(drawn, np.uint8(255), np.uint8(0))
            return self._store(white, folder, stem) if drawn.any() else EMPTY
        # No stem holds a dot, so these names belong to this case alone.
        ends = ["", *(f".{number}" for number in range(1, len(drawn)))]
        stored = [self._store(path, folder, stem + end) for path, end in zip(drawn, ends, strict=True)]
        return join_items(stored)

    def _store(self, content: Path | Grey, folder: str, stem: str) -> str:
        """Write one file and return its path in the set."""
        if isinstance(content, Path):
            relative = f"{folder}/{stem}{content.suffix.lower()}"
            shutil.copyfile(content, self._new(relative))
        else:
            relative = f"{folder}/{stem}.png"
            write_png(self._new(relative), content)
        return relative

    def _new(self, relative: str) -> Path:
        path = self._folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _stem(self, case: str) -> str:
        """A file name for a case: its id, where that can be one, and never the name of another case."""
        base = re.sub(r"[^\w-]+", "_", case).strip("_")[:80] or "case"
        stem = next(name for name in _variants(base) if name.lower() not in self._taken)
        self._taken.add(stem.lower())
        return stem

    def _finish(self) -> None:
        columns = in_order(list({name: None for row in self._rows for name in row}) or ["case", "image"])
        table = pd.DataFrame(self._rows, columns=pd.Index(columns), dtype="str")
        write_info(self._folder, self._info)
        write_table(self._folder / PARQUET, table)
        for problem in problems(self._folder, self._info, table):
            raise DataError(problem.replace(str(self._folder), str(self._out)))


def _variants(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in count(2))
