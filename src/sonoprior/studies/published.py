"""Numbers that others published, with ours beside them, and the conditions of both."""

from collections.abc import Sequence

from pydantic import BaseModel

from sonoprior.objectives.clustering_settings import DeepClusteringSettings, DirichletSettings
from sonoprior.objectives.embedding_settings import SemanticAbstractionSettings
from sonoprior.render.blocks import Table
from sonoprior.training.recipe import PublishedTable

from .formats import NOTHING, counted, heading, spread
from .measures import Measure
from .results import StudyResults

_OURS = {"variant", "metric"}  # what a published row says of ours that stands beside it


def published_table(results: StudyResults, published: PublishedTable) -> Table:
    """Numbers that others published, with ours of the same metric in a column of their own."""
    keys = [key for key in dict.fromkeys(key for row in published.rows for key in row) if key not in _OURS]
    measures = {one.name: one for one in results.measures}
    rows = [
        [
            *(_cell(row.get(key)) for key in keys),
            _ours(results, row.get("variant"), measures.get(str(row.get("metric", published.metric)))),
        ]
        for row in published.rows
    ]
    measure = measures.get(published.metric)
    ours = f"this study: {published.metric if measure is None else heading(measure)}"
    return Table([*keys, ours], rows)


def conditions_table(results: StudyResults, published: PublishedTable) -> Table:
    """Under which conditions the published numbers and ours came about, as far as they are told."""
    recipe, split = results.recipe, results.recipe.split
    folds = f", {split.count} folds" if split.count > 1 else ""
    rows = [
        *_of_alpha(results, published),
        ["weights to start from", published.weights or NOTHING, recipe.model.weights],
        [
            "split and runs",
            published.split or NOTHING,
            f"{split.protocol.replace('_', ' ')}{folds}, {counted(recipe.study.seeds, 'seed')} each",
        ],
    ]
    return Table(["", "published", "this study"], rows)


def _of_alpha(results: StudyResults, published: PublishedTable) -> list[list[str]]:
    """What the printed alpha belongs to, and ours; nothing where neither is told."""
    guidance = results.recipe.guidance
    if guidance is not None:
        form = getattr(guidance.settings, "reduction", NOTHING)
        return [["form of alpha", published.alpha or NOTHING, str(form)]]
    return [["alpha", published.alpha, _alphas(results)]] if published.alpha else []


def _alphas(results: StudyResults) -> str:
    """The alphas of each objective that has some, of all variants; of several levels the leaf's first."""
    found: dict[str, dict[str, None]] = {}
    for run in results.every_run:
        for name, entry in run.recipe.active_objectives.items():
            if alphas := _alphas_of(entry.settings):
                found.setdefault(name, {})[", ".join(f"{alpha:g}" for alpha in alphas)] = None
    each = [(name, " or ".join(of), ", by variant" if len(of) > 1 else "") for name, of in found.items()]
    return "; ".join(f"{alphas} in {name}{which}" for name, alphas, which in each) or NOTHING


def _alphas_of(settings: BaseModel) -> Sequence[float]:
    """Of levels, or of a prior on the sizes of clusters; the alpha of a metric loss is its margin."""
    if isinstance(settings, SemanticAbstractionSettings):
        return settings.alphas
    prior = settings.size if isinstance(settings, DeepClusteringSettings) else None
    return [prior.alpha] if isinstance(prior, DirichletSettings) else []


def _cell(value: str | float | None) -> str:
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else f"{value:g}"


def _ours(results: StudyResults, variant: str | float | None, measure: Measure | None) -> str:
    if measure is None or variant not in results.runs:
        return NOTHING
    return spread(results.outcome(str(variant), measure))
