"""`sonoprior report`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sonoprior.cases import CaseSet
    from sonoprior.studies.report import Report


def report(folder: Path, *, data: Path | None = None, out: Path | None = None) -> None:
    """Write the page of a study or of a run again, without training: report.html and report.md in its folder.

    Parameters
    ----------
    folder:
        A study folder, finished or not, or the folder of a finished run.
    data:
        The folder of its case set; without it the page shows no images.
    out:
        A folder for a copy of the Markdown page and its plots, named like the study folder, such as
        docs/results.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.studies.layout import REPORT

    case_set = None if data is None else CaseSet.open(data)
    page = _page(folder, case_set)
    written = [page.write(folder / REPORT)]
    if out is not None:
        written.append(page.write_markdown(out / f"{folder.resolve().name}.md"))
    for path in written:
        print(f"report: {path}")


def _page(folder: Path, case_set: "CaseSet | None") -> "Report":
    """The page of whatever the folder holds; a study's tables are written too."""
    from sonoprior.core.folder import kind_of
    from sonoprior.studies.finished import FinishedRun
    from sonoprior.studies.report import report_of_run, report_of_study
    from sonoprior.studies.results import StudyResults

    if kind_of(folder) == "run":
        return report_of_run(FinishedRun.read(folder), case_set)
    results = StudyResults.read(folder, case_set)
    results.write()
    return report_of_study(results, case_set)
