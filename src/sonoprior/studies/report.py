"""The report: one HTML file of a study or of a run, which opens without a network.

The result comes first, in a sentence; then how it came about; then where the models looked; then what
it was made with. Everything is read from run folders; the images and attribution maps are added where
the case set is given, and only those need torch.
"""

from pathlib import Path

from sonoprior.cases.case_set import CaseSet
from sonoprior.render.page import Page

from . import sections
from .finished import FinishedRun
from .gallery import Load
from .layout import REPORT
from .results import StudyResults


def study_report(
    results: StudyResults, case_set: CaseSet | None = None, out: Path | None = None, load: Load | None = None
) -> Path:
    """Write the report of a study, finished or not.

    Args:
        results: what the study's runs say.
        case_set: where the images come from; without it the page has none.
        out: the file; by default report.html in the study folder.
        load: opens a run folder; by default `sonoprior.load`.

    Returns:
        The file.

    Raises:
        DataError: if the case set does not hold the cases of the runs.
        FolderError: if a run is damaged or the file cannot be written.
    """
    recipe, some, opposed = results.recipe, results.first, sections.opposed(results)
    page = Page(f"{recipe.name}: what came out", about=recipe.about, simulated=some.simulated)
    page.section("The answer", *sections.the_answer(results))
    page.section("What was compared", *sections.what_was_compared(results, case_set))
    page.section("Did it look there", *sections.localisation(results.runs, some))
    page.section("Where it looked", *sections.pictures(sections.aligned(results), case_set, load))
    page.section("Every measure", *sections.every_measure(results))
    page.section("Class by class and how sure", *sections.class_by_class(results.runs, opposed, some))
    page.section("Learning curves", *sections.learning_curves(results.runs, some))
    page.section("Errors", *sections.changed_cases(results), *sections.worst(opposed, case_set))
    for table in recipe.published:
        page.section(f"Published: table {table.table}", *sections.published(results, table))
    page.section("How this page was made", *sections.how_it_was_made(results, case_set))
    target = out or results.folder / REPORT
    page.write(target)
    return target


def run_report(folder: Path, out: Path, case_set: CaseSet | None = None, load: Load | None = None) -> Path:
    """Write the report of a single run.

    Args:
        folder: the run folder.
        out: the file.
        case_set: where the images come from; without it the page has none.
        load: opens a run folder; by default `sonoprior.load`.

    Returns:
        `out`.

    Raises:
        DataError: if the case set does not hold the cases of the run.
        FolderError: if the run is not finished or damaged, or the file cannot be written.
    """
    run = FinishedRun.read(folder)
    runs = {run.variant: [run]}
    title = f"{run.recipe.name}: {run.variant}, {run.name}"
    page = Page(title, about=run.recipe.about, simulated=run.simulated)
    page.section("What it can do", *sections.one_run(run))
    page.section("Did it look there", *sections.localisation(runs, run))
    page.section("Where it looked", *sections.pictures({run.variant: run}, case_set, load))
    page.section("Class by class and how sure", *sections.class_by_class(runs, runs, run))
    page.section("Learning curves", *sections.learning_curves(runs, run))
    page.section("Errors", *sections.worst(runs, case_set))
    page.section("How this run was made", *sections.recipe_and_versions(run))
    page.write(out)
    return out
