"""The images of known cases, where they lie."""

from collections.abc import Mapping
from pathlib import Path

from sonoprior.cases.images import Grey
from sonoprior.cases.inside import Inside
from sonoprior.core.errors import DataError
from sonoprior.runtime.frames import picture

from .record import Record, pixels_of


class Images:
    """The images of cases where they were when they were added, or where their sets lie now.

    Args:
        moved: the new folders of case sets that have moved, by name.
    """

    def __init__(self, moved: Mapping[str, Path]) -> None:
        self._moved = moved
        self._folders: dict[str, Inside] = {}

    def of(self, record: Record) -> Grey:
        """The image of a case.

        Raises:
            DataError: if it is missing, cannot be used, or is another one than when it was added.
        """
        name = record.facts["set"][0]
        root = str(self._moved.get(name, record.source["root"]))
        if root not in self._folders:
            if not Path(root).is_dir():
                raise DataError(
                    f"the case set '{name}' is not at {root} any more; give its new folder with --moved"
                    f" '{name}=FOLDER'."
                )
            self._folders[root] = Inside(Path(root))
        frame = picture(self._folders[root].path(record.source["image"], f"case '{record.key}'"))
        if pixels_of(frame) != record.source["pixels"]:
            raise DataError(
                f"case '{record.key}' has another image in {root} than when it was added; remove it and add"
                " it again."
            )
        return frame
