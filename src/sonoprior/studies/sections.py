"""The sections of a report, each a list of blocks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.priors import presence
from sonoprior.core.checks import listed
from sonoprior.metrics import averaged
from sonoprior.render.blocks import Block, Code, Download, Fact, Facts, Fold, Note, Paragraph, Table
from sonoprior.render.plots import colours
from sonoprior.training.recipe import PublishedTable, Recipe
from sonoprior.training.recipe_file import as_yaml

from . import figures, tables
from .command import commands
from .endpoints import best_of_families
from .figures import Runs
from .finished import FinishedRun
from .formats import bounds, valued, with_article
from .gallery import Load, attribution_gallery
from .measures import available
from .nearest_cases import by_chance, changed_neighbours
from .published import conditions_table, published_table
from .results import StudyResults
from .statistics import statistics
from .verdicts import changes, verdicts, worst_errors
from .wording import answer, choice

Blocks = list[Block]
_NO_IMAGES = "The case set was not at hand when this page was written, so it shows no images."


def the_question(results: StudyResults) -> Blocks:
    """What the study asks, in the words of its recipe; nothing where it has none."""
    question = results.recipe.study.question
    return [Note(question, "strong")] if question else []


def the_answer(results: StudyResults) -> Blocks:
    """The result in a sentence, what is missing, and the primary endpoint as plot and tables."""
    found = answer(results)
    blocks: list[Block] = [Note(found.text, found.tone)]
    if results.missing:
        planned = len(results.every_run) + len(results.missing)
        text = (
            f"This study is not complete: {len(results.missing)} of {planned} runs"
            f" {'is' if len(results.missing) == 1 else 'are'} missing ({listed(results.missing, 6)})."
            " What follows is of the others."
        )
        blocks.append(Note(text, "warning"))
    blocks += [Paragraph(text) for text in (choice(results),) if text]
    return [
        *blocks,
        *figures.difference_plot(results),
        tables.primary_table(results),
        *([tables.claims_table(results.claims, results.primary)] if results.claims else []),
        *best_of_families(results),
        *figures.paired_plot(results),
    ]


def what_was_compared(results: StudyResults, case_set: CaseSet | None) -> Blocks:
    """Data, network, endpoint and variants."""
    recipe, some = results.recipe, results.first
    cases, groups = _tested(results)
    facts = Facts(
        [
            Fact(str(cases), "test cases"),
            Fact(str(groups), "patients or duplicate groups"),
            Fact(str(recipe.split.count), "folds" if recipe.split.count > 1 else "split"),
            Fact(str(recipe.study.seeds), "seed a fold" if recipe.study.seeds == 1 else "seeds a fold"),
            Fact(str(len(recipe.study.variants)), "variants"),
            Fact(f"{recipe.data.size} px", "image side"),
        ]
    )
    rows = [
        [name, _settings(changed), _role(results, name)] for name, changed in recipe.study.variants.items()
    ]
    about = [] if case_set is None else [Paragraph(_data(case_set, recipe))]
    network, weights, tap = (_of_each(results, setting) for setting in ("backbone", "weights", "tap"))
    what = Paragraph(
        f"Data: {some.case_set}, {_classes(some)}. Network: {network}; weights to start from: {weights};"
        f" attribution is read at: {tap}. Endpoint, fixed beforehand: {results.primary.title} on the test"
        " cases."
    )
    variants = Table(["variant", "settings of its own", "compared with"], rows)
    return [what, *about, facts, variants, *_left_out(recipe), *_not_side_by_side(results)]


def _of_each(results: StudyResults, setting: str) -> str:
    """A setting of the network, or what each of the variants has."""
    found = dict.fromkeys(getattr(run.recipe.model, setting) for run in results.every_run)
    return f"{listed(found)}{', by variant' if len(found) > 1 else ''}"


def _left_out(recipe: Recipe) -> Blocks:
    names = recipe.study.left_out
    return [Note(f"Left out of the variants of the recipe: {', '.join(names)}.")] if names else []


def _classes(run: FinishedRun) -> str:
    """What is told apart, in words."""
    if run.decides:
        return f"{len(run.singles)} classes, each a decision of its own ({listed(run.singles)})"
    return f"{len(run.classes)} classes ({listed(run.classes)})"


def _data(case_set: CaseSet, recipe: Recipe) -> str:
    spec = recipe.data.priors
    if spec is None:
        return case_set.info.about
    known = presence(case_set, spec).any(axis=1).sum()
    return f"{case_set.info.about} {known} of {len(case_set)} cases have a prior ({spec.source}).".strip()


def _tested(results: StudyResults) -> tuple[int, int]:
    found = [run.measured() for run in results.every_run]
    cases = {str(case) for of in found for case in of.cases}
    return len(cases), len({str(group) for of in found for group in of.groups})


def _settings(changed: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in changed.items()) or "nothing"


def _role(results: StudyResults, name: str) -> str:
    control = results.recipe.study.controls.get(name)
    reference = results.reference(name) or "others are compared with it"
    return reference if control is None else f"{reference}; it controls {control}"


def every_measure(results: StudyResults) -> Blocks:
    """All measures of all variants."""
    table = results.table().to_csv(index=False, float_format="%.6g", lineterminator="\n")
    download = Download("All of it with intervals (CSV)", "results.csv", table)
    return [*_by_kind(results), download]


def _by_kind(results: StudyResults) -> Blocks:
    """A table of what is about neither embeddings nor single classes, and the main ones of embeddings.

    Those of every level stand behind a line, those of single classes in a table of their own.
    """
    of_embeddings = [one for one in results.ordered if one.of_embeddings]
    others = [one for one in results.measures if not (one.of_embeddings or one.of_one_class)]
    blocks: Blocks = [tables.measures_table(results, others)] if others else []
    if not of_embeddings:
        return blocks
    by_level = [
        tables.measures_table(results, [one for one in of_embeddings if one.level == level])
        for level in dict.fromkeys(one.level for one in of_embeddings)
    ]
    main = tables.measures_table(results, tables.in_short(of_embeddings))
    return [*blocks, main, Fold("Every measure, level by level", by_level)]


def localisation(runs: Runs, some: FinishedRun) -> Blocks:
    """Did it look there: by class and variant; nothing for embeddings that were never asked."""
    measures = [measure for measure in available(runs) if measure.name == "inside"]
    if not measures and some.embeds and not some.priors:
        return []
    if not measures:
        return [Paragraph("Not measured: no test case has an outline that is drawn and not empty.")]
    shade = colours(list(runs), some.recipe.study.baseline)
    alike: dict[tuple[str, ...], dict[str, Sequence[FinishedRun]]] = {}
    for name, of_variant in runs.items():
        alike.setdefault(tuple(of_variant[0].priors), {})[name] = of_variant
    text = (
        "Measured on the test cases whose outline is drawn and not empty. A map that is equal everywhere"
        " would have the share of the last column inside, and no correlation."
    )
    if len(alike) > 1:
        text += " Variants whose outlines are put together otherwise are not comparable; they stand apart."
    blocks: list[Block] = [Paragraph(text)]
    for number, (priors, of) in enumerate(alike.items(), 1):
        classes = figures.outlined_classes(of, some.classes)
        if len(alike) > 1:
            blocks.append(Paragraph(f"Against {listed(priors)}:"))
        blocks += figures.localisation_plot(of, classes, shade, measures[0], number)
        blocks.append(tables.localisation_table(of, classes))
    return blocks


def pictures(runs: Mapping[str, FinishedRun], case_set: CaseSet | None, load: Load | None) -> Blocks:
    """Overlays of one run a variant, side by side; of what only embeds, where there are priors.

    A run whose weights have been deleted, to save space, is named instead.
    """
    runs = {name: run for name, run in runs.items() if _names_classes(run) or run.priors}
    if not runs:
        return []
    if case_set is None:
        return [Note(_NO_IMAGES)]
    gone = [name for name, run in runs.items() if not run.has_weights]
    usable = {name: run for name, run in runs.items() if run.has_weights}
    blocks: Blocks = []
    if gone:
        blocks.append(Note(f"Without their weights it cannot be shown where these looked: {listed(gone)}."))
    if usable:
        blocks += attribution_gallery(usable, case_set, load or _load())
    return blocks


def _load() -> Load:
    from sonoprior.training import load  # with torch, which only this section needs

    return load


def aligned(runs: Runs) -> dict[str, FinishedRun]:
    """One run a variant, all of the fold and seed that most variants have finished, the first of these."""
    by_key: dict[tuple[int, int], dict[str, FinishedRun]] = {}
    for name, of_variant in runs.items():
        for run in of_variant:
            by_key.setdefault((run.seed, run.fold), {})[name] = run
    return max((by_key[key] for key in sorted(by_key)), key=len)


_SIDE_BY_SIDE = 6


def side_by_side(results: StudyResults) -> Runs:
    """The variants that are shown beside one another: all, or of many the answer's and those of the recipe.

    The answer's are the chosen one, its reference and its controls.
    """
    if len(results.runs) <= _SIDE_BY_SIDE:
        return results.runs
    study = results.recipe.study
    controls = [name for name, of in study.controls.items() if of == results.chosen]
    answering = [name for name in (*opposed(results), *controls) if name in results.runs]
    names = {*answering[:_SIDE_BY_SIDE], *study.shown}
    return {name: runs for name, runs in results.runs.items() if name in names}


def _not_side_by_side(results: StudyResults) -> Blocks:
    few = side_by_side(results)
    if len(few) == len(results.runs):
        return []
    return [
        Paragraph(f"Of these, {listed(few)} are shown side by side below; every measure is given of all.")
    ]


def opposed(results: StudyResults) -> Runs:
    """The chosen variant and its reference, or whatever there is."""
    names = {results.chosen and results.reference(results.chosen), results.chosen}
    return {name: runs for name, runs in results.runs.items() if name in names} or results.runs


def looked_at(results: StudyResults) -> Runs:
    """Of those side by side the ones that have plots of their own: the opposed, then the recipe's."""
    few = side_by_side(results)
    names = dict.fromkeys((*opposed(results), *results.recipe.study.shown))
    return {name: few[name] for name in names if name in few}


