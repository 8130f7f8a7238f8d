"""What a batch may hold: each field's shape, type, unit, and what it looks like where it is missing.

A new kind of knowledge is one `Field` and one line in `FIELDS`, or an entry point in the group
`sonoprior.fields` of another package; the batch itself does not change. Free of torch.
"""

from dataclasses import dataclass
from typing import Literal

from sonoprior.core.errors import DataError
from sonoprior.core.registry import Registry


@dataclass(frozen=True)
class Field:
    """One field of a batch.

    Attributes:
        name: its name; a field with `members` is written "name.member" ("label.view").
        shape: one letter an axis: B images of the batch, P priors, S the side of an image in pixels; a
            number is a fixed length.
        dtype: the type of its numbers, by numpy's name.
        unit: what a value means.
        missing: what stands in the batch where the field is missing for an image.
        collate: how the batch is put together: "stack" cases along B, or "scatter" the few cases that
            have the field into zeros.
        moves: whether it moves with the image under augmentation.
        mirrors: whether a mirror swaps left and right partners in it.
        masked: whether `Batch.present` says per image (and prior) where it is there.
        members: what the second part of its name ranges over, "" where it has none.
    """

    name: str
    shape: tuple[str | int, ...]
    dtype: str
    unit: str
    missing: str
    collate: Literal["stack", "scatter"] = "stack"
    moves: bool = False
    mirrors: bool = False
    masked: bool = False
    members: str = ""


IMAGE = Field(
    name="image",
    shape=("B", 1, "S", "S"),
    dtype="float32",
    unit="grey level, 0 black to 1 white",
    missing="never missing",
    moves=True,
)
LABEL = Field(
    name="label",
    shape=("B",),
    dtype="int64",
    unit="position of the class in its level",
    missing="-1",
    mirrors=True,
    members="level",
)
PRIOR = Field(
    name="prior",
    shape=("B", "P", "S", "S"),
    dtype="float32",
    unit="weight of the place, 0 to 1",
    missing="zeros, and False in present; a prior that is present and empty is zeros and True",
    collate="scatter",
    moves=True,
    mirrors=True,
    masked=True,
)
INDEX = Field(
    name="index",
    shape=("B",),
    dtype="int64",
    unit="position of the case in its case set",
    missing="never missing",
)
MIRRORED = Field(
    name="mirrored",
    shape=("B",),
    dtype="bool",
    unit="whether left and right are exchanged in the image, and in the fields that mirror",
    missing="never missing",
)

FIELDS = Registry(
    "fields",
    {
        "image": "sonoprior.cases.fields:IMAGE",
        "label": "sonoprior.cases.fields:LABEL",
        "prior": "sonoprior.cases.fields:PRIOR",
        "index": "sonoprior.cases.fields:INDEX",
        "mirrored": "sonoprior.cases.fields:MIRRORED",
    },
    DataError,
)


def field(name: str) -> Field:
    """The registered field behind a name in a batch.

    Raises:
        DataError: if no such field is registered, or a member is missing or one too many.

    >>> field("label.view").dtype
    'int64'
    """
    family, _, member = name.partition(".")
    found: Field = FIELDS.load(family)
    if bool(member) != bool(found.members):
        wanted = f"{family}.<{found.members}>" if found.members else family
        raise DataError(f"the field must be written '{wanted}', but got '{name}'.")
    return found
