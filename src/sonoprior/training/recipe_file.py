"""Recipes in files: found by name or path, changed by dotted keys, checked, and written. Free of torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from sonoprior.core.checks import listed, nearest, one_of
from sonoprior.core.errors import RecipeError
from sonoprior.core.folder import write_text
from sonoprior.core.strict_yaml import load_yaml
from sonoprior.objectives.settings import SETTINGS

from .leave_out import leave_out
from .recipe import FORMAT, ObjectiveEntry, Recipe

# How many keys follow: the last of them is taken whole, dots and all.
_HOLDS_DOTTED_KEYS = {
    ("quick",): 1,
    ("pretraining",): 2,
    ("study", "variants"): 2,
    ("study", "against"): 1,
    ("study", "controls"): 1,
    ("study", "chosen"): 1,
    ("tune", "grid"): 1,
    ("tune", "variants"): 2,
}

# Not a setting of a recipe, but what its quick form leaves out.
_WITHOUT = "without"

# What a run before shares with the one that it comes before. All else it says itself, so that what only the
# later training varies, such as its learning rate, does not make another one of it.
_SHARED = ("format", "name", "data", "streams", "augment", "split", "hierarchy", "language", "retrieval")
_OF_THE_NETWORK = ("backbone", "tap", "dropout", "given")


def recipe_names() -> list[str]:
    """Names of the recipes that come with the project."""
    return sorted(Path(entry.name).stem for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


def load_recipe(
    name: str | Path,
    *,
    quick: bool = False,
    changes: Sequence[str] = (),
    without: Sequence[str] = (),
    variant: str | None = None,
    fold: int | None = None,
) -> Recipe:
    """A recipe by name or by the path of a YAML file, checked with all its variants.

    Args:
        name: a name of `recipe_names()`, or a path.
        quick: take the recipe's quick form.
        changes: "dotted.key=value" each, the value in YAML; applied after `quick`.
        without: variants to leave out; * and ? stand for any letters and any letter.
        variant: the variant of `study.variants` whose settings to take; none leaves the recipe as it is.
        fold: the fold for which the variant's settings were chosen, if tuning chose them fold by fold.

    Raises:
        RecipeError: if there is no such recipe, or it cannot be used.
    """
    where, text = _source(name)
    content = _parsed(where, text)
    if quick or content.get("quick"):
        short, missing = _quick(where, content)
        _reduced(short, missing, f"{where}, quick form")
        if quick:
            content, without = short, [*missing, *without]
    for change in changes:
        key, value = _change(change)
        content = with_value(content, key, value)
    recipe = _reduced(content, without, where)
    for each in recipe.study.variants:
        _check_variant(recipe, each, where)
    return recipe if variant is None else take_variant(recipe, variant, fold, where=where)


def recipe_of_run(path: Path) -> Recipe:
    """The recipe that a run folder keeps: settings to train with, and of its study what others read there.

    The variants of the study are not checked, because they are changes to the study's recipe and not to this
    one: where this one has another prior on sizes, an alpha of the study's prior has no place.

    Raises:
        RecipeError: if the file cannot be read or used.
    """
    where, text = _source(path)
    return validated(_parsed(where, text), where)


def take_variant(recipe: Recipe, variant: str, fold: int | None = None, *, where: str = "") -> Recipe:
    """The recipe with the settings of one of its variants, and what tuning chose for it.

    Args:
        recipe: with the variant.
        variant: its name.
        fold: from 0, for settings that were chosen fold by fold; without it only those are taken that were
            chosen for every fold.
        where: what messages call the recipe; its name, if not given.

    Raises:
        RecipeError: if the variant is unknown or its settings cannot be used.
    """
    one_of("the variant", variant, list(recipe.study.variants), RecipeError)
    settings = recipe.study.variants[variant] | recipe.study.chosen_for(variant, fold)
    return with_settings(recipe, settings, f"{where or recipe.name}, variant {variant}")


def with_settings(recipe: Recipe, settings: Mapping[str, Any], where: str) -> Recipe:
    """The recipe with some values at dotted keys.

    Raises:
        RecipeError: naming `where`, if they cannot be used.
    """
    content = recipe.content()
    for key, value in settings.items():
        content = with_value(content, key, value)
    return validated(content, where)


def pretraining_recipe(recipe: Recipe, name: str) -> Recipe:
    """The recipe of a run before.

    Data, streams, split and backbone are the recipe's; objectives, training and heads are those that
    `pretraining` names.

    Args:
        recipe: of the run that begins with it.
        name: of `recipe.pretraining`.

    Raises:
        RecipeError: if there is no such run, or its settings cannot be used.
    """
    one_of("the run of pretraining", name, list(recipe.pretraining), RecipeError)
    content = recipe.content()
    network = {key: content["model"][key] for key in _OF_THE_NETWORK}
    base: dict[str, Any] = {key: content[key] for key in _SHARED} | {
        "model": network,
        "training": {"threads": content["training"]["threads"]},
    }
    return _changed(base, recipe.pretraining[name], f"{recipe.name}, pretraining {name}")


def _changed(content: dict[str, Any], settings: Mapping[str, Any], where: str) -> Recipe:
    for key, value in settings.items():
        content = with_value(content, key, value)
    # No label is learnt from, so their share makes no difference; what is measured is what is watched.
    content = with_value(content, "split.label_fraction", 1.0)
    return validated(with_value(content, "study.primary", content["training"].get("monitor")), where)


def _reduced(content: Mapping[str, Any], without: Sequence[str], where: str) -> Recipe:
    """The recipe of some content, less the variants that are left out."""
    recipe = validated(content, where)
    return validated(leave_out(recipe.content(), without), where) if without else recipe


def _check_variant(recipe: Recipe, variant: str, where: str) -> None:
    """Whether every form of a variant can be used: as it is, as it is tuned, and as it was chosen."""
    chosen = recipe.study.chosen.get(variant, [])
    for fold in range(max(1, len(chosen))):
        taken = take_variant(recipe, variant, fold, where=where)
        if taken.pretrained_with is not None:
            pretraining_recipe(taken, taken.pretrained_with)
    for setting in recipe.tune.tried(variant) if recipe.tune else []:
        settings = recipe.study.variants[variant] | setting
        with_settings(recipe, settings, f"{where}, variant {variant}, tuned with {setting}")


def with_value(content: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A recipe's content with the value at a dotted key replaced; the rest of it is shared, not copied.

    >>> with_value({"training": {"epochs": 3}}, "training.epochs", 5)
    {'training': {'epochs': 5}}
    """
    changed = dict(content)
    *parents, last = _path(key)
    place = changed
    for at, parent in enumerate(parents):
        held = place.get(parent)
        if held is not None and not isinstance(held, dict):
            raise RecipeError(f"{key} cannot be set: {'.'.join(parents[: at + 1])} holds no further keys.")
        place[parent] = dict(held or {})
        place = place[parent]
    place[last] = value
    return changed


