"""The near-duplicate groups of a case set, found once and kept in a file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.folder import read_json, write_json

from .groups import duplicates_among
from .sketches import Sketches

_METHOD = 1  # another number forgets what an older method found


def duplicate_groups(case_set: CaseSet, cache_folder: Path | None = None) -> NDArray[np.int64]:
    """For each case the position of the first case of its near-duplicate group, (n,) int64.

    Args:
        case_set: the cases.
        cache_folder: where the result is kept, in a file named by the content of the case set, and
            looked for the next time; None keeps nothing.

    Raises:
        DataError: if an image cannot be read.
        FolderError: if the file cannot be read or written.
    """
    if cache_folder is None:
        return _found(case_set)
    kept = cache_folder / f"duplicates-{_METHOD}-{case_set.fingerprint()[:20]}.json"
    if not kept.is_file():
        write_json(kept, {"groups": _found(case_set).tolist()})
    return np.array(read_json(kept)["groups"], dtype=np.int64)


def _found(case_set: CaseSet) -> NDArray[np.int64]:
    sketches = Sketches.read(case_set.read_image, len(case_set))
    sketches.require_all()
    return duplicates_among(sketches).groups
