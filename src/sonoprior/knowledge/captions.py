"""Captions: sentences made of labels and terms, from templates that are settings.

A template names what it needs in braces: "a photo of a {species} from the genus {genus}". Templates for the
same thing stand in a row, the richest first; the first of which a case has every word is filled. So a caption
never has a hole, and a case of which too little is known has none.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from string import Formatter

from sonoprior.core.checks import listed, one_of
from sonoprior.core.errors import OntologyError

from .levels import Levels
from .ontology import Ontology

Words = Mapping[str, str | Sequence[str] | None]
"""What is known of a case: by name a word, several words, or nothing."""
OTHER = "other"


class Captions:
    """Templates in a row, the richest first.

    Args:
        templates: at least one.
        known: the names that a template may use.
        last: what stands before the last of several words; another language has another.
        between: what stands between the others.

    Raises:
        OntologyError: if there is no template, or one is damaged, needs nothing, or uses an unknown name.
    """

    def __init__(
        self, templates: Sequence[str], known: Collection[str], last: str = " and ", between: str = ", "
    ) -> None:
        if isinstance(templates, str) or not templates:
            raise OntologyError(f"captions need a list of at least one template, but got {templates!r}.")
        self._templates = [_parts(template, known) for template in templates]
        self.last = last
        self.between = between

    def fill(self, words: Words) -> str | None:
        """The first template that can be filled; None where none can.

        >>> captions = Captions(["{species} of the genus {genus}", "{species}"], ["species", "genus"])
        >>> captions.fill({"species": "orchard oriole", "genus": "Icterus"})
        'orchard oriole of the genus Icterus'
        >>> captions.fill({"species": "orchard oriole"})
        'orchard oriole'
        """
        said = {name: self._listed(word) for name, word in words.items() if word}
        for parts in self._templates:
            if all(said.get(name) for _, name in parts if name is not None):
                return "".join(text + (said[name] if name is not None else "") for text, name in parts)
        return None

    def _listed(self, word: str | Sequence[str]) -> str:
        several = [word] if isinstance(word, str) else [each for each in word if each]
        if len(several) < 2:
            return "".join(several)
        return self.between.join(several[:-1]) + self.last + several[-1]


def _parts(template: str, known: Collection[str]) -> list[tuple[str, str | None]]:
    """A template as pairs of a text and the name behind it, None behind the last text."""
    try:
        fields = list(Formatter().parse(template))
    except ValueError as error:
        raise OntologyError(f"the template '{template}' is damaged: {error}.") from error
    for _, name, form, conversion in fields:
        if form or conversion:
            raise OntologyError(f"the template '{template}' must hold plain names in braces.")
        if name is not None:
            one_of(f"a name in the template '{template}'", name, known, OntologyError)
    if all(name is None for _, name, _, _ in fields):
        raise OntologyError(f"the template '{template}' must use at least one of {listed(known)} in braces.")
    return [(text, name) for text, name, _, _ in fields]


def class_captions(levels: Levels, templates: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """A caption for every class of every level, as text encoders take them.

    Args:
        levels: the label paths.
        templates: for each level templates in a row; they may use the level's own name and those above it.
            A level without templates is captioned by its class alone.

    Returns:
        level name to captions, in the order of the level's classes.

    Raises:
        OntologyError: if templates are given for a level that does not exist, use a name that is not the
            level's or above it, or cannot be filled for a class.
    """
    for level in templates:
        one_of("a level with templates", level, levels.names, OntologyError)
    captions: dict[str, list[str]] = {}
    for place, level in enumerate(levels.names):
        row = Captions(templates.get(level, [f"{{{level}}}"]), levels.names[place:])
        captions[level] = [
            _of_class(levels, row, place, number) for number in range(len(levels.classes[place]))
        ]
    return captions


def _of_class(levels: Levels, captions: Captions, place: int, number: int) -> str:
    """Of what stands above a class only what holds for all its labels is said."""
    paths = levels.paths[levels.paths[:, place] == number]
    words: dict[str, str] = {levels.names[place]: levels.classes[place][number]}
    for above in range(place + 1, len(levels.names)):
        found = set(paths[:, above].tolist())
        if len(found) == 1:
            words[levels.names[above]] = levels.classes[above][found.pop()]
    caption = captions.fill(words)
    if caption is None:
        level, name = levels.names[place], levels.classes[place][number]
        raise OntologyError(
            f"no template of the level '{level}' can be filled for '{name}'; end them with one that needs"
            f" {{{level}}} only."
        )
    return caption


def by_kind(ontology: Ontology, terms: Iterable[str], kinds: Mapping[str, str]) -> dict[str, list[str]]:
    """The words of a case's terms, sorted by what they are kinds of.

    Args:
        ontology: the graph.
        terms: codes, names or synonyms.
        kinds: a name for templates to the term above, such as {"findings": "finding"}.

    Returns:
        names of terms by the names of `kinds`, in the order of `terms`. A term of none of the kinds stands
        under "other", and so does a code that the ontology does not have, as the code.

    Raises:
        OntologyError: if a kind is no term of the ontology, or is called "other".
    """
    if OTHER in kinds:
        raise OntologyError(f"a kind must not be called '{OTHER}', where every term of no kind stands.")
    tops = {name: ontology.find(kind).id for name, kind in kinds.items()}
    words: dict[str, list[str]] = {name: [] for name in [*kinds, OTHER]}
    for text in terms:
        term = ontology.find(text) if text in ontology else None
        above = ontology.ancestors(term.id) if term else frozenset()
        names = [name for name, top in tops.items() if top in above]
        for name in names or [OTHER]:
            words[name].append(term.name if term else text)
    return words
