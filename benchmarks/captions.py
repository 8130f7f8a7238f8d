"""What captions say of a hierarchy: table 3.6 of the thesis, and cosines within and across classes.

    python benchmarks/captions.py [--encoder FOLDER] [--out docs/results/captions.md]

The 18 views of early pregnancy in their meta-views, and the 200 species of CUB-200-2011 in genera and
families; their names alone, no image. A simple caption names the class, a rich one what stands above it too.
The encoder is MiniLM, or the folder of a `transformers` model, such as the text side of a CLIP. Seconds.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.cases.phantom.views import META, VIEWS
from sonoprior.core.folder import write_text
from sonoprior.knowledge import read_ontology
from sonoprior.knowledge.levels import Levels, levels
from sonoprior.knowledge.similarity import term_similarity
from sonoprior.studies.class_similarity import agreement
from sonoprior.training.hierarchy_settings import LanguageSettings
from sonoprior.training.language import text_embeddings

Floats = NDArray[np.floating]
Templates = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Classes:
    """Classes, and how they are captioned.

    Attributes:
        about: what they are.
        levels: their paths, the leaf first.
        simple: by level a template that names the class alone.
        rich: one that names what stands above a leaf too.
        published: table 3.6, the row of the thesis's own classes, by level.
        near: (C, C) similarity of the leaves' terms, where there is an ontology.
    """

    about: str
    levels: Levels
    simple: Templates
    rich: str
    published: Mapping[str, float]
    near: Floats | None = None

    @property
    def leaf(self) -> str:
        """The level of the classes themselves."""
        return self.levels.names[0]

    def captions(self) -> dict[str, Templates]:
        """The two ways to caption the leaves."""
        return {"simple": self.simple, "rich": self.simple | {self.leaf: (self.rich,)}}


def views() -> Classes:
    """The views of early pregnancy, captioned as `phantom-olg` does."""
    graph, names = read_ontology("early_pregnancy"), [view.name for view in VIEWS]
    codes = [graph.find(name).id for name in names]
    return Classes(
        "18 views",
        levels(graph, names, {"meta": META}, leaf="view"),
        {"view": ("{view}",), "meta": ("{meta}",)},
        "{view} from the {meta}",
        {"view": 0.937, "meta": 0.916},
        term_similarity(graph).between(codes, codes),
    )


def birds() -> Classes:
    """The species of CUB-200-2011, captioned as `cub-olg` does."""
    names = ("species", "genus", "family")
    with as_file(files("sonoprior.cases.importers") / "cub_taxonomy.csv") as path:
        taxonomy = pd.read_csv(path)
    paths, classes = zip(*(pd.factorize(taxonomy[name]) for name in names), strict=True)
    return Classes(
        "200 birds",
        Levels(names, tuple(tuple(of) for of in classes), np.stack(paths, axis=1)),
        {name: (f"a photo of a {{{name}}}",) for name in names},
        "a photo of a {species} from the genus {genus} and the {family} family",
        {"species": 0.937, "genus": 0.617, "family": 0.655},
    )


def rich_beside_simple(classes: Classes, said: Mapping[str, Mapping[str, Floats]]) -> Iterator[str]:
    """Rows of table 3.6: the cosine of a rich caption with the simple one of its class at each level."""
    for place, level in enumerate(classes.levels.names):
        simple = said["simple"][level][classes.levels.paths[:, place]]
        cosine = (said["rich"][classes.leaf] * simple).sum(axis=1).mean()
        yield f"| {classes.about} | {level} | {cosine:.3f} | {classes.published[level]:.3f} |"


def within_and_across(classes: Classes, said: Mapping[str, Mapping[str, Floats]]) -> Iterator[str]:
    """Rows of mean cosines of two leaves of one class, and of two, at each level above."""
    for caption, embeddings in said.items():
        of_leaves = embeddings[classes.leaf]
        cosines = of_leaves @ of_leaves.T
        agreed = "" if classes.near is None else f"{agreement(cosines, classes.near):.2f}"
        for place, level in enumerate(classes.levels.names[1:], 1):
            above = classes.levels.paths[:, place]
            same, others = above[:, None] == above, ~np.eye(len(above), dtype=bool)
            figures = f"{cosines[same & others].mean():.2f} | {cosines[~same].mean():.2f}"
            yield f"| {classes.about} | {caption} | {level} | {figures} | {agreed} |"


def main() -> None:
    """Measure, print, and keep the tables if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    beside: list[str] = []
    apart: list[str] = []
    for classes in (views(), birds()):
        said = {
            caption: text_embeddings(
                LanguageSettings(encoder=given.encoder, templates=templates), classes.levels
            )
            for caption, templates in classes.captions().items()
        }
        beside += rich_beside_simple(classes, said)
        apart += within_and_across(classes, said)
    encoder = "" if given.encoder == "minilm" else f" --encoder {Path(given.encoder).name}"
    lines = [
        "# What captions say of a hierarchy",
        "",
        f"Text encoder: {Path(given.encoder).name}. Mean cosines of the embeddings of captions.",
        "",
        "## Rich captions beside simple ones",
        "",
        "Of each class the rich caption with the simple one of its own class at a level, as in table 3.6.",
        "What is published is of CLIP, with the captions of the thesis, which are not all printed there.",
        "",
        "| classes | simple caption of the | cosine | published |",
        "|---|---|--:|--:|",
        *beside,
        "",
        "## Within a class above, and across",
        "",
        "Every two classes of one class above, and of two. The last column is the rank correlation with the",
        "similarity of the terms in the ontology, over all pairs of classes.",
        "",
        "| classes | caption | level above | within | across | rank correlation |",
        "|---|---|---|--:|--:|--:|",
        *apart,
        "",
        f"    python benchmarks/captions.py{encoder} --out docs/results/captions.md",
    ]
    print("\n".join(lines))
    if given.out:
        write_text(given.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