def validated(content: Mapping[str, Any], where: str) -> Recipe:
    """The recipe of some content.

    Raises:
        RecipeError: naming `where`, the dotted key, what is allowed and what came.
    """
    version = content.get("format")
    if version != FORMAT:
        raise RecipeError(f"{where}: format must be {FORMAT} for this version, but got {version!r}.")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{where}: {_sentence(error, content)}") from error


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe as YAML."""
    write_text(path, as_yaml(recipe))


def as_yaml(recipe: Recipe) -> str:
    """A recipe as YAML, with every default written out."""
    return yaml.safe_dump(recipe.content(), sort_keys=False, allow_unicode=True, width=100)


def _folder() -> Any:
    return files("sonoprior") / "recipes"


def _source(name: str | Path) -> tuple[str, str]:
    path = Path(name)
    if str(name) in recipe_names():
        return str(name), (_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    if path.suffix not in {".yaml", ".yml"}:
        raise RecipeError(
            f"the recipe must be one of {listed(recipe_names())} or the path of a .yaml file, but got"
            f" '{name}'.{nearest(str(name), recipe_names())}"
        )
    try:
        return str(path), path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"the recipe {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"the recipe {path} must be UTF-8 text: {error.reason}.") from error


def _parsed(where: str, text: str) -> dict[str, Any]:
    try:
        content = load_yaml(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{where} is not YAML that can be read: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{where} must hold a mapping of keys to values, but got {content!r}.")
    return content


def _quick(where: str, content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The content of the quick form, and the variants that are left out of it."""
    changes = content.get("quick")
    if not isinstance(changes, dict) or not changes:
        raise RecipeError(f"{where} has no quick form: its key `quick` is missing or empty.")
    without = changes.get(_WITHOUT, [])
    if not isinstance(without, list) or not all(isinstance(name, str) for name in without):
        raise RecipeError(
            f"{where}: quick.{_WITHOUT} must be a list of names of variants, but got {without!r}."
        )
    changed = {key: value for key, value in content.items() if key != "quick"}
    for key, value in changes.items():
        if key != _WITHOUT:
            changed = with_value(changed, str(key), value)
    return changed, without