def class_by_class(runs: Runs, shown: Runs, some: FinishedRun) -> Blocks:
    """Each class, what it was taken for, and whether the model was rightly sure; nothing without classifiers.

    Where single classes are decided on, a case may be taken for several, and there is only a table.

    Args:
        runs: for the table.
        shown: those of them that have plots.
        some: any of the runs.
    """
    shade = colours(list(runs), some.recipe.study.baseline)
    deciding = {name: of for name, of in runs.items() if all(run.decides for run in of)}
    if deciding:
        return [tables.decided_table(deciding, some.singles)]
    runs, shown = classifying(runs), classifying(shown)
    if not runs:
        return []
    return [
        tables.class_table(runs, some.classes),
        *(figures.confusion_plots(shown, some.classes) if shown else []),
        *(figures.reliability_plot(shown, shade) if shown else []),
    ]


def classifying(runs: Runs) -> Runs:
    """The variants whose runs give class probabilities."""
    return {name: of for name, of in runs.items() if all(run.classifies for run in of)}


def naming(runs: Runs) -> Runs:
    """The variants whose runs name classes, by probabilities or by decisions."""
    return {name: of for name, of in runs.items() if all(_names_classes(run) for run in of)}


def _names_classes(run: FinishedRun) -> bool:
    return run.classifies or run.decides


