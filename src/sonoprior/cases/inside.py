"""Relative paths that stay inside a folder."""

import os
from pathlib import Path, PurePosixPath

from sonoprior.core.errors import DataError


class Inside:
    """Turns relative paths from a table into paths below one folder, and refuses all that leave it.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        # Resolving links is slow and most files share a folder.
        self._folders: dict[str, str] = {}

    def path(self, cell: str, where: str) -> Path:
        """The file behind a relative path, existing or not.

        Raises:
            DataError: naming `where`, if it is absolute, climbs with "..", or a link leads outside.
        """
        relative = PurePosixPath(cell)
        if not cell or relative.is_absolute() or ".." in relative.parts or "\\" in cell or "\0" in cell:
            raise DataError(
                f"{where}: must be a path relative to {self._root}, with / between folders and without"
                f" '..', but got '{cell}'."
            )
        found = os.path.join(self._folder(str(relative.parent)), relative.name)  # noqa: PTH118
        if os.path.islink(found):  # noqa: PTH114
            found = os.path.realpath(found)
        if not found.startswith(self._root + os.sep):
            raise DataError(f"{where}: must stay inside {self._root}, but '{cell}' leads to {found}.")
        return Path(found)

    def _folder(self, relative: str) -> str:
        if relative not in self._folders:
            self._folders[relative] = os.path.realpath(os.path.join(self._root, relative))  # noqa: PTH118
        return self._folders[relative]
