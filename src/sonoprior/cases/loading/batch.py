"""A batch: tensors by field, each with what is known to be there."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

TRUTH = "truth"
"""In place of a level, the labels of the first level that must not be learnt from: for monitors only."""


@dataclass(frozen=True, eq=False)
class Batch:
    """B cases as tensors; `sonoprior.cases.fields` registers what a batch may hold.

    Attributes:
        fields: "image" float32 (B, 1, size, size) in [0, 1]; "index" int64 (B,), the position in the case
            set; "mirrored" bool (B,), whether an augmentation exchanged left and right, and labels and
            priors with them; "label.<level>" int64 (B,), -1 for unknown; "prior" float32 (B, P, size, size)
            in [0, 1], all zero where absent, and also where present and empty.
        present: where a masked field is there: "prior" bool (B, P). A prior whose outline an augmentation
            moved out of view stays present, and is empty.
    """

    fields: Mapping[str, Tensor]
    present: Mapping[str, Tensor]

    def __getitem__(self, field: str) -> Tensor:
        return self.fields[field]

    def __contains__(self, field: object) -> bool:
        return field in self.fields

    def __len__(self) -> int:
        return len(self.fields["index"])

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(
            {name: field.to(device) for name, field in self.fields.items()},
            {name: mask.to(device) for name, mask in self.present.items()},
        )
