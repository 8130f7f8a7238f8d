"""The audit in a folder: a page for people, JSON for programs."""

from pathlib import Path

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import STAMP, require, stamp, write_json

from .page import audit_page
from .report import FORMAT, AuditReport

KIND = "audit"


def check_folder(folder: Path) -> None:
    """Accept a folder for an audit: a new or empty one, or one that holds an earlier audit.

    Raises:
        FolderError: if something else is in it.
    """
    if (folder / STAMP).is_file():
        require(folder, KIND, FORMAT)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderError(
            f"{folder} must be a new folder or hold an earlier audit, but something else is there."
        )


def write_audit(folder: Path, case_set: CaseSet, report: AuditReport) -> None:
    """Write `audit.html` and `audit.json`, in place of those of an earlier audit.

    Raises:
        FolderError: if something else is in the folder, or it cannot be written.
    """
    check_folder(folder)
    page = audit_page(case_set, report)
    stamp(folder, KIND, FORMAT)
    page.write(folder / "audit.html")
    write_json(folder / "audit.json", report.model_dump(mode="json"))
