"""What every part of a recipe has in common. Free of torch."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]

_NOT_FOR_A_RUN = {"format", "name", "about", "split", "retrieval", "study", "tune", "quick", "published"}
# Runs of other labels cannot be compared either.
_NOT_OF_DATA = {"data.level", "data.several"}


class RecipePart(BaseModel):
    """A part of a recipe: unknown keys are errors, and nothing changes after it was checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def settings_of_a_run(what: str, keys: Iterable[str], also: frozenset[str] = frozenset()) -> None:
    """Refuse dotted keys that no single run may change, because runs could not be compared any more.

    Args:
        what: whose keys they are, for the message.
        keys: dotted keys.
        also: keys that are allowed all the same.

    Raises:
        ValueError: naming the first such key.
    """
    refused = _NOT_FOR_A_RUN | _NOT_OF_DATA
    wrong = [key for key in keys if {key, key.partition(".")[0]} & refused and key not in also]
    if wrong:
        besides = f", and {', '.join(sorted(also))}" if also else ""
        raise ValueError(
            f"{what} may set data, model, objectives, augment and training{besides}, but got '{wrong[0]}';"
            " the rest must be the same for every run, or they could not be compared"
        )