def training_curves(runs: Runs, some: FinishedRun) -> Blocks:
    """How training went."""
    shade = colours(list(runs), some.recipe.study.baseline)
    plot = figures.curve_plot(runs, shade, some.recipe.training.monitor)
    return plot or [Paragraph("The runs keep no log.")]


def changed_cases(results: StudyResults) -> Blocks:
    """How many cases the chosen variant put right and wrong; nothing without one."""
    if results.chosen is None:
        return []
    name = results.chosen
    base = results.reference(name) or results.baseline
    both = {variant: results.runs[variant] for variant in (name, base)}
    blocks: Blocks = []
    if len(naming(both)) == len(both):
        blocks.append(changes(name, verdicts(both[name]), base, verdicts(both[base])))
    if all(run.embeds for runs in both.values() for run in runs):
        blocks.append(changed_neighbours(name, both[name], base, both[base]))
    return blocks


def worst(runs: Runs, case_set: CaseSet | None) -> Blocks:
    """The errors that each variant that names classes was most sure of, with their images."""
    runs = naming(runs)
    if not runs:
        return []
    if case_set is None:
        return [Note(_NO_IMAGES)]
    found = [worst_errors(name, verdicts(of), of[0], case_set) for name, of in runs.items()]
    return [block for of_variant in found for block in of_variant]