def _change(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"a setting must have the form key=value, but got '{text}'.")
    try:
        return key.strip(), load_yaml(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"the value of {key} is not YAML that can be read: '{value}'.") from error


def _path(key: str) -> list[str]:
    """The steps of a dotted key; what follows `quick` or a variant's name is one key, dots and all."""
    steps = key.split(".")
    for start, depth in _HOLDS_DOTTED_KEYS.items():
        taken = len(start) + depth - 1
        if tuple(steps[: len(start)]) == start and len(steps) > taken:
            return [*steps[:taken], ".".join(steps[taken:])]
    return steps


def _sentence(error: ValidationError, content: Mapping[str, Any]) -> str:
    first = error.errors()[0]
    # The settings of an objective stand beside its type in a recipe, one level higher than in the model.
    place = [str(step) for at, step in enumerate(first["loc"]) if not (at == 2 and step == "settings")]
    key = ".".join(place)
    if first["type"] == "extra_forbidden":
        return f"unknown key '{key}'.{_nearest_key(place, known_keys(content))}"
    if first["type"] == "missing":
        return f"the key '{key}' is missing.{_nearest_objective(place, content)}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] != "value_error":
        return f"{key}: {message[0].lower()}{message[1:]}, but got {first['input']!r}."
    # A message of ours begins with the key that it is about, if that is a single one.
    said = message.removeprefix(f"{place[-1]} ") if place else message
    between = " " if said != message else ": "
    return f"{key}{between if key else ''}{said.rstrip('.')}{'' if said.endswith('?') else '.'}"


def _nearest_objective(place: Sequence[str], content: Mapping[str, Any]) -> str:
    """The hint for an objective that a typo in a setting has just made."""
    if place[0] != "objectives" or len(place) != 3:
        return ""
    return nearest(place[1], [name for name in content["objectives"] if name != place[1]])


def _nearest_key(place: Sequence[str], known: Iterable[str]) -> str:
    """The hint for an unknown key: the closest one beside it, else the closest setting anywhere."""
    keys = [tuple(key.split(".")) for key in known]
    siblings = {key[-1]: key for key in keys if key[:-1] == tuple(place[:-1])}
    settings = {key[-1]: key for key in keys if key[0] != "published"}  # which only describes
    for leaves in (siblings, settings):
        if close := get_close_matches(place[-1], leaves, n=1, cutoff=0.6):
            return f" Did you mean '{'.'.join(leaves[close[0]])}'?"
    return f" Known here are {listed(sorted(siblings))}." if siblings else ""


def known_keys(content: Mapping[str, Any]) -> list[str]:
    """Every dotted key that a recipe with these objectives may hold."""
    objectives = content.get("objectives")
    entries = objectives if isinstance(objectives, dict) else {}
    return [*_keys(Recipe, ""), *(key for name in entries for key in _entry_keys(name, entries[name]))]


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner is not ObjectiveEntry:
                yield from _keys(inner, f"{prefix}{name}.")


def _entry_keys(name: str, entry: Any) -> Iterator[str]:
    kind = entry.get("type") if isinstance(entry, dict) else None
    settings = SETTINGS[kind].model_fields if kind in SETTINGS else {}
    yield from (f"objectives.{name}.{key}" for key in ("type", "weight", *settings))
