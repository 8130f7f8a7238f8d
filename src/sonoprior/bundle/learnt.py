"""`learnt.json`: which cases had a part in a run, so that nobody takes what it does on them for its worth.

A bundle travels and the names of cases need not travel with it, so that they stand there as digests.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from sonoprior.core.errors import FolderError
from sonoprior.core.folder import read_json, write_json

FILE = "learnt.json"


def digest(case_set: str, case: str) -> str:
    """What stands for a case of a set.

    >>> digest("phantom", "p1-001")
    '77379bb453e58605'
    """
    return sha256(f"{case_set}/{case}".encode()).hexdigest()[:16]


def write_learnt(folder: Path, case_set: str, cases: Iterable[str]) -> None:
    """Write the cases that a run was trained with, or that its weights or settings were chosen by."""
    write_json(folder / FILE, sorted(digest(case_set, case) for case in cases))


def read_learnt(folder: Path) -> frozenset[str]:
    """The digests of these cases.

    Raises:
        FolderError: if the file is missing or damaged.
    """
    found = read_json(folder / FILE)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise FolderError(f"{folder / FILE} must be a list of digests, but is damaged.")
    return frozenset(found)
