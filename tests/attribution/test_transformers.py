"""Guidance on the tokens of a vision transformer, against slow derivatives and by its effect."""

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sonoprior.attribution import attribution_maps, guided_pass
from sonoprior.attribution.diagnosis import diagnose
from sonoprior.core.errors import ModelError
from sonoprior.models import ModelSpec, build_network, list_taps
from sonoprior.models.layout import Tokens
from sonoprior.models.taps import Tap, inference
from sonoprior.objectives.base import averaged
from sonoprior.objectives.prior_guided_attribution import GuidanceWarning, PriorGuidedAttribution, guided_term
from sonoprior.objectives.settings import PriorGuidedAttributionSettings

SIZE = 64  # 4 x 4 patches of 16 x 16 pixels, behind one class token
IMAGES = torch.rand(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


def transformer(tap: str = "default", backbone: str = "test_vit") -> tuple[nn.Module, Tap]:
    torch.manual_seed(0)
    return build_network(ModelSpec(backbone=backbone, tap=tap), 3, SIZE)


def slow_map(network: nn.Module, block: int, images: Tensor, image: int, token: int) -> Tensor:
    """|d sum(logits) / d token|, (C,), of one patch of one image, by central differences."""
    vit = network.backbone
    with torch.no_grad():
        tokens = vit._pos_embed(vit.patch_embed((images - network.mean) / network.std))
        tokens = vit.blocks[: block + 1](tokens)
        found = torch.zeros(tokens.shape[2], dtype=torch.double)
        for channel in range(tokens.shape[2]):
            outputs = []
            for step in (1e-4, -1e-4):
                moved = tokens.clone()
                moved[image, token, channel] += step
                outputs.append(vit.forward_head(vit.norm(vit.blocks[block + 1 :](moved)))[image].sum())
            found[channel] = (outputs[0] - outputs[1]) / 2e-4
    return found.abs()


def test_attribution_of_the_patches_against_finite_differences():
    network, tap = transformer("stage3")
    network = network.eval().double()
    logits, guided = guided_pass(network, tap, IMAGES.double())
    maps = guided.attribute(logits, method="grad")
    assert maps.shape[2:] == (4, 4)
    for image, row, column in [(0, 0, 0), (1, 2, 1), (2, 3, 3)]:
        slow = slow_map(network, 2, IMAGES.double(), image, token=1 + 4 * row + column)
        torch.testing.assert_close(maps[image, :, row, column], slow, atol=1e-6, rtol=1e-4)


def test_the_loss_is_differentiated_through_attention_against_finite_differences():
    network, tap = transformer("stage3")
    network = network.eval().double()
    discs = torch.rand(3, 1, SIZE, SIZE, dtype=torch.double, generator=torch.Generator().manual_seed(4))
    settings = PriorGuidedAttributionSettings()

    def loss() -> Tensor:
        logits, guided = guided_pass(network, tap, IMAGES.double())
        there = torch.ones(3, 1, dtype=torch.bool)
        return averaged(guided_term(guided, logits, discs, there, torch.ones_like(logits), settings))

    vit = network.backbone
    for weight in (vit.blocks[0].attn.qkv.weight, vit.blocks[4].attn.qkv.weight, vit.cls_token):
        network.zero_grad()
        loss().backward()
        place = tuple(size // 2 for size in weight.shape)
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                weight[place] += step
            values.append(loss().item())
            with torch.no_grad():
                weight[place] -= step
        slow = (values[0] - values[1]) / 2e-5
        assert weight.grad[place].item() == pytest.approx(slow, rel=1e-3, abs=1e-9)


def test_the_running_form_gives_the_same_attribution_where_there_is_no_batch_normalisation():
    network, tap = transformer()
    gradients = []
    for batch_norm in ("detached", "running"):
        network.zero_grad()
        logits, guided = guided_pass(network, tap, IMAGES, batch_norm)
        guided.attribute(logits, rows=torch.tensor([2, 0])).square().sum().backward()
        gradients.append([weight.grad.clone() for weight in network.parameters() if weight.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-3)


def test_logits_stay_what_they_are_and_no_setting_of_attention_stays_behind():
    network, tap = transformer()
    network.eval()
    before = torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.mem_efficient_sdp_enabled()
    logits, _ = guided_pass(network, tap, IMAGES)
    torch.testing.assert_close(logits, network(IMAGES), atol=1e-5, rtol=1e-4)
    network.backbone.head = nn.Linear(7, 3)  # fails after the tap
    with pytest.raises(RuntimeError):
        guided_pass(network, tap, IMAGES)
    after = torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.mem_efficient_sdp_enabled()
    assert before == after == (True, True)
    assert torch.overrides._get_current_function_mode() is None


def spots(generator: torch.Generator, count: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    """Bright or dark squares of two patches on noise; where they are; which they are."""
    maps, labels = torch.zeros(count, 1, SIZE, SIZE), torch.arange(count) % 2
    for area in maps:
        row, column = (16 * torch.randint(0, 3, (2,), generator=generator)).tolist()
        area[:, row : row + 32, column : column + 32] = 1
    noise = 0.1 * torch.randn(count, 1, SIZE, SIZE, generator=generator)
    return (0.5 + noise + 0.4 * (2 * labels - 1)[:, None, None, None] * maps).clamp(0, 1), maps, labels


def test_guidance_lets_a_transformer_look_at_the_patches_of_the_prior():
    network, tap = transformer()
    guided = PriorGuidedAttribution(network, tap.layer, alpha=5)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)
    agreements = []
    for _ in range(20):
        images, areas, labels = spots(generator)
        logits, term = guided(images, areas)
        optimiser.zero_grad()
        (cross_entropy(logits, labels) + term).backward()
        optimiser.step()
        agreements.append(-term.item() / 5)
    assert agreements[0] < 0.2
    assert min(agreements[-5:]) > 0.8
    images, areas, _ = spots(torch.Generator().manual_seed(9))
    maps = attribution_maps(network, tap, images, priors=1)
    assert maps.allocated.shape == (16, 1, 4, 4)
    inside = nn.functional.adaptive_avg_pool2d(areas, 4) > 0.5
    assert maps.allocated[inside].mean() > maps.allocated[~inside].mean()


def test_the_class_token_alone_is_read_after_the_last_block_and_that_is_said():
    network, last = transformer("last")
    found = diagnose(network, last, IMAGES)
    assert found.unread
    assert any("its class token alone is read" in text for text in found.warnings("grad_input"))
    with pytest.warns(GuidanceWarning, match="the outputs do not depend on the tapped map"):
        PriorGuidedAttribution(network, last.layer)(IMAGES, torch.rand(3, 1, SIZE, SIZE))
    network, default = transformer("default")
    assert not diagnose(network, default, IMAGES).warnings("grad_input")


def test_taps_of_a_transformer_are_its_blocks():
    network, tap = transformer()
    taps = {name: path for names, path in list_taps(network.backbone) for name in names.split(", ")}
    assert (taps["stage1"], taps["stage6"], taps["last"]) == ("blocks.0", "blocks.5", "blocks.5")
    assert tap.layer == "backbone.blocks.4"


def test_maps_with_channels_last_are_maps():
    network, tap = transformer("default", "swin_tiny_patch4_window7_224")
    with inference(network), torch.no_grad(), tap.capture(network) as captured:
        logits = network(IMAGES)
    assert captured.features.shape == (3, 384, 4, 4)
    assert logits.shape == (3, 3)
    assert diagnose(network, tap, IMAGES[:2]).guided


class OwnTransformer(nn.Module):
    """A transformer that timm knows nothing of, with so many tokens before those of the patches."""

    def __init__(self, prefix: int) -> None:
        super().__init__()
        self.prefix = nn.Parameter(torch.rand(prefix, 8))
        self.patches = nn.Conv2d(1, 8, 16, stride=16)
        self.first = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True)
        self.second = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).mT
        tokens = torch.cat([self.prefix.expand(len(images), -1, -1), tokens], 1)
        return self.head(self.second(self.first(tokens)).mean(1))


@pytest.mark.parametrize("prefix", [0, 1])
def test_tokens_of_ones_own_transformer_are_a_square_with_or_without_a_class_token(prefix):
    logits, guided = guided_pass(OwnTransformer(prefix), Tap("first"), IMAGES)
    assert guided.features.shape == (3, 8, 4, 4)
    guided.attribute(logits).square().sum().backward()


def test_tokens_that_make_no_square_are_refused():
    with pytest.raises(ModelError, match=r"a token for each patch \(B, N, C\), but gives \(3, 19, 8\)"):
        guided_pass(OwnTransformer(3), Tap("first"), IMAGES)


def test_tokens_go_into_a_map_row_by_row_and_back():
    layout = Tokens(prefix=2, height=2, width=3)
    tokens = torch.arange(2 * 8 * 4.0).reshape(2, 8, 4)
    maps = layout.features(tokens)
    assert maps.shape == (2, 4, 2, 3)
    assert maps[1, 3, 1, 2] == tokens[1, 2 + 3 + 2, 3]
    assert torch.equal(layout.output(maps, tokens), tokens)
    assert torch.equal(layout.output(maps * 0, tokens)[:, :2], tokens[:, :2])


def test_weights_of_another_image_size_are_brought_to_this_one(tmp_path):
    larger, _ = build_network(ModelSpec(backbone="test_vit", tap="last"), 3, 96)
    save_file(larger.backbone.state_dict(), tmp_path / "larger.safetensors")
    spec = ModelSpec(backbone="test_vit", tap="last", weights=str(tmp_path / "larger.safetensors"))
    network, _ = build_network(spec, 3, SIZE)
    assert network.backbone.pos_embed.shape[1] == 1 + 16
    torch.testing.assert_close(network.backbone.pos_embed[:, 0], larger.backbone.pos_embed[:, 0])
    assert network(IMAGES).shape == (3, 3)
