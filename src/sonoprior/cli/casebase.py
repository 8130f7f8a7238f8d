"""`sonoprior casebase build`, `add`, `remove`, `stats` and `reembed`."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .output import print_json, print_table

if TYPE_CHECKING:
    from sonoprior.casebase.stats import Stats

Names = Annotated[list[str] | None, Parameter(negative="")]


def build(
    bundle: Path,
    sets: list[Path],
    *,
    out: Path,
    index: Literal["auto", "exact", "hnsw"] = "auto",
) -> None:
    """Make a case base of case sets. An image that cannot be read is listed and left out.

    Parameters
    ----------
    bundle:
        The folder of a bundle, as `sonoprior export` writes it; the base keeps a copy.
    sets:
        The folders of case sets.
    out:
        The folder to write.
    index:
        How embeddings are searched: exact, hnsw (approximate, for more than a million cases; needs the extra
        faiss), or auto, which is exact to a million.
    """
    from sonoprior.casebase.base import CaseBase

    unreadable: list[str] = []
    base = CaseBase.build(bundle, sets, out, index=index, on_unreadable=unreadable.append)
    print(f"{len(base.store)} cases in {out}")
    _say_left_out(unreadable)


def add(base: Path, sets: list[Path]) -> None:
    """Add the cases of case sets to a base: all of them, or none where something goes wrong.

    An image that cannot be read is listed and left out.

    Parameters
    ----------
    base:
        The folder of the case base.
    sets:
        The folders of case sets.
    """
    from sonoprior.casebase.base import CaseBase

    unreadable: list[str] = []
    opened = CaseBase.open(base)
    added = opened.add(sets, on_unreadable=unreadable.append)
    print(f"{added} cases added to {base}, which now has {len(opened.store)}")
    _say_left_out(unreadable)


def remove(
    base: Path,
    *,
    cases: Annotated[Names, Parameter(name="--case")] = None,
    exams: Annotated[Names, Parameter(name="--exam")] = None,
    sets: Annotated[Names, Parameter(name="--set")] = None,
) -> None:
    """Remove cases from a base, with all that belongs to them.

    Parameters
    ----------
    base:
        The folder of the case base.
    cases:
        The key of a case, SET/CASE; may be given several times.
    exams:
        An exam, SET/EXAM; may be given several times.
    sets:
        The name of a case set; may be given several times.
    """
    from sonoprior.casebase.base import CaseBase
    from sonoprior.core.errors import DataError

    if not (cases or exams or sets):
        raise DataError("name what to remove by --case, --exam or --set.")
    opened = CaseBase.open(base)
    removed = opened.remove(keys=cases or (), exams=exams or (), sets=sets or ())
    print(f"{removed} cases removed from {base}, which now has {len(opened.store)}")


def stats(
    base: Path,
    *,
    check: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say what a base holds.

    Parameters
    ----------
    base:
        The folder of the case base.
    check:
        Read everything, and name what is damaged; the exit status is then 1.
    json:
        Print JSON instead of a table.
    """
    from dataclasses import asdict

    from sonoprior.casebase.base import CaseBase

    opened = CaseBase.open(base)
    problems = opened.problems() if check else []
    found = None if problems else opened.stats()
    if json:
        print_json((asdict(found) if found else {}) | ({"problems": problems} if check else {}))
    elif found:
        _print_stats(base, found)
    for problem in problems:
        print(f"sonoprior: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _print_stats(base: Path, found: "Stats") -> None:
    from sonoprior.core.checks import listed

    counted = {
        "cases": f"{found.cases:,}",
        "patients or exams": f"{found.groups:,}",
        "known exams": f"{found.exams:,}",
        "case sets": ", ".join(_each(found.sets)),
        "bundle": f"{found.bundle}, trained on {'simulated' if found.simulated else 'real'} images",
        "embeddings": f"{found.dimension} numbers each, index {found.index}",
        "size": f"{found.size / 1e6:,.1f} MB",
    }
    labels = {f"label.{level}": listed(_each(classes), 6) for level, classes in found.labels.items()}
    print_table(str(base), ["", ""], (counted | labels).items())


def _each(counts: Mapping[str, int]) -> list[str]:
    return [f"{name} ({count:,})" for name, count in counts.items()]


def reembed(
    base: Path, bundle: Path, *, moved: Annotated[list[str] | None, Parameter(negative="")] = None
) -> None:
    """Embed all cases of a base anew by another bundle; the base is searched as it was until that is done.

    Parameters
    ----------
    base:
        The folder of the case base.
    bundle:
        The folder of the bundle.
    moved:
        Where a case set lies now, as NAME=FOLDER, if its images are not where they were; may be given several
        times.
    """
    from sonoprior.casebase.base import CaseBase

    places = {name: Path(folder) for name, folder in pairs("--moved", moved)}
    count = CaseBase.open(base).reembed(bundle, moved=places)
    print(f"{count} cases of {base} embedded by {bundle}")


def filters(where: Sequence[str] | None) -> dict[str, list[str]]:
    """By fact the texts that were given for it as NAME=VALUE."""
    wanted: dict[str, list[str]] = {}
    for name, value in pairs("--where", where):
        wanted.setdefault(name, []).append(value)
    return wanted


def pairs(flag: str, given: Sequence[str] | None) -> list[tuple[str, str]]:
    """What was given as NAME=VALUE.

    Raises:
        DataError: if something was not.
    """
    from sonoprior.core.errors import DataError

    parted = [text.partition("=") for text in given or ()]
    for name, sign, value in parted:
        if not (name and sign and value):
            raise DataError(f"{flag} must be NAME=VALUE, but got '{name}{sign}{value}'.")
    return [(name, value) for name, _, value in parted]


def _say_left_out(unreadable: Sequence[str]) -> None:
    for problem in unreadable:
        print(f"left out: {problem}", file=sys.stderr)
