"""CLIP on small sets: pairs against a slow loop, the triplet term, what is learned, and the edges."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from sonoprior.core.errors import RecipeError
from sonoprior.objectives.clip import Clip
from sonoprior.objectives.embedding_settings import ClipSettings
from sonoprior.objectives.metric_loss_settings import TripletSettings

LABELS, TEXT_LABELS = torch.tensor([0, 1, 1, 2, 0]), torch.tensor([0, 1, 1, 3])


def rows(size, seed):
    made = torch.randn(size, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.requires_grad_()


def mean(term):
    return term.total / term.count.clamp(min=1)


def slow(images, texts, scale, bias):
    total = 0
    for x, y in zip(normalize(images), LABELS, strict=True):
        for t, z in zip(normalize(texts), TEXT_LABELS, strict=True):
            p = 1 / (1 + math.exp(-(scale * (x @ t).item() + bias)))
            total -= math.log(p if y == z else 1 - p)
    return total / (len(LABELS) * len(TEXT_LABELS))


def test_it_is_the_pairs_and_a_triplet_term():
    images, texts = rows(5, 0), rows(4, 1)
    settings = ClipSettings(scale=7, bias=-2, triplet_weight=0.4, triplet=TripletSettings(margin=0.8))
    clip = Clip(settings).double()
    wanted = slow(images, texts, 7, -2) + 0.4 * mean(clip.triplet(images, LABELS)).item()
    term = clip(images, LABELS, texts, TEXT_LABELS)
    assert mean(term).item() == pytest.approx(wanted)
    assert term.count == 5
    pairs, count = term.monitors["pairs"]
    assert pairs / count == pytest.approx(slow(images, texts, 7, -2))


def test_the_gradient_reaches_images_texts_scale_and_bias():
    images, texts, clip = rows(5, 0), rows(4, 1), Clip(ClipSettings()).double()
    assert torch.autograd.gradcheck(lambda x, t: clip(x, LABELS, t, TEXT_LABELS).total, (images, texts))
    clip(images, LABELS, texts, TEXT_LABELS).total.backward()
    for tensor in (images, texts, clip.log_scale, clip.bias):
        assert tensor.grad.abs().sum() > 0


def test_a_frozen_text_side_needs_no_graph():
    clip = Clip(ClipSettings()).double()
    images, texts = rows(5, 0), rows(4, 1).detach()
    clip(images, LABELS, texts, TEXT_LABELS).total.backward()
    assert texts.grad is None


def test_training_it_finds_the_class_of_every_image():
    clip, images, texts = Clip(ClipSettings()).double(), rows(5, 0), rows(4, 1).detach()
    labels = torch.tensor([0, 1, 2, 3, 0])
    optimiser = torch.optim.Adam([images, *clip.parameters()], 0.05)
    for _ in range(300):
        optimiser.zero_grad()
        clip(images, labels, texts, torch.arange(4)).total.backward()
        optimiser.step()
    assert torch.equal(clip.logits(images, texts).argmax(1), labels)
    assert ((clip.logits(images, texts) > 0) == (labels[:, None] == torch.arange(4))).all()


def test_unknown_labels_on_either_side_change_nothing():
    images, texts, clip = rows(5, 0), rows(4, 1), Clip(ClipSettings()).double()
    strange, unknown = torch.full((1, 6), torch.nan, dtype=torch.float64), torch.tensor([-1])
    found = clip(
        torch.cat([strange, images]),
        torch.cat([unknown, LABELS]),
        torch.cat([texts, strange]),
        torch.cat([TEXT_LABELS, unknown]),
    )
    torch.testing.assert_close(mean(found), mean(clip(images, LABELS, texts, TEXT_LABELS)))


@pytest.mark.parametrize(("label", "text_label"), [(-1, 0), (0, -1), (2, 2)])
def test_no_pair_of_two_classes_is_a_zero_on_the_graph(label, text_label):
    images, texts, clip = rows(5, 0), rows(4, 1), Clip(ClipSettings()).double()
    term = clip(images, torch.full((5,), label), texts, torch.full((4,), text_label))
    assert term.total == term.count == 0
    term.total.backward()
    assert not any(tensor.grad.any() for tensor in (images, texts, *clip.parameters()))


def test_one_width_for_both():
    with pytest.raises(RecipeError, match=r"one width, but got \(5, 6\) and \(4, 5\)"):
        Clip(ClipSettings())(rows(5, 0), LABELS, rows(4, 1)[:, :5], TEXT_LABELS)
