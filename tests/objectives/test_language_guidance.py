"""Language guidance: every option against slow loops, its gradient, and both of its combinations."""

import itertools
import math

import pytest
import torch

from sonoprior.core.errors import RecipeError
from sonoprior.objectives.embedding_settings import (
    LanguageGuidanceSettings,
    OntologyLanguageGuidanceSettings,
)
from sonoprior.objectives.language_guidance import LanguageGuidance, cosines
from sonoprior.objectives.ontology_language_guidance import OntologyLanguageGuidance

LABELS = torch.tensor([0, 1, 1, 2, 0, 3, 3])
OPTIONS = [
    {"temperature": temperature, "direction": direction, **same}
    for temperature, direction, same in itertools.product(
        [1.0, 0.2],
        ["image||text", "text||image"],
        [{}, {"gamma": 0.3}, {"same_class": "mask"}, {"same_class": "keep"}],
    )
]


def embeddings(size=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, 5, generator=generator, dtype=torch.float64, requires_grad=True)


def similarity(classes=4, seed=9):
    return cosines(embeddings(classes, seed)).detach()


def softmax(row):
    total = sum(map(math.exp, row))
    return [math.exp(each) / total for each in row]


def slow(image, text, labels, temperature=1.0, direction="image||text", same_class="clamp", gamma=1.0):
    """Eq 3.9, entry by entry."""
    rows = []
    for i in range(len(labels)):
        pairs = []
        for j in range(len(labels)):
            s, t = image[i, j].item(), text[i, j].item()
            if same_class == "clamp":
                s, t = (1 + gamma, 1 + gamma) if labels[i] == labels[j] else (s, t + gamma)
            elif same_class == "mask" and labels[i] == labels[j]:
                continue
            pairs.append((s / temperature, t / temperature))
        if pairs:
            p, q = softmax([s for s, _ in pairs]), softmax([t for _, t in pairs])
            p, q = (p, q) if direction == "image||text" else (q, p)
            rows.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return sum(rows) / len(rows)


def mean(term):
    return term.total / term.count.clamp(min=1)


def test_the_defaults_are_those_of_the_notes():
    given = LanguageGuidanceSettings()
    assert (given.temperature, given.direction, given.same_class, given.gamma) == (
        1,
        "image||text",
        "clamp",
        1,
    )


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_every_option_is_its_slow_loop(given):
    x, text = embeddings(), similarity()
    guidance = LanguageGuidance(LanguageGuidanceSettings(**given), text)
    wanted = slow(cosines(x), text[LABELS][:, LABELS], LABELS, **given)
    assert mean(guidance(x, LABELS)).item() == pytest.approx(wanted)
    of_cases = similarity(7, seed=4)
    wanted = slow(cosines(x), of_cases, LABELS, **given)
    assert mean(guidance(x, LABELS, of_cases)).item() == pytest.approx(wanted)


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_the_gradient_is_that_of_finite_differences(given):
    guidance = LanguageGuidance(LanguageGuidanceSettings(**given), similarity())
    assert torch.autograd.gradcheck(lambda x: guidance(x, LABELS).total, (embeddings(),))


def test_it_is_zero_where_the_images_are_as_similar_as_the_texts():
    """With the clamp: as similar as the texts of two classes plus gamma."""
    for given in OPTIONS:
        x, settings = embeddings(4), LanguageGuidanceSettings(**given)
        shift = settings.gamma if settings.same_class == "clamp" else 0
        guidance = LanguageGuidance(settings, cosines(x).detach() - shift)
        assert guidance(x, torch.arange(4)).total.item() == pytest.approx(0, abs=1e-12)


def test_a_step_along_the_gradient_brings_the_images_nearer_to_the_texts():
    x = embeddings()
    guidance = LanguageGuidance(LanguageGuidanceSettings(temperature=0.2, gamma=0), similarity())
    values = []
    for _ in range(200):
        value = mean(guidance(x, LABELS))
        (gradient,) = torch.autograd.grad(value, x)
        x = (x - 0.5 * gradient).detach().requires_grad_()
        values.append(value.item())
    assert values[-1] < 0.05 * values[0]


def test_without_the_clamp_a_shift_of_the_text_does_nothing():
    for same_class in ("mask", "keep"):
        settings = LanguageGuidanceSettings(same_class=same_class)
        values = [
            LanguageGuidance(settings, similarity() + shift)(embeddings(), LABELS).total for shift in (0, 1)
        ]
        torch.testing.assert_close(*values)


@pytest.mark.parametrize("given", OPTIONS[:4], ids=str)
def test_unknown_labels_and_the_order_change_nothing(given):
    guidance = LanguageGuidance(LanguageGuidanceSettings(**given), similarity())
    x = embeddings()
    wanted = mean(guidance(x, LABELS))
    more = torch.cat([x[:3], torch.full((1, 5), torch.nan), x[3:]])
    labels = torch.cat([LABELS[:3], torch.tensor([-1]), LABELS[3:]])
    torch.testing.assert_close(mean(guidance(more, labels)), wanted)
    of_cases = torch.full((8, 8), torch.nan, dtype=torch.float64)
    known = labels >= 0
    of_cases[known.nonzero(), known.nonzero().T] = similarity()[LABELS][:, LABELS]
    torch.testing.assert_close(mean(guidance(more, labels, of_cases)), wanted)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(mean(guidance(x[order], LABELS[order])), wanted)


