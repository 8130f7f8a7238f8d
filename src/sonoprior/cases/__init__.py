"""Cases: what is known of each image, where it comes from, and how it is divided."""

from .case_set import CaseSet
from .cells import EMPTY
from .info import DatasetInfo
from .priors import PriorSpec
from .writer import CaseSetWriter

__all__ = ["EMPTY", "CaseSet", "CaseSetWriter", "DatasetInfo", "PriorSpec"]
