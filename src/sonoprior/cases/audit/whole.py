"""The whole audit, one look after another."""

from collections.abc import Sequence

import numpy as np

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.duplicates import duplicates_among
from sonoprior.cases.splits import Split, merged_groups
from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError

from .alike import cut_groups, duplicate_report, group_findings, two_labels
from .balance import balance_findings, crosstabs
from .files import file_findings, open_files
from .report import CHECKS, AuditReport, Finding, Member
from .table import mended, table_findings


def audit(case_set: CaseSet, split: Split | None = None, *, level: str | None = None) -> AuditReport:
    """Look at everything in a case set that could make training go wrong.

    Args:
        case_set: the cases; open them with `check=False`, so that every fault is reported.
        split: part to positions of cases, where a split is given; it is then searched for leaks.
        level: the label level by which duplicates are compared; the first, if none is named.

    Raises:
        DataError: if there is no such level.
    """
    level = _level(case_set, level)
    told = list(table_findings(case_set))
    cases = mended(case_set)
    files = open_files(cases, told)
    found = duplicates_among(files.sketches)
    members = _members(cases, level, split)
    groups = duplicate_report(members, found)
    names = merged_groups(cases.groups(), enumerate(found.groups))
    tables = list(crosstabs(cases, members, files, names))
    findings = [
        *told,
        *file_findings(cases, files),
        *two_labels(cases, found),
        *group_findings(groups, level, len(cases), split=split is not None),
        *cut_groups(members, cases.groups()),
        *balance_findings(tables),
        *_left_out(members, split),
    ]
    return AuditReport(
        name=case_set.info.name,
        folder=str(case_set.root),
        simulated=case_set.info.simulated,
        cases=len(case_set),
        independent=len(np.unique(names)),
        level=level,
        split=split is not None,
        findings=sorted(findings, key=lambda finding: list(CHECKS).index(finding.kind)),
        duplicates=groups,
        crosstabs=tables,
    )


def _level(case_set: CaseSet, level: str | None) -> str | None:
    if level is None:
        return next(iter(case_set.info.levels), None)
    return one_of(f"{case_set.root}: the level", level, list(case_set.info.levels), DataError)


def _members(case_set: CaseSet, level: str | None, split: Split | None) -> list[Member]:
    """The cases with their labels and parts."""
    part_of = np.full(len(case_set), None, dtype=object)
    for part, positions in (split or {}).items():
        part_of[positions] = part
    labels = case_set.label_names(level) if level else np.full(len(case_set), None)
    return [
        Member(row=i + 1, case=str(case), label=labels[i], part=part_of[i])
        for i, case in enumerate(case_set.column("case"))
    ]


def _left_out(members: Sequence[Member], split: Split | None) -> list[Finding]:
    out = [member.case for member in members if member.part is None]
    if split is None or not out:
        return []
    message = f"{len(out)} case(s) are in no part of the split."
    return [Finding(kind="not in the split", severity="note", message=message, cases=out)]
