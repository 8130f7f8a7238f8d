"""The result page of a study or of a run: one HTML file that opens without a network, and a Markdown form.

The question comes first, then the answer in a few sentences; then how it came about; then where the models
looked; then what it was made with. Everything is read from run folders; the images and attribution maps
are added to the HTML where the case set is given, and only those need torch. The Markdown has none of
them: it is for a repository, where pictures of patients have no place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sonoprior.cases.case_set import CaseSet
from sonoprior.render.blocks import Block
from sonoprior.render.markdown import write_markdown
from sonoprior.render.page import Page

from . import asked, embedding_sections, sections
from .endpoints import secondary_endpoints
from .finished import FinishedRun
from .folds_as_one import folds_as_one
from .gallery import Load
from .labels_saved_section import labels_saved
from .layout import REPORT
from .pseudo_labels import pseudo_labels
from .results import StudyResults
from .spread_section import spread
from .tried import what_was_tried


@dataclass(frozen=True)
class Part:
    """A section of a page, left out where it has no blocks; `images`: it shows images of cases."""

    heading: str
    blocks: Sequence[Block]
    images: bool = False


@dataclass(frozen=True)
class Report:
    """A page, before it is written in one form or the other."""

    title: str
    about: str
    simulated: bool
    parts: Sequence[Part]

    def page(self, images: bool) -> Page:
        """The page, with or without the sections that show images of cases."""
        page = Page(self.title, about=self.about, simulated=self.simulated)
        for part in self.parts:
            if part.blocks and (images or not part.images):
                page.section(part.heading, *part.blocks)
        return page

    def write(self, out: Path) -> Path:
        """Write the HTML page to `out`, and the Markdown page with its plots beside it."""
        self.page(images=True).write(out)
        self.write_markdown(out.with_suffix(".md"))
        return out

    def write_markdown(self, out: Path) -> Path:
        """Write the Markdown page to `out`, and its plots into a folder of the same name."""
        write_markdown(self.page(images=False), out)
        return out


def study_report(
    results: StudyResults, case_set: CaseSet | None = None, out: Path | None = None, load: Load | None = None
) -> Path:
    """Write the page of a study, finished or not, in both forms.

    Args:
        results: what the study's runs say.
        case_set: where the images come from; without it the page has none.
        out: the HTML file; by default report.html in the study folder. The Markdown lies beside it.
        load: opens a run folder; by default `sonoprior.load`.

    Returns:
        The HTML file.

    Raises:
        DataError: if the case set does not hold the cases of the runs.
        FolderError: if a run is damaged or a file cannot be written.
    """
    return report_of_study(results, case_set, load).write(out or results.folder / REPORT)


def run_report(folder: Path, out: Path, case_set: CaseSet | None = None, load: Load | None = None) -> Path:
    """Write the page of a single run, in both forms.

    Args:
        folder: the run folder.
        out: the HTML file; the Markdown lies beside it.
        case_set: where the images come from; without it the page has none.
        load: opens a run folder; by default `sonoprior.load`.

    Returns:
        `out`.

    Raises:
        DataError: if the case set does not hold the cases of the run.
        FolderError: if the run is not finished or damaged, or a file cannot be written.
    """
    return report_of_run(FinishedRun.read(folder), case_set, load).write(out)


def report_of_study(
    results: StudyResults, case_set: CaseSet | None = None, load: Load | None = None
) -> Report:
    """The page of a study; see `study_report`."""
    recipe, some, opposed = results.recipe, results.first, sections.opposed(results)
    few, closer = sections.side_by_side(results), sections.looked_at(results)
    asks, curve = recipe.study, recipe.study.curve
    parts = [
        Part("The question", sections.the_question(results)),
        Part("The answer", sections.the_answer(results)),
        Part("The secondary endpoints", secondary_endpoints(results)),
        Part(asked.what_mattered(results), asked.controls(results)),
        Part("How many labels it saves", labels_saved(results)),
        Part(f"How it spreads over {asks.spread.axis}" if asks.spread else "", spread(results)),
        Part(f"The curve: {curve.axis}" if curve else "", asked.curve(results)),
        Part("What is lost", asked.contrast(results)),
        Part("The folds as one model", folds_as_one(results)),
        Part("What was compared", sections.what_was_compared(results, case_set)),
        Part("Did it look there", sections.localisation(few, some)),
        Part("Where it looked", sections.pictures(sections.aligned(few), case_set, load), images=True),
        Part("Every measure", sections.every_measure(results)),
        *_embedding_parts(results.runs, few, closer, results.chosen, case_set),
        Part("Class by class and how sure", sections.class_by_class(few, closer, some)),
        Part("How training went", sections.training_curves(few, some)),
        Part("What the pseudo-labels were", pseudo_labels(results.runs)),
        Part("What was tried", what_was_tried(results)),
        Part("What changed", sections.changed_cases(results)),
        Part("Errors", sections.worst(opposed, case_set), images=True),
        *(
            Part(f"Published: {_printed_as(table.table)}", sections.published(results, table))
            for table in recipe.published
        ),
        Part("How this page was made", sections.how_it_was_made(results, case_set)),
    ]
    return Report(f"{recipe.name}: what came out", recipe.about, some.simulated, parts)


def report_of_run(run: FinishedRun, case_set: CaseSet | None = None, load: Load | None = None) -> Report:
    """The page of a single run; see `run_report`."""
    runs = {run.variant: [run]}
    parts = [
        Part("What it can do", sections.one_run(run)),
        Part("Did it look there", sections.localisation(runs, run)),
        Part("Where it looked", sections.pictures({run.variant: run}, case_set, load), images=True),
        *_embedding_parts(runs, runs, runs, run.variant, case_set),
        Part("Class by class and how sure", sections.class_by_class(runs, runs, run)),
        Part("How training went", sections.training_curves(runs, run)),
        Part("What the pseudo-labels were", pseudo_labels(runs)),
        Part("Errors", sections.worst(runs, case_set), images=True),
        Part("How this run was made", sections.recipe_and_versions([run], run.recipe)),
    ]
    title = f"{run.recipe.name}: {run.variant}, {run.name}"
    return Report(title, run.recipe.about, run.simulated, parts)


_AT_ONCE = 2  # the chosen variant and its reference; of a study without an answer the first ones


def _embedding_parts(
    every: sections.Runs,
    few: sections.Runs,
    closer: sections.Runs,
    chosen: str | None,
    case_set: CaseSet | None,
) -> list[Part]:
    """What is shown of the runs that embed; nothing where none does.

    Args:
        every: all variants, which a table has room for.
        few: those that are shown side by side.
        closer: those of them that are looked at more closely, those of the answer first.
        chosen: the variant of the answer.
        case_set: where the images come from.
    """
    every, few, closer = (embedding_sections.embedding_runs(runs) for runs in (every, few, closer))
    if not every:
        return []
    alike = embedding_sections.class_similarity_section(sections.aligned(every), few)
    mapped = sections.aligned(closer) if closer else {}
    first = dict(list(mapped.items())[:_AT_ONCE])
    return [
        Part(
            "How wrong the nearest cases are", embedding_sections.how_wrong_section(every, closer, case_set)
        ),
        Part("How alike the classes are", alike),
        Part("A map of the cases", embedding_sections.map_section(mapped)),
        Part("What is found", embedding_sections.found_section(first, chosen, case_set), images=True),
    ]


def _printed_as(number: str) -> str:
    """How a heading names what was printed, which may be a figure or stand in the text."""
    return number if number.startswith(("figure", "section")) else f"table {number}"
