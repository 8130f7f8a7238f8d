"""The settings of deep clustering.

Free of torch, so that a recipe is checked without it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .metric_loss_settings import NotNegative
from .unlabelled_settings import UnlabelledSettings


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EntropySettings(_Settings):
    """PICA's term: clusters of a batch shall be of one size, eq 4."""

    name: Literal["entropy"] = "entropy"


class DirichletSettings(_Settings):
    """LSD's term: the sizes in a batch shall be likely under a symmetric Dirichlet prior, eq 6.

    Attributes:
        alpha: above 1. The source says "slightly higher than 1" and no number. Near equal sizes the term
            pulls as strongly as the entropy where alpha = 1 + log(K) / K, for K clusters; towards an empty
            cluster it grows without bound, where the entropy stays below log(K).
    """

    name: Literal["dirichlet"] = "dirichlet"
    alpha: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 1.1


SizeSettings = Annotated[EntropySettings | DirichletSettings, Field(discriminator="name")]


class DeepClusteringSettings(UnlabelledSettings):
    """Deep clustering with PICA or LSD, eqs 3 to 7.

    Attributes:
        size: what is asked of the sizes of the clusters. Eq 3 alone compares directions and does not see
            sizes, so that clusters may stay all but empty.
        size_weight: lambda, of that term; 2 as in the source.
    """

    size: SizeSettings = DirichletSettings()
    size_weight: NotNegative = 2.0
