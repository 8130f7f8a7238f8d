"""The errors that sonoprior raises on purpose: one tree, drawn here.

    SonopriorError            every error below; the CLI prints its one sentence and exits with status 2
    ├── DataError             a case set, an image, an outline or a split cannot be used
    ├── OntologyError         an ontology, a term or a path through it cannot be used
    ├── RecipeError           a recipe, a setting or a combination of settings cannot be used
    ├── ModelError            a backbone, a tap or weights cannot be used
    ├── FolderError           a folder that the project writes is missing, damaged, or newer than this version
    └── MissingExtraError     an optional dependency is not installed

`SonopriorError` is a `ValueError`, so that code which guards a call in the usual way catches it too.
"""


class SonopriorError(ValueError):
    """Something from outside is wrong; the message is one sentence for the person who supplied it."""


class DataError(SonopriorError):
    """A case set, an image, an outline or a split cannot be used."""


class OntologyError(SonopriorError):
    """An ontology, a term or a path through it cannot be used."""


class RecipeError(SonopriorError):
    """A recipe, a setting or a combination of settings cannot be used."""


class ModelError(SonopriorError):
    """A backbone, a tap or weights cannot be used."""


class FolderError(SonopriorError):
    """A folder that the project writes is missing, damaged, or newer than this version."""


class MissingExtraError(SonopriorError, ImportError):
    """An optional dependency is not installed."""
