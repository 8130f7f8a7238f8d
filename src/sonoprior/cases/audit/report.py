"""What an audit says: findings, duplicate groups, and how the cases are spread."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

FORMAT = 1

Severity = Literal["fatal", "warning", "note"]

CHECKS = {
    "table": "faults of the table or of dataset.yaml",
    "duplicate id": "ids that stand in several rows",
    "unknown label": "labels that dataset.yaml does not name",
    "unreadable": "image files that cannot be read",
    "annotation": "outlines, maps, boxes and points that cannot be read or do not fit their image",
    "two labels": "one and the same image under two labels",
    "leak": "images, patients or exams that the given split cuts apart",
    "near-duplicate across classes": "groups of near-duplicate images with different labels",
    "duplicate": "groups of equal or near-duplicate images",
    "poor image": "images that are blank or smaller than 16 pixels",
    "classes": "classes too small to be learnt and tested",
    "device": "classes that the device alone gives away",
    "unlabelled": "cases without a label",
    "not in the split": "cases that the given split leaves out",
}
"""Every kind of finding, in the order in which a person should read them."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Finding(_Record):
    """One thing that was found.

    Attributes:
        kind: a key of `CHECKS`.
        severity: "fatal" where training would go wrong whatever the split, or where the given split
            leaks; "warning" where somebody must look; "note" otherwise.
        message: one sentence.
        cases: the ids of the cases that it is about.
    """

    kind: str
    severity: Severity
    message: str
    cases: list[str] = []


class Member(_Record):
    """A case in a duplicate group: its row in the table from 1, id, label, and part of the split."""

    row: int
    case: str
    label: str | None = None
    part: str | None = None


class DuplicateGroup(_Record):
    """Images that show the same picture.

    Attributes:
        members: the cases, at least two.
        equal: whether all of them are equal pixel by pixel.
        correlation: the least aligned correlation of the links that hold the group together.
    """

    members: list[Member]
    equal: bool
    correlation: float

    @property
    def labels(self) -> list[str]:
        """The different known labels in the group."""
        return sorted({member.label for member in self.members if member.label is not None})

    @property
    def parts(self) -> list[str]:
        """The different parts of the split in the group."""
        return sorted({member.part for member in self.members if member.part is not None})


class Crosstab(_Record):
    """Counts of cases: one row for each value, one column for each heading."""

    name: str
    columns: list[str]
    rows: dict[str, list[int]]


class AuditReport(_Record):
    """The whole audit.

    Attributes:
        format: version of this form.
        name: of the case set.
        folder: where it is.
        simulated: whether a simulator made the images.
        cases: how many there are.
        independent: how many there are where those that share a patient, an exam or a picture count once.
        level: the label level that duplicates and classes are compared by; None without labels.
        split: whether a split was given.
        findings: in the order of `CHECKS`.
        duplicates: groups, those with several labels first, then those in several parts.
        crosstabs: classes, devices, outlines and sizes.
    """

    format: int = FORMAT
    name: str
    folder: str
    simulated: bool
    cases: int
    independent: int
    level: str | None
    split: bool
    findings: list[Finding]
    duplicates: list[DuplicateGroup]
    crosstabs: list[Crosstab]

    @property
    def fatal(self) -> bool:
        """Whether training would go wrong whatever the split, or with the given one."""
        return any(finding.severity == "fatal" for finding in self.findings)

    def of_kind(self, kind: str) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def has(self, kind: str, severity: Severity) -> bool:
        """Whether there is a finding of this kind and severity."""
        return any(finding.severity == severity for finding in self.of_kind(kind))
