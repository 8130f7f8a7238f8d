"""JSON files that other tools wrote, checked against what is needed of them."""

from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sonoprior.core.errors import DataError


class Document(BaseModel):
    """A part of a JSON file: what is not needed is ignored, and no number is NaN or infinite."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


Coordinate: TypeAlias = Annotated[float, Field(ge=-1e7, le=1e7)]
"""In pixels; bounded, so that sums and products of them are finite."""

_Model = TypeVar("_Model", bound=Document)


def read_document(path: Path, model: type[_Model], most_bytes: int) -> _Model:
    """A JSON file as a model.

    Raises:
        DataError: if it is missing, too large, no JSON, or a field that is needed is missing or wrong.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing or is not a file.")
    size = path.stat().st_size
    if size > most_bytes:
        raise DataError(f"{path} must not be larger than {most_bytes:,} bytes, but has {size:,}.")
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"{path}: {_sentence(error)}.") from error


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"the field '{field}' is wrong: {said}" if field else said