@pytest.mark.parametrize("given", OPTIONS, ids=str)
@pytest.mark.parametrize("labels", [[-1] * 7, [2] + [-1] * 6, [2] * 7], ids=["none", "one case", "one class"])
def test_nothing_to_compare_is_a_zero_on_the_graph(given, labels):
    if given.get("same_class") == "keep":
        labels = labels[:1] + [-1] * 6  # kept entries of one class are compared like any other
    x = embeddings()
    term = LanguageGuidance(LanguageGuidanceSettings(**given), similarity())(x, torch.tensor(labels))
    assert term.total.item() == pytest.approx(0, abs=1e-12)
    term.total.backward()
    assert x.grad.abs().max() < 1e-12


def test_the_text_side_is_frozen():
    text = embeddings(4, seed=9)
    guidance = LanguageGuidance(LanguageGuidanceSettings())
    guidance(embeddings(4), torch.arange(4), cosines(text)).total.backward()
    assert text.grad is None
    assert not list(LanguageGuidance(LanguageGuidanceSettings(), similarity()).parameters())


def test_half_precision_is_matched_in_single():
    guidance = LanguageGuidance(LanguageGuidanceSettings(temperature=0.1), similarity().float())
    half = embeddings().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = guidance(half, LABELS).total
    torch.testing.assert_close(found, guidance(half.float(), LABELS).total)


def guided(weights=(1, 0.5), similarities=None):
    texts = {"view": similarity(4), "meta": similarity(2)} if similarities is None else similarities
    return OntologyLanguageGuidance(OntologyLanguageGuidanceSettings(weights=weights), texts)


def by_level(x):
    return {"view": x, "meta": x.flip(1)}


HIERARCHY = {"view": LABELS, "meta": LABELS // 2}


def test_ontology_language_guidance_is_the_matching_at_every_level():
    x = embeddings()
    wanted = 0
    for level, weight, classes in [("view", 1, 4), ("meta", 0.5, 2)]:
        text = similarity(classes)[HIERARCHY[level]][:, HIERARCHY[level]]
        wanted += weight * slow(cosines(by_level(x)[level]), text, HIERARCHY[level])
    term = guided()(by_level(x), HIERARCHY)
    assert mean(term).item() == pytest.approx(wanted)
    assert term.count == 7
    assert list(term.monitors) == ["view", "meta"]


def test_with_a_weight_for_the_leaf_alone_it_is_expert_language_guidance():
    x = embeddings()
    found = guided(weights=(2.5, 0), similarities={"view": similarity(4), "meta": None})(
        by_level(x), HIERARCHY
    )
    plain = LanguageGuidance(LanguageGuidanceSettings(), similarity(4))(x, LABELS)
    torch.testing.assert_close(mean(found), 2.5 * mean(plain))


def test_texts_of_the_cases_are_taken_before_those_of_the_classes():
    x = embeddings()
    said = {
        level: similarity(4 if level == "view" else 2)[each][:, each] for level, each in HIERARCHY.items()
    }
    without = guided(similarities={"view": None, "meta": None})
    found = without(by_level(x), HIERARCHY, said)
    torch.testing.assert_close(found.total, guided()(by_level(x), HIERARCHY).total)


def test_bad_input_is_refused():
    settings = LanguageGuidanceSettings()
    with pytest.raises(RecipeError, match=r"square matrix, but got \(3, 4\)"):
        LanguageGuidance(settings, torch.rand(3, 4))
    with pytest.raises(RecipeError, match="must be finite"):
        LanguageGuidance(settings, torch.full((3, 3), torch.nan))
    with pytest.raises(RecipeError, match="needs a similarity of classes, or one of the batch's cases"):
        LanguageGuidance(settings)(embeddings(), LABELS)
    with pytest.raises(RecipeError, match=r"of 7 cases must be a square matrix of theirs, but got \(4, 4\)"):
        LanguageGuidance(settings)(embeddings(), LABELS, torch.eye(4))
    with pytest.raises(RecipeError, match=r"labels \(B,\), but got \(7, 5\) and \(6,\)"):
        LanguageGuidance(settings, torch.eye(4))(embeddings(), LABELS[1:])
    with pytest.raises(RecipeError, match="below the 3 classes of the loss, but got 3"):
        LanguageGuidance(settings, torch.eye(3))(embeddings(), LABELS)
    with pytest.raises(RecipeError, match=r"weights needs one weight a level.*\(view, meta: 2\), but got 3"):
        guided(weights=(1, 1, 1))
