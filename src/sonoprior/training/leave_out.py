"""A recipe without some of its variants. Free of torch."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import RecipeError


def leave_out(content: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """The content of a recipe without the variants whose names match, and without what speaks of them.

    What was left out is kept by name in `study.left_out`, so that a page can say it.

    Args:
        content: of a recipe that has been checked.
        patterns: names, in which * and ? stand for any letters and any letter.

    Raises:
        RecipeError: if a pattern matches nothing, or if a variant stays that is compared with one that goes.
    """
    study = content["study"]
    gone = _matched(list(study["variants"]), study["left_out"], patterns)
    _check_what_stays(study, gone)
    changed = {key: _but(gone, study[key]) for key in ("variants", "against", "controls", "chosen")}
    changed |= {"curve": _curve(gone, study["curve"]), "spread": _spread(gone, study["spread"])}
    shown = [name for name in study["shown"] if name not in gone]
    tune = content["tune"]
    return {
        **content,
        "study": study | changed | {"shown": shown, "left_out": [*study["left_out"], *gone]},
        "tune": tune and tune | {"variants": _but(gone, tune["variants"])},
    }


def _matched(names: Sequence[str], left_out: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The variants that go; a pattern may be of some that are gone already, as in a recipe read again."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in (*names, *left_out)):
            raise RecipeError(
                f"only variants of the recipe can be left out ({listed(names)}), but none matches"
                f" '{pattern}'.{nearest(pattern, names)}"
            )
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _check_what_stays(study: Mapping[str, Any], gone: Sequence[str]) -> None:
    if study["baseline"] in gone:
        raise RecipeError(
            f"the baseline '{study['baseline']}' cannot be left out; name another one first, with"
            " --set study.baseline=NAME."
        )
    for needed, pairs in (("compared with", study["against"]), ("a control of", study["controls"])):
        for name, other in pairs.items():
            if other in gone and name not in gone:
                raise RecipeError(
                    f"'{name}' is {needed} '{other}', which is to be left out; leave out both, or neither."
                )


def _but(gone: Sequence[str], named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if name not in gone}


def _places(gone: Sequence[str], lines: Mapping[str, Mapping[Any, str]]) -> dict[str, dict[Any, str]]:
    """Lines or groups without the places of variants that go, and without those that have no place left."""
    kept = {
        name: {at: variant for at, variant in places.items() if variant not in gone}
        for name, places in lines.items()
    }
    return {name: places for name, places in kept.items() if places}


def _curve(gone: Sequence[str], curve: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    lines = _places(gone, curve["lines"])
    return {**curve, "lines": lines, "labels_saved": _saved(lines, curve["labels_saved"])} if lines else None


def _saved(lines: Mapping[str, Mapping[Any, str]], saved: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What is still read off the lines: one is read between its places, so it needs two of them."""
    if saved is None or saved["without"] not in lines:
        return None
    using = {line: words for line, words in saved["using"].items() if len(lines.get(line, ())) > 1}
    return {**saved, "using": using} if using else None


def _spread(gone: Sequence[str], spread: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if spread is None:
        return None
    groups = _places(gone, spread["groups"])
    return {**spread, "groups": groups} if groups else None
