"""What people see of an embedding on a page: its cases, its classes, what it finds, and how wrong that is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isnan
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.render.blocks import Block, Note, Paragraph, Table
from sonoprior.render.embedding_plots import NAMED, ClassesOfLevel, Map, Side, class_similarities, scatter

from .class_similarity import agreement, class_similarity
from .embedded import EmbeddedCases, classes_and_metas, embedded, language, levels_of, lineage
from .embedding_map import FEWEST, FEWEST_FOR_UMAP, drawn, methods
from .figures import Runs, in_rows, shown
from .finished import FinishedRun
from .nearest_verdicts import HowWrong, how_wrong, verdict
from .neighbours_gallery import neighbours_gallery

Blocks = list[Block]
OneRunEach = Mapping[str, FinishedRun]

_CONFUSIONS = 6
_NO_UMAP = (
    "t-SNE stands alone: UMAP takes umap-learn (pip install 'sonoprior[plots]') and"
    f" {FEWEST_FOR_UMAP} test cases."
)


def embedding_runs(runs: Runs) -> Runs:
    """The variants whose runs embed."""
    return {name: of for name, of in runs.items() if all(run.embeds for run in of)}


def how_wrong_section(runs: Runs, shown_closer: Iterable[str], case_set: CaseSet | None) -> Blocks:
    """Of the wrong nearest cases how many are cousins and how many far, and the commonest confusions.

    Args:
        runs: the variants; nothing is shown without one.
        shown_closer: those of them whose confusions are named.
        case_set: tells the classes of training cases, where these were searched.
    """
    if not runs:
        return []
    found = {name: how_wrong(of, case_set) for name, of in runs.items()}
    if not any(sum(of.counts.values()) for of in found.values()):
        return [Paragraph("No test case has another one that may be found for it.")]
    some = next(iter(runs.values()))[0]
    confused = _confusions({name: found[name] for name in shown_closer if name in found}, some)
    return [Paragraph(_about_how_wrong(some)), _wrong_table(found, some), *confused]


def _about_how_wrong(run: FinishedRun) -> str:
    of = lineage(run)
    cousins = (
        f" A wrong one is a cousin where its class is of the same {of.up} as the query's, and far otherwise;"
        " beside it stands how many cousins there would be if wrong cases were drawn by lot from the test"
        " cases of other classes."
        if of.up
        else ""
    )
    return f"The nearest case of every test case whose class has others, over all runs of a variant.{cousins}"


def _wrong_table(found: Mapping[str, HowWrong], run: FinishedRun) -> Table:
    hierarchy = bool(lineage(run).up)
    unknown = any(of.counts.get("unknown", 0) for of in found.values())
    header = ["variant", "queries", "right", "wrong"]
    header += ["of these cousins", "by lot", "of these far"] if hierarchy else []
    header += ["of unknown kind"] if unknown else []
    rows: list[list[str]] = []
    for name, of in found.items():
        total, wrong = sum(of.counts.values()), of.counts.get("near", 0) + of.counts.get("far", 0)
        row = [name, str(total), _share(of.counts.get("right", 0), total), _share(wrong, total)]
        if hierarchy:
            lot = "–" if isnan(of.by_lot) else f"{100 * of.by_lot:.0f} %"
            row += [_share(of.counts.get("near", 0), wrong), lot, _share(of.counts.get("far", 0), wrong)]
        rows.append([*row, str(of.counts.get("unknown", 0))] if unknown else row)
    return Table(header, rows)


def _share(number: int, of: int) -> str:
    return f"{number} ({100 * number / of:.0f} %)" if of else str(number)


def _confusions(found: Mapping[str, HowWrong], run: FinishedRun) -> Blocks:
    of = lineage(run)
    words = {"near": "cousin", "far": "far", "unknown": "of unknown kind", "right": ""}
    rows: list[list[str]] = []
    for name, one in found.items():
        commonest = sorted(one.confusions.items(), key=lambda pair: (-pair[1], pair[0]))[:_CONFUSIONS]
        rows += [
            [name, query, case, words[verdict(query, case, of)], str(number)]
            for (query, case), number in commonest
        ]
    if not rows:
        return [Note("Every nearest case is of the query's class.", "good")]
    header = ["variant", "the query is", "the nearest case is", "which is", "times"]
    return [Table(header, rows, "The commonest confusions.")]


def map_section(runs: OneRunEach) -> Blocks:
    """The test cases of each variant in two dimensions, coloured by level; nothing without a variant."""
    if not runs:
        return []
    every = {name: embedded(run) for name, run in runs.items()}
    fewest = min(map(len, every.values()))
    if fewest < FEWEST:
        return [Paragraph(f"A map needs {FEWEST} test cases, but there are {fewest}.")]
    some = next(iter(runs.values()))
    levels = _coloured(some, list(every.values()))
    drawable = methods(fewest)
    blocks: Blocks = [] if "UMAP" in drawable else [Paragraph(_NO_UMAP)]
    for method, placed in drawable.items():
        for number, names in enumerate(in_rows(list(every)), 1):
            maps = {name: _mapped(every[name], placed) for name in names}
            file = f"map-{method.lower()}" if number == 1 else f"map-{method.lower()}-{number}"
            blocks += shown(scatter(maps, levels), file, _about_map(method, some, every))
    return blocks


def _coloured(run: FinishedRun, cases: Sequence[EmbeddedCases]) -> list[ClassesOfLevel]:
    """Every level with the classes that occur; a level of which nothing is known is left out."""
    found: list[ClassesOfLevel] = []
    for level in levels_of(run):
        present = {str(name) for of in cases for name in of.labels[level]}
        classes, metas = classes_and_metas(run, level)
        kept = [pair for pair in zip(classes, metas, strict=True) if pair[0] in present]
        if kept:
            found.append(ClassesOfLevel(level, [name for name, _ in kept], [meta for _, meta in kept]))
    return found


def _mapped(of: EmbeddedCases, placed: Callable[[ArrayLike], NDArray[np.float64]]) -> Map:
    at = drawn(len(of))
    labels = {level: names[at] for level, names in of.labels.items()}
    return Map(of.cases[at], placed(of.embeddings[at]), labels)


def _about_map(method: str, run: FinishedRun, every: Mapping[str, EmbeddedCases]) -> str:
    number = max(map(len, every.values()))
    kept = len(drawn(number))
    which = (
        f"{kept} of the {number} test cases, drawn by lot" if kept < number else f"the {number} test cases"
    )
    return (
        f"{method}: {which}, of {run.name}; each point is a case, and each panel is mapped for itself. Points"
        " close together were close in the embedding; distances between far groups, and the sizes of groups,"
        " mean nothing. Shades of one colour are classes of one kind."
    )


def class_similarity_section(runs: OneRunEach, by_images: Iterable[str]) -> Blocks:
    """How alike classes are, by images and by every text; nothing without a variant.

    Args:
        runs: variant to one run, whose text side is shown and compared with its images.
        by_images: the variants whose images are shown too.
    """
    if not runs:
        return []
    some = next(iter(runs.values()))
    level = lineage(some).level
    every = {name: embedded(run) for name, run in runs.items()}
    present = {str(name) for of in every.values() for name in of.labels[level]}
    classes, metas = classes_and_metas(some, level)
    kept = [at for at, name in enumerate(classes) if name in present]
    names, kinds = [classes[at] for at in kept], [metas[at] for at in kept]
    if len(names) < 2:
        return [Paragraph(f"All test cases are of one class ({', '.join(names)}); there is none to compare.")]
    image = {name: class_similarity(of.embeddings, of.labels[level], names) for name, of in every.items()}
    text = {name: _text(run, level, names) for name, run in runs.items()}
    said = {name: found for name, found in text.items() if found is not None}
    sides = [Side(f"{name}: images", image[name], "image") for name in by_images if name in image]
    sides += _text_sides(said, runs)
    caption = _about_matrices(some, kinds, {name: agreement(image[name], said[name]) for name in said})
    return shown(class_similarities(sides, names, kinds), "classes", caption)


def _text(run: FinishedRun, level: str, names: Sequence[str]) -> NDArray[np.float64] | None:
    """The text's similarity of some classes, in their order."""
    found = language(run, level)
    if found is None:
        return None
    order = levels_of(run)[level]
    at = [order.index(name) for name in names]
    return np.asarray(found, dtype=np.float64)[np.ix_(at, at)]


