"""How the cases are spread over classes, devices, parts and sizes."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet

from .files import Files, common_sizes
from .report import Crosstab, Finding, Member

_FEWEST = 5  # groups of a class: below it, five folds cannot all test it
_GIVEN_AWAY = 0.5  # Cramér's V from which a device all but names the class
MISSING = "(missing)"


def crosstabs(
    case_set: CaseSet, members: Sequence[Member], files: Files, groups: NDArray[np.str_]
) -> Iterator[Crosstab]:
    """Classes of every level, devices against the classes of the first, outlines, and sizes.

    A case that shows several classes counts in each of them.

    Args:
        case_set: the cases.
        members: the same, with their parts.
        files: what their files showed.
        groups: (n,) what each case must stay together with: patient, exam, near-duplicates.
    """
    parts = [part for part in ("train", "validation", "test") if any(m.part == part for m in members)]
    columns = ["cases", "independent", *parts]
    for level in case_set.info.levels:
        rows = {
            name: _class_row(shown, members, groups, parts) for name, shown in _shown(case_set, level).items()
        }
        yield Crosstab(name=f"label.{level}", columns=columns, rows=rows)
        if level in case_set.info.several:
            labels, names = case_set.labels(level), case_set.classes(level)
            rows = {name: _class_row(labels == at, members, groups, parts) for at, name in enumerate(names)}
            yield Crosstab(name=f"combinations.{level}", columns=columns, rows=rows)
    yield from _devices(case_set)
    zones = {zone: _presence(drawn, case_set, zone) for zone, drawn in files.drawn.items()}
    if zones:
        yield Crosstab(name="outlines", columns=["drawn", "empty", "absent", "unusable"], rows=zones)
    sizes = {size: [count] for size, count in common_sizes(files).items()}
    yield Crosstab(name="size in pixels", columns=["images"], rows=sizes)


def _shown(case_set: CaseSet, level: str) -> dict[str, NDArray[np.bool_]]:
    """Which cases show each single class, (n,), a case that shows several in each; and which are unknown."""
    labels, members = case_set.labels(level), case_set.members(level)
    known = labels >= 0
    # The row for an unknown label, -1, comes last and shows nothing.
    held = np.vstack([members, np.zeros_like(members, shape=(1, members.shape[1]))])[labels]
    shown = dict(zip(case_set.singles(level), held.T, strict=True))
    return shown if known.all() else shown | {MISSING: ~known}


def balance_findings(tables: Sequence[Crosstab]) -> Iterator[Finding]:
    """Classes too small, classes that the device gives away, and cases without a label."""
    for table in tables:
        if table.name.startswith("label."):
            yield from _class_findings(table)
    by_device = next((table for table in tables if table.name == "device"), None)
    if by_device is not None:
        yield from _device_findings(by_device)


def _class_row(
    chosen: NDArray[np.bool_], members: Sequence[Member], groups: NDArray[np.str_], parts: list[str]
) -> list[int]:
    part_of = np.array([member.part for member in members], dtype=object)[chosen]
    return [
        int(chosen.sum()),
        len(np.unique(groups[chosen])),
        *(int((part_of == part).sum()) for part in parts),
    ]


def _devices(case_set: CaseSet) -> Iterator[Crosstab]:
    devices = _filled(case_set, "device")
    if (devices == MISSING).all():
        return
    level = next(iter(case_set.info.levels), None)
    shown = _shown(case_set, level) if level else {MISSING: np.ones(len(devices), np.bool_)}
    columns = {name: cases for name, cases in shown.items() if cases.any()}
    rows = {
        str(device): [int((devices == device)[cases].sum()) for cases in columns.values()]
        for device in np.unique(devices)
    }
    yield Crosstab(name="device", columns=list(columns), rows=rows)


def _presence(drawn: dict[int, bool], case_set: CaseSet, zone: str) -> list[int]:
    """Outlines of a zone that are drawn, empty, absent, and given but not usable."""
    cells = zip(case_set.column(f"outline.{zone}"), case_set.column("zonemap"), strict=True)
    given = sum(own is not None or mapped is not None for own, mapped in cells)
    full = sum(drawn.values())
    return [full, len(drawn) - full, len(case_set) - given, given - len(drawn)]


def _class_findings(table: Crosstab) -> Iterator[Finding]:
    known = {name: row for name, row in table.rows.items() if name != MISSING}
    unlabelled = table.rows.get(MISSING, [0])[0]
    if unlabelled:
        message = (
            f"{table.name}: {unlabelled} case(s) have no known label; training with labels leaves them out."
        )
        yield Finding(kind="unlabelled", severity="note", message=message)
    for name, row in known.items():
        if row[1] < _FEWEST:
            message = (
                f"{table.name}: the class '{name}' has {row[1]} independent case(s) or group(s) of cases;"
                f" {_FEWEST} folds need at least {_FEWEST}."
            )
            yield Finding(kind="classes", severity="warning", message=message)


def _device_findings(table: Crosstab) -> Iterator[Finding]:
    named = [k for k, name in enumerate(table.columns) if name != MISSING]
    counts = np.array([row for name, row in table.rows.items() if name != MISSING])[:, named]
    if min(counts.shape) < 2 or not counts.any(axis=0).all() or not counts.any(axis=1).all():
        return
    strength = cramers_v(counts)
    if strength >= _GIVEN_AWAY:
        message = (
            f"the device and the class go together (Cramér's V {strength:.2f}): a model may learn to tell the"
            " devices apart; compare results device by device."
        )
        yield Finding(kind="device", severity="warning", message=message)


def cramers_v(counts: NDArray[np.int64]) -> float:
    """How strongly rows and columns of a table of counts go together, from 0 to 1.

    V = sqrt(chi² / (n (min(rows, columns) - 1))); H. Cramér, Mathematical Methods of Statistics, 1946.

    >>> cramers_v(np.array([[4, 0], [0, 4]]))
    1.0
    """
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi_squared / (counts.sum() * (min(counts.shape) - 1))))


def _filled(case_set: CaseSet, column: str) -> NDArray[np.str_]:
    return np.array([MISSING if cell is None else cell for cell in case_set.column(column)], dtype=str)
