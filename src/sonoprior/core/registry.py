"""Name to "module:Class", loaded when used and open to other packages by entry points."""

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from .checks import one_of
from .errors import SonopriorError


class Registry:
    """The named implementations of one kind of thing.

    Another package adds an entry with an entry point in the group `sonoprior.<kind>`; on a clash of
    names the project's own entry stays. Nothing is imported before `load`.

    Args:
        kind: what the entries are, in the plural: "objectives", "importers".
        entries: name to "module:attribute".
        error: what an unknown name raises.
    """

    def __init__(
        self, kind: str, entries: Mapping[str, str], error: type[SonopriorError] = SonopriorError
    ) -> None:
        self.kind = kind
        self._own = dict(entries)
        self._error = error

    @cached_property
    def _paths(self) -> dict[str, str]:
        # Kept, since every installed package is asked, and a recipe with its variants asks hundreds of times.
        added = {point.name: point.value for point in entry_points(group=f"sonoprior.{self.kind}")}
        return added | self._own

    def names(self) -> list[str]:
        """All known names, sorted."""
        return sorted(self._paths)

    def load(self, name: str) -> Any:
        """The object behind a name.

        Raises:
            SonopriorError: (or the registry's own error) if the name is unknown.
        """
        one_of(f"the name among {self.kind}", name, self.names(), self._error)
        module, _, attribute = self._paths[name].partition(":")
        return getattr(import_module(module), attribute)
