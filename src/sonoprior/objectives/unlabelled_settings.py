"""What the settings of all objectives on unlabelled cases have in common.

Free of torch, so that a recipe is checked without it.
"""

from pydantic import BaseModel, ConfigDict


class UnlabelledSettings(BaseModel):
    """The base of the settings of an objective that reads a stream beside the labelled one.

    Attributes:
        stream: which one, of the recipe's `streams`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stream: str = "unlabelled"
