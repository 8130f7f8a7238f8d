"""YAML that people write, read without Python objects and without a key that is given twice."""

from collections.abc import Hashable
from typing import Any

import yaml


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, Hashable):
                break  # which the loader refuses in its own words
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key '{name}' is given twice", problem_mark=node.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def load_yaml(text: str | bytes) -> Any:
    """The content of a document.

    Raises:
        yaml.YAMLError: if it is not YAML, holds tags of Python, or gives a key twice.
    """
    return yaml.load(text, _StrictLoader)  # noqa: S506  (a SafeLoader)
