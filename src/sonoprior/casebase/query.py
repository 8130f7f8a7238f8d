"""What is asked of a case base."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError
from sonoprior.runtime.frames import Frame


@dataclass(frozen=True)
class Query:
    """What cases shall be like, and which of them may be found.

    What they shall be like is one of: images, a case of the base, an exam of the base, a text. A term and
    filters narrow that down. Where they stand alone, what they leave is ordered by how typical it is.

    Attributes:
        images: image files or grey frames, uint8 (H, W); several are of one exam, and exams are found.
        case: the key of a case of the base, "SET/CASE".
        exam: an exam of the base, "SET/EXAM": the one whose frames the images are, so that it is not found;
            without images all its frames are what is looked for, and exams are found.
        text: a text or a caption; needs a bundle with a text encoder.
        term: a term of the bundle's ontology, by name, synonym or code; a case is found that shows it or
            something that is a kind of it.
        where: by fact the texts of which a case must have one.
        own: whether cases of the query's own patient or exam may be found.
    """

    images: Sequence[Frame] = ()
    case: str | None = None
    exam: str | None = None
    text: str | None = None
    term: str | None = None
    where: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    own: bool = False

    def __post_init__(self) -> None:
        given = self._given()
        if len(given) > 1:
            raise DataError(
                f"a search goes by images, by a case, by an exam or by a text, but got {listed(given)};"
                " only images may have an exam beside them, which is then their own."
            )
        if self.text is not None and not self.text.strip():
            raise DataError("a text to search by must hold at least a word, but is empty.")
        if not given and self.term is None and not self.where:
            raise DataError(
                "a search needs images, a case, an exam, a text, a term or a filter, but got none."
            )

    @property
    def of_exam(self) -> bool:
        """Whether exams are found instead of cases."""
        return len(self.images) > 1 or (self.exam is not None and not len(self.images))

    @property
    def likens(self) -> bool:
        """Whether cases shall be like something; otherwise terms and filters say which there are."""
        return bool(self._given())

    def _given(self) -> list[str]:
        kinds = {
            "images": len(self.images) > 0,
            "a case": self.case is not None,
            "an exam": self.exam is not None and not len(self.images),
            "a text": self.text is not None,
        }
        return [kind for kind, is_given in kinds.items() if is_given]
