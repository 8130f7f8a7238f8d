"""`sonoprior data audit`."""

from pathlib import Path
from typing import TYPE_CHECKING

from .output import print_json, print_table

if TYPE_CHECKING:
    from sonoprior.cases.audit import AuditReport

_SHOWN = 3  # messages of a kind on the terminal


def audit(
    data: Path,
    *,
    split: str | None = None,
    level: str | None = None,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Find what would make training go wrong: unreadable files, wrong labels, duplicates, leaks, imbalance.

    The exit status is 1 where training would go wrong whatever the split, or where the given split leaks.

    Parameters
    ----------
    data:
        The folder of the case set; nothing is written into it.
    split:
        A CSV with the columns case and part, such as the split.csv of a run, or "own" for the split that
        the case set brings; it is searched for leaks.
    level:
        The label level by which duplicates are compared; the first, if none is named.
    out:
        The folder for audit.html and audit.json; audit-NAME in the working directory, if none is named.
    json:
        Print the report as JSON instead of tables.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.cases.audit import audit as audited
    from sonoprior.cases.audit import check_folder, own_split, read_split, write_audit

    folder = out or Path(f"audit-{data.resolve().name}")
    check_folder(folder)  # before the work, not after it
    case_set = CaseSet.open(data, check=False)
    parts = None
    if split is not None:
        parts = own_split(case_set) if split == "own" else read_split(Path(split), case_set)
    report = audited(case_set, parts, level=level)
    write_audit(folder, case_set, report)
    if json:
        print_json(report.model_dump(mode="json"))
    else:
        _print(report, folder)
    return int(report.fatal)


def _print(report: "AuditReport", folder: Path) -> None:
    from sonoprior.cases.audit import CHECKS

    for table in report.crosstabs:
        print_table("", [table.name, *table.columns], [[name, *row] for name, row in table.rows.items()])
    rows = []
    for kind, text in CHECKS.items():
        found = report.of_kind(kind)
        rows.append([text, len(found) or "", found[0].severity if found else "none"])
    print_table(f"{report.name}: {report.cases} cases", ["looked for", "findings", "result"], rows)
    for kind in CHECKS:
        found = report.of_kind(kind)
        for finding in found[:_SHOWN]:
            print(f"{finding.severity}: {finding.message}")
        if found[_SHOWN:]:
            print(f"{found[0].severity}: {len(found) - _SHOWN} more {CHECKS[kind]}.")
    print(f"The whole audit: {folder / 'audit.html'}, {folder / 'audit.json'}")