def published(results: StudyResults, table: PublishedTable) -> Blocks:
    """Numbers of others, beside ours."""
    note = Paragraph(
        "Published numbers stand beside ours and enter no computation; their data, splits, weights and"
        " protocol may differ."
    )
    about = [Paragraph(table.about)] if table.about else []
    return [
        *about,
        note,
        conditions_table(results, table),
        published_table(results, table),
    ]


def how_it_was_made(results: StudyResults, case_set: CaseSet | None) -> Blocks:
    """Statistics, the command, versions and the recipe."""
    again = Paragraph("These commands train what is missing and write this page again:")
    return [
        *(Paragraph(text) for text in statistics(results.recipe.split.protocol, results.first.embeds)),
        again,
        Code("\n".join(commands(results, case_set))),
        *recipe_and_versions(results.every_run, results.recipe),
    ]


def recipe_and_versions(runs: Sequence[FinishedRun], recipe: Recipe) -> Blocks:
    """The recipe, and what its runs were made with: a column for each machine on which some of them were."""
    machines = Counter(tuple(_made_with(run).items()) for run in runs)
    columns = [dict(machine) for machine in machines]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(column.get(name, "–") for column in columns)] for name in names]
    counts = [f"{count} {'run' if count == 1 else 'runs'}" for count in machines.values()]
    return [
        Fold("Versions and machine", [Table(["what", *(counts if len(counts) > 1 else ["which"])], rows)]),
        Fold("The recipe", [Code(as_yaml(recipe))]),
    ]


def _made_with(run: FinishedRun) -> dict[str, str]:
    """Versions of libraries, device and threads, by name."""
    versions = run.environment.get("versions", {})
    rest = {name: value for name, value in run.environment.items() if name != "versions"}
    return {name: str(value) for name, value in {**versions, **rest}.items() if value is not None}


def one_run(run: FinishedRun) -> Blocks:
    """What a single run can do: a sentence, and every measure with its interval."""
    primary = run.recipe.study.primary
    measures = sorted(available({run.variant: [run]}), key=lambda measure: measure.name != primary)
    found = [(one, averaged(one.statistic, [one.sample(run)])) for one in measures]
    first, interval = found[0]
    sentence = (
        f"It reached {with_article(first)} of {valued(interval.value, first)} (95 % interval"
        f" {bounds(interval, first)}) on {len(run.measured())} test cases of {run.case_set} with"
        f" {len(run.singles) if run.decides else len(run.classes)} classes; {_without_learning(run)}."
    )
    rows = [(one, of.value, bounds(of, one)) for one, of in found]
    return [Note(sentence, "strong"), tables.metrics_table(run, rows)]


def _without_learning(run: FinishedRun) -> str:
    if run.decides:
        commonest = np.bincount(run.measured().labels).max() / len(run.measured())
        return f"always saying the commonest combination would match exactly in {100 * commonest:.0f} %"
    if not run.classifies:
        return f"a case drawn by chance would be of the same class in {100 * by_chance(run):.0f} %"
    commonest = np.bincount(run.measured().labels).max() / len(run.measured())
    return f"always saying the commonest class would be right in {100 * commonest:.0f} %"
