"""A kit: what one kind of exam adds to the phantom, and the kits that there are.

A kit draws patients and says which planes are looked at and how they are labelled; beams, physics, machines,
burnt-in marks and the writing of the set are shared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, Protocol, TypeVar

from sonoprior.cases.info import DatasetInfo
from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import DataError
from sonoprior.core.registry import Registry

from .plan import Visit

Record = dict[str, Any]
"""Arguments of `CaseSetWriter.add`."""
EARLY_PREGNANCY = "early-pregnancy"
"""The kit that is made where none is named."""

KITS = Registry(
    "phantom_kits",
    {
        EARLY_PREGNANCY: "sonoprior.cases.phantom.early_pregnancy:KIT",
        "abdomen": "sonoprior.cases.phantom.abdomen:KIT",
        "fetal-planes": "sonoprior.cases.phantom.fetal:KIT",
    },
    DataError,
)


class Settings(Protocol):
    """What every kit lets be set: a dataclass that checks its own fields."""

    @property
    def patients(self) -> int:
        """How many; each has one exam."""
        ...

    @property
    def seed(self) -> int:
        """Everything follows from it."""
        ...


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Kit(Generic[S]):
    """One kind of exam.

    Attributes:
        name: in `KITS`.
        settings: a dataclass of what may be set, with defaults; it raises `DataError` on what cannot be.
        describe: what a case set says of itself.
        visits: its patients, the part of the split of each, and how many frames each gives.
        records_of: what one patient adds to it, one entry a frame; of nothing but the arguments.
    """

    name: str
    settings: type[S]
    describe: Callable[[S], DatasetInfo]
    visits: Callable[[S], Sequence[Visit]]
    records_of: Callable[[Visit, S], list[Record]]

    def choose(self, chosen: dict[str, Any]) -> S:
        """The kit's settings with the chosen ones in place of the defaults.

        Raises:
            DataError: if one is not a setting of this kit, or not allowed.
        """
        known = [setting.name for setting in fields(self.settings)]  # pyright: ignore[reportArgumentType]
        for name in chosen:
            if name not in known:
                raise DataError(
                    f"the phantom kit '{self.name}' must be set by {listed(known, len(known))}, but got"
                    f" '{name}'; leave it out or take another kit.{nearest(name, known)}"
                )
        return self.settings(**chosen)
