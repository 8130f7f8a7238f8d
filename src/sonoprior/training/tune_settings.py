"""What tuning tries, as it stands in a recipe before anything is trained. Free of torch."""

import json
from math import prod
from typing import Annotated, Any

import numpy as np
from pydantic import Field, PositiveInt, field_validator

from sonoprior.core.randomness import generator
from sonoprior.metrics.catalogue import metric_named

from .recipe_part import RecipePart, settings_of_a_run

Values = Annotated[list[Any], Field(min_length=1)]
Grid = dict[str, Values]


class TuneSettings(RecipePart):
    """A grid that is searched on the validation part, with the same budget for every variant.

    Attributes:
        metric: what is compared on validation; the primary metric of the study, if not given.
        budget: settings tried for every variant, the baseline included.
        seeds: runs of each setting and fold.
        seed: of the draw, where a grid offers more settings than the budget.
        grid: dotted key to the values it takes, for every variant.
        variants: the same for a single variant; its values stand beside the common ones, and replace them
            where both name a key.
    """

    metric: str | None = None
    budget: PositiveInt
    seeds: PositiveInt = 1
    seed: Annotated[int, Field(ge=0)] = 0
    grid: Grid = Field(default_factory=dict)
    variants: dict[str, Grid] = Field(default_factory=dict)

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, value: str | None) -> str | None:
        return value and metric_named(value).name

    @field_validator("grid")
    @classmethod
    def _usable_grid(cls, value: Grid) -> Grid:
        _check_grid("grid", value)
        return value

    @field_validator("variants")
    @classmethod
    def _usable_grids(cls, value: dict[str, Grid]) -> dict[str, Grid]:
        for name, grid in value.items():
            _check_grid(f"the grid of '{name}'", grid)
        return value

    def grid_of(self, variant: str) -> Grid:
        """Everything that a variant may try: the common grid and its own."""
        return self.grid | self.variants.get(variant, {})

    def offered(self, variant: str) -> int:
        """How many distinct settings the grid of a variant offers; 1 if it has none."""
        return prod(len(values) for values in self.grid_of(variant).values())

    def tried(self, variant: str) -> list[dict[str, Any]]:
        """The settings that a variant tries, as dotted keys, in the order of the grid.

        The last key of the grid changes fastest. Where the grid offers more than the budget, as many are
        drawn from it without replacement; variants with the same grid draw the same.
        """
        grid = self.grid_of(variant)
        draw = generator(self.seed, "tuning")
        drawn = np.sort(draw.choice(self.offered(variant), self.budget, replace=False))
        places = zip(*np.unravel_index(drawn, [len(values) for values in grid.values()]), strict=True)
        return [
            {key: values[at] for (key, values), at in zip(grid.items(), place, strict=True)}
            for place in places
        ]


def _check_grid(what: str, grid: Grid) -> None:
    settings_of_a_run(what, grid)
    for key, values in grid.items():
        written = [json.dumps(value, sort_keys=True) for value in values]
        twice = [one for at, one in enumerate(written) if one in written[:at]]
        if twice:
            raise ValueError(f"{what} must name each value of {key} once, but got {twice[0]} twice")
