"""Images that show the same picture: in which groups, under which labels, in which parts of a split."""

from collections.abc import Iterable, Iterator

import numpy as np

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.duplicates import Duplicates
from sonoprior.core.checks import listed

from .report import DuplicateGroup, Finding, Member

_SHOWN = 4  # cases named in a sentence

_ADVICE = (
    " In a random split into 80 % and 20 %, about {share:.0f} % of the test images would be seen in training;"
    " sonoprior's splits keep each group together."
)


def duplicate_report(members: list[Member], found: Duplicates) -> list[DuplicateGroup]:
    """The groups of two or more: those with several labels first, then those in several parts, then by size.

    Args:
        members: the n cases.
        found: what was found among their images.
    """
    sizes = np.bincount(found.groups, minlength=len(found.groups))
    rows: dict[int, list[int]] = {int(root): [] for root in np.flatnonzero(sizes > 1)}
    for i, root in enumerate(found.groups):
        if root in rows:
            rows[int(root)].append(i)
    weakest = dict.fromkeys(rows, 1.0)
    for i, _, correlation in found.near:
        root = int(found.groups[i])
        weakest[root] = min(weakest[root], correlation)
    near = {int(found.groups[i]) for i, _, _ in found.near}
    groups = [
        DuplicateGroup(
            members=[members[i] for i in rows[root]],
            equal=root not in near,
            correlation=round(weakest[root], 4),
        )
        for root in rows
    ]
    return sorted(groups, key=lambda group: (-len(group.labels), -len(group.parts), -len(group.members)))


def two_labels(case_set: CaseSet, found: Duplicates) -> Iterator[Finding]:
    """Equal images with different labels, on any level: no training can get both right."""
    equal: dict[int, list[int]] = {}
    for i, j in found.exact:
        equal.setdefault(i, [i]).append(j)
    ids = case_set.column("case")
    for level in case_set.info.levels:
        labels = case_set.label_names(level)
        for members in equal.values():
            labelled = [i for i in members if labels[i] is not None]
            if len({labels[i] for i in labelled}) > 1:
                said = listed([f"'{ids[i]}' is '{labels[i]}'" for i in labelled], _SHOWN)
                message = f"one and the same image stands under several labels of '{level}': {said}."
                cases = [ids[i] for i in labelled]
                yield Finding(kind="two labels", severity="fatal", message=message, cases=cases)


def group_findings(
    groups: list[DuplicateGroup], level: str | None, cases: int, *, split: bool
) -> Iterator[Finding]:
    """What the groups mean for training: across classes, across parts, and at all.

    Args:
        groups: of images that show the same picture.
        level: of the labels in the groups.
        cases: how many cases there are in all.
        split: whether a split was given.
    """
    for group in groups:
        yield from _of_one_group(group, level)
    if groups:
        ids = [member.case for group in groups for member in group.members]
        advice = "" if split else _ADVICE.format(share=100 * _share_seen(groups, cases))
        message = f"{len(groups)} group(s) of images, {len(ids)} in all, show the same picture.{advice}"
        yield Finding(kind="duplicate", severity="warning", message=message, cases=ids)


def _of_one_group(group: DuplicateGroup, level: str | None) -> Iterator[Finding]:
    cases = [member.case for member in group.members]
    quoted = listed([f"'{case}'" for case in cases], _SHOWN)
    same = f"{quoted} show the same picture"
    if len(group.labels) > 1:
        message = f"{same}, but their '{level}' is {listed(group.labels)}; decide which is right."
        yield Finding(kind="near-duplicate across classes", severity="warning", message=message, cases=cases)
    if len(group.parts) > 1:
        message = f"{same}, but lie in {listed(group.parts)}; the scores are too good."
        yield Finding(kind="leak", severity="fatal", message=message, cases=cases)


def _share_seen(groups: list[DuplicateGroup], cases: int, trained: float = 0.8) -> float:
    """The expected share of the test images of a random split that show a picture of the training part."""
    sizes = np.array([len(group.members) for group in groups])
    return float((sizes * (1 - (1 - trained) ** (sizes - 1))).sum()) / cases


def cut_groups(members: list[Member], names: Iterable[str]) -> Iterator[Finding]:
    """Patients, exams and clips that the split cuts apart.

    Args:
        members: the n cases.
        names: (n,) what each must stay together with, "patient:7"; "case:..." stands alone.
    """
    parts: dict[str, dict[str, list[str]]] = {}
    for member, name in zip(members, names, strict=True):
        if member.part is not None:
            parts.setdefault(name, {}).setdefault(member.part, []).append(member.case)
    for name, by_part in parts.items():
        if len(by_part) > 1:
            kind, _, which = name.partition(":")
            message = (
                f"the {kind} '{which}' has images in {listed(sorted(by_part))}; the scores are too good."
            )
            cases = [case for cases in by_part.values() for case in cases]
            yield Finding(kind="leak", severity="fatal", message=message, cases=cases)
