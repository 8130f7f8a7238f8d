"""The text side of CLIP: frozen and trained towers, what a step encodes, what is learned, and the edges."""

import pytest
import torch

from sonoprior.core.errors import RecipeError
from sonoprior.models.text_encoders import text_encoder
from sonoprior.objectives.clip import Clip
from sonoprior.objectives.embedding_settings import ClipSettings
from sonoprior.objectives.text_towers import FrozenTextTower, TrainedTextTower

CLASSES = torch.tensor([2, 0, 2])


@pytest.fixture
def bert(tmp_path):
    pytest.importorskip("transformers")
    from small_text_models import CAPTIONS, write_bert

    return text_encoder(str(write_bert(tmp_path))), CAPTIONS


def test_a_frozen_tower_projects_the_rows_of_its_classes():
    features = torch.randn(4, 6)
    tower = FrozenTextTower(features, dimension=5)
    wanted = torch.stack([tower.projection.weight @ features[number] for number in CLASSES])
    assert torch.allclose(tower(CLASSES), wanted, atol=1e-6)
    assert [name for name, _ in tower.named_parameters()] == ["projection.weight"]
    assert tower(CLASSES[:0]).shape == (0, 5)


def test_a_trained_tower_says_what_its_encoder_says_of_every_caption(bert):
    encoder, captions = bert
    tower = TrainedTextTower(encoder, captions, dimension=5)
    wanted = torch.cat([tower.projection(encoder([captions[number]])) for number in CLASSES])
    assert torch.allclose(tower(CLASSES), wanted, atol=1e-6)
    assert tower(CLASSES[:0]).shape == (0, 5)


def test_a_step_encodes_each_caption_of_its_classes_once_and_no_further_than_they_go(bert):
    encoder, captions = bert
    tower = TrainedTextTower(encoder, captions, dimension=5)
    seen = []
    encoder.network.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    tower(torch.tensor([1, 1, 1]))
    assert seen == [(1, len("ovary") + 2)]


def test_clip_learns_with_either(bert):
    torch.manual_seed(0)
    encoder, captions = bert
    images, labels = torch.eye(3, 8).repeat(4, 1), torch.arange(3).repeat(4)
    for tower in (FrozenTextTower(torch.eye(3), 8), TrainedTextTower(encoder, captions, 8)):
        clip = Clip(ClipSettings(triplet_weight=0))
        optimiser = torch.optim.Adam([*tower.parameters(), *clip.parameters()], lr=0.01)
        losses = []
        for _ in range(40):
            term = clip(images, labels, tower(torch.arange(3)), torch.arange(3))
            losses.append(term.total.item())
            optimiser.zero_grad()
            term.total.backward()
            optimiser.step()
        assert losses[-1] < losses[0] / 3
    assert encoder.network.get_input_embeddings().weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("number", "message"), [(-1, "but got -1"), (3, "below the 3 classes .* got 3")])
def test_a_class_without_a_text_is_refused(bert, number, message):
    for tower in (FrozenTextTower(torch.eye(3), 4), TrainedTextTower(*bert, dimension=4)):
        with pytest.raises(RecipeError, match=message):
            tower(torch.tensor([0, number]))


def test_features_that_are_no_finite_matrix_are_refused():
    with pytest.raises(RecipeError, match=r"matrix of finite numbers, but got \(2, 2\) with 1"):
        FrozenTextTower(torch.tensor([[1.0, 2.0], [3.0, torch.nan]]), 4)


def test_a_frozen_encoder_is_not_taken_for_a_trained_one(bert):
    encoder, captions = bert
    with pytest.raises(RecipeError, match="must not be frozen"):
        TrainedTextTower(encoder.frozen(), captions, dimension=4)