def _text_sides(said: Mapping[str, NDArray[np.float64]], runs: OneRunEach) -> list[Side]:
    """Each text side once, though several variants have it, named after what encoded it."""
    sides: list[Side] = []
    for name, matrix in said.items():
        if not any(np.allclose(matrix, other.values, equal_nan=True) for other in sides):
            title = f"text: {Path(runs[name].recipe.language.encoder).name}"
            taken = any(other.name == title for other in sides)
            title = f"{title} ({name})" if taken else title
            sides.append(Side(title, matrix, title))
    return sides


def _about_matrices(run: FinishedRun, kinds: Sequence[str], found: Mapping[str, float]) -> str:
    lines = f" Lines part {_ranges(kinds)}." if any(kinds) else ""
    text = (
        "Spearman correlation of images with text over the pairs of different classes: "
        + ", ".join(f"{name} {'not defined' if isnan(of) else f'{of:.2f}'}" for name, of in found.items())
        + "."
        if found
        else "No variant has a text side."
    )
    return (
        "How alike classes are, the darker the more: by images, the mean cosine between the test cases of two"
        f" classes ({run.name}), on the diagonal between different cases and grey where there is only one."
        f"{lines} Colours span the entries off the diagonal, for the images together and for"
        f" each text side by itself. {text}"
    )


def _ranges(kinds: Sequence[str]) -> str:
    """What the lines part: of classes with a number, which are of which kind."""
    if len(kinds) > NAMED:
        return "classes of different kinds"
    said: list[str] = []
    for kind in dict.fromkeys(kinds):
        at = [place for place, own in enumerate(kinds, 1) if own == kind]
        span = str(at[0]) if len(at) == 1 else f"{at[0]}–{at[-1]}"
        said.append(f"{kind or 'classes of unknown kind'} ({span})")
    return ", ".join(said)


def found_section(runs: OneRunEach, chosen: str | None, case_set: CaseSet | None) -> Blocks:
    """Queries with what each variant found for them; nothing without a variant.

    Args:
        runs: variant to one run, all of one fold and seed.
        chosen: the variant by which queries are chosen; the last if it is not among them.
        case_set: where the images come from.
    """
    if not runs:
        return []
    if case_set is None:
        return [Note("The case set was not at hand when this page was written, so it shows no images.")]
    return neighbours_gallery(runs, chosen if chosen and chosen in runs else list(runs)[-1], case_set)
