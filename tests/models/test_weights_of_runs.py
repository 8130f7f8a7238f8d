"""Beginning with the backbone of a run, and what is said where one cannot."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sonoprior.core.errors import FolderError, ModelError
from sonoprior.core.folder import stamp
from sonoprior.models import ModelSpec, build_network
from sonoprior.models.catalogue import last_layers
from sonoprior.models.weights import RUN, RUN_FORMAT
from sonoprior.training import run


def write_run(folder, backbone="test_resnet", outputs=3, *, size=None, finished=True, mean=0.25):
    """A run folder as far as others read it, and its network."""
    torch.manual_seed(7)
    network, _ = build_network(ModelSpec(backbone=backbone, tap="last"), outputs, size)
    network.mean.fill_(mean)
    folder.mkdir()
    stamp(folder, RUN, RUN_FORMAT)
    (folder / "recipe.yaml").write_text(f"model: {{backbone: '{backbone}'}}\n")
    if finished:
        save_file(network.state_dict(), folder / run.WEIGHTS)
        (folder / run.METRICS).write_text(json.dumps({}))
    return network


def begun(path, backbone="test_resnet", outputs=3, size=None):
    torch.manual_seed(8)
    spec = ModelSpec(backbone=backbone, tap="last", weights=str(path))
    return build_network(spec, outputs, size)[0]


def test_the_form_of_runs_is_that_of_training():
    assert (RUN, RUN_FORMAT) == (run.KIND, run.FORMAT)


@pytest.mark.parametrize(
    ("backbone", "outputs", "inside"),
    [
        ("test_resnet", 3, ""),
        ("test_resnet", 5, run.WEIGHTS),
        ("test_convnext", 3, run.WEIGHTS),
        ("regnetx_002", 3, ""),
    ],
)
def test_all_but_the_heads_is_taken(tmp_path, backbone, outputs, inside):
    first = write_run(tmp_path / "first", backbone)
    fresh = begun("none", backbone, outputs).state_dict()
    found = begun(tmp_path / "first" / inside, backbone, outputs).state_dict()
    (last,) = (f"backbone.{name}." for name in last_layers(first.backbone))
    for name, value in first.state_dict().items():
        expected = fresh[name] if name.startswith(last) else value
        assert torch.equal(found[name], expected), name
    assert found["mean"] == 0.25


def test_a_weights_file_that_was_moved_is_still_of_a_run(tmp_path):
    first = write_run(tmp_path / "first")
    (tmp_path / "first" / run.WEIGHTS).rename(tmp_path / "moved.safetensors")
    found = begun(tmp_path / "moved.safetensors")
    assert torch.equal(found.backbone.layer1[0].conv1.weight, first.backbone.layer1[0].conv1.weight)
    assert not torch.equal(found.backbone.fc.weight, first.backbone.fc.weight)


def test_a_transformer_of_another_image_size(tmp_path):
    write_run(tmp_path / "first", "test_vit", size=160)
    found = begun(tmp_path / "first", "test_vit", size=96)
    assert found(torch.rand(2, 1, 96, 96)).shape == (2, 3)


class Own(nn.Module):
    def __init__(self, num_classes, in_chans):
        super().__init__()
        self.conv, self.last = nn.Conv2d(in_chans, 4, 3), nn.Linear(4, num_classes)

    def forward(self, images):
        return self.last(self.conv(images).mean((2, 3)))


def own(num_classes, in_chans):
    return Own(num_classes, in_chans)


def test_ones_own_backbone(tmp_path):
    torch.manual_seed(1)
    first = build_network(ModelSpec(backbone=f"{__name__}:own", tap="conv"), 2)[0]
    save_file(first.state_dict(), tmp_path / "run.safetensors")
    save_file(first.backbone.state_dict(), tmp_path / "file.safetensors")
    for name in ("run", "file"):
        spec = ModelSpec(
            backbone=f"{__name__}:own", tap="conv", weights=str(tmp_path / f"{name}.safetensors")
        )
        found = build_network(spec, 2)[0].backbone
        assert torch.equal(found.conv.weight, first.backbone.conv.weight)
        assert torch.equal(found.last.weight, first.backbone.last.weight) == (name == "file")


@pytest.mark.parametrize("inside", ["", run.WEIGHTS])
def test_another_architecture_is_refused_with_both_names(tmp_path, inside):
    write_run(tmp_path / "first", "test_efficientnet")
    message = (
        r"weights.safetensors \(a run with 'test_efficientnet'\) does not fit the backbone 'test_resnet':"
        r" missing conv1.*more; unknown .*more; of another shape"
    )
    with pytest.raises(ModelError, match=message):
        begun(tmp_path / "first" / inside)


def test_weights_of_another_shape_are_named(tmp_path):
    network = write_run(tmp_path / "first")
    state = network.state_dict()
    state["backbone.bn1.weight"] = torch.ones(3)
    del state["backbone.bn1.bias"]
    save_file(state, tmp_path / "first" / run.WEIGHTS)
    with pytest.raises(ModelError, match=r"missing bn1.bias; unknown none; of another shape bn1.weight\."):
        begun(tmp_path / "first")


def test_folders_that_are_no_finished_run(tmp_path):
    write_run(tmp_path / "half", finished=False)
    (tmp_path / "empty").mkdir()
    (tmp_path / "study").mkdir()
    stamp(tmp_path / "study", "study", 1)
    messages = {
        "half": "the run .*half is not finished, .* resume it first",
        "empty": "a file or the folder of a run, but .*empty is none",
        "study": "a file or the folder of a run, but .*study is marked as 'study'",
        "absent": "a file or the folder of a run, but there is no .*absent",
    }
    for name, message in messages.items():
        with pytest.raises(ModelError, match=message):
            begun(tmp_path / name)


def test_a_run_of_a_newer_version(tmp_path):
    write_run(tmp_path / "first")
    stamp(tmp_path / "first", RUN, RUN_FORMAT + 1)
    with pytest.raises(FolderError, match=f"this run has format {RUN_FORMAT + 1}"):
        begun(tmp_path / "first")


@pytest.mark.parametrize("recipe", ["- a list\n", "model: none\n", None])
def test_a_recipe_that_says_no_backbone(tmp_path, recipe):
    write_run(tmp_path / "first", "test_efficientnet")
    path = tmp_path / "first" / "recipe.yaml"
    path.unlink() if recipe is None else path.write_text(recipe)
    with pytest.raises(ModelError, match=r"\(of a run\) does not fit the backbone 'test_resnet'"):
        begun(tmp_path / "first")
