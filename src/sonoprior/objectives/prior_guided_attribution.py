"""Prior-Guided Attribution: the network is led to look where the priors say.

Source: thesis on privileged information, section 2.3, eqs 2.4 to 2.9.
"""

import warnings
from typing import cast

import torch
from torch import Tensor, nn

from sonoprior.attribution.allocation import Allocation
from sonoprior.attribution.diagnosis import diagnose
from sonoprior.attribution.gradients import Target, head_weights
from sonoprior.attribution.guided import GuidedPass, guided_pass, rows_with_prior
from sonoprior.core.checks import at_least, one_of
from sonoprior.core.errors import ModelError, RecipeError
from sonoprior.models.heads import Heads
from sonoprior.models.taps import Tap

from .attributed_similarity import OUTPUTS, has_positive, output_weights
from .base import Context, Guidance, Monitors, Objective, Output, Record, Term, averaged
from .label_combinations import labels_shown
from .privileged_attribution import agreement, is_flat, to_resolution
from .settings import PriorGuidedAttributionSettings


def privileged_attribution_term(
    attribution: Tensor, priors: Tensor, present: Tensor, settings: PriorGuidedAttributionSettings
) -> Term:
    """Eq 2.9 over the present (image, prior) pairs, as a sum and a count.

    Args:
        attribution: (n, C, h, w) of the images that have a prior.
        priors: (n, P, H, W) in [0, 1].
        present: (n, P), m_p of eq 2.9, for each image and prior.
        settings: allocation, reduction, statistics, and what an empty prior does.
    """
    allocation = Allocation.parse(settings.allocation)
    maps = allocation.allocate(attribution, priors.shape[1])  # (n, P, m, h, w)
    wanted = to_resolution(priors, *maps.shape[-2:])
    directed = present & ~is_flat(wanted)  # an empty prior has no spatial direction
    agreed = agreement(
        maps, wanted[:, :, None].expand_as(maps), settings.reduction, settings.statistics
    ).mean(2)
    total = -agreed.masked_fill(~directed, 0).sum()
    count = directed.sum()
    monitors: Monitors = {"agreement": (-total.detach(), count)}
    if settings.empty == "suppress":
        empty = present & (wanted.amax((-2, -1)) == 0)
        share = allocated_share(attribution, allocation, priors.shape[1]).masked_fill(~empty, 0)
        total, count = total + share.sum(), count + empty.sum()
    return Term(total, count, monitors)


def allocated_share(attribution: Tensor, allocation: Allocation, priors: int) -> Tensor:
    """The share of an image's attribution mass that lies on the channels of each prior: (n, P).

    Args:
        attribution: (n, C, h, w).
        allocation: which channels belong to which prior.
        priors: P.
    """
    mass = attribution.abs().sum((2, 3))
    per_prior = allocation.per_prior(mass.shape[1], priors)
    owned = mass[:, : per_prior * priors].unflatten(1, (priors, per_prior)).sum(2)
    return owned / mass.sum(1, keepdim=True).clamp(min=torch.finfo(mass.dtype).tiny)


class PriorGuidance(Objective):
    """The recipe's objective `prior_guided_attribution`; its weight is the thesis's alpha.

    Args:
        settings: see `PriorGuidedAttributionSettings`.
        context: gives the network, its tap and the priors.

    Raises:
        RecipeError: if there are no priors, or the settings contradict each other or the network.
        ModelError: if the tail cannot be guided.
    """

    recordable = True
    members: Tensor | None

    def __init__(self, settings: PriorGuidedAttributionSettings, context: Context) -> None:
        super().__init__()
        if not context.priors:
            raise RecipeError(
                "prior_guided_attribution needs priors, but the case set has none of the kind that"
                " data.priors names; add outlines, boxes or points, or set the objective's weight to 0."
            )
        self.settings = settings
        self.field = f"label.{context.level}"
        several = context.heads is not None and context.heads.several
        self.register_buffer("members", context.members if several else None, persistent=False)
        check_settings(settings)
        check_target(settings, context.heads)
        head = examined(context.network, context.tap, context.example, settings)
        self.guidance = Guidance(context.tap, settings.batch_norm, head)

    def forward(self, output: Output, batch: Record) -> Term:
        """Eq 2.9 over the images of the batch that have a prior; a zero on the graph if none has."""
        priors, present = batch.fields["prior"], batch.present["prior"]
        if output.guided is None:
            return Term(output.outputs.sum() * 0, present.sum() * 0)
        labels = batch.fields.get(self.field)
        weights = attributed_weights(output, self.settings.target, self._named(labels))
        if self.settings.target == "positives" and labels is not None:
            present = present & has_positive(labels)[:, None]
        return guided_term(output.guided, output.outputs, priors, present, weights, self.settings)

    def _named(self, labels: Tensor | None) -> Tensor | None:
        """What the target "label" is told: which labels each image shows, where these may be several."""
        if labels is None or self.members is None or self.settings.target != "label":
            return labels
        return labels_shown(labels, self.members)


def attributed_weights(output: Output, target: str, labels: Tensor | None) -> Tensor:
    """How much each column of the outputs counts in what is attributed: (B, width).

    Args:
        output: of the network.
        target: see `AttributionSettings`.
        labels: (B,), for "label" and "positives"; for "label" (B, C) where an image may show several.
    """
    heads = output.heads
    if target != "positives" or heads is None:
        return head_weights(output.outputs, cast(Target, target), heads, labels)
    embeddings, leaf = output.embeddings[heads.levels[0]], heads.columns(heads.levels[0])
    nobody = torch.full((len(embeddings),), -1, device=embeddings.device)
    return heads.only(leaf, output_weights(embeddings, nobody if labels is None else labels, "positives"))


def guided_term(
    guided: GuidedPass,
    outputs: Tensor,
    priors: Tensor,
    present: Tensor,
    weights: Tensor,
    settings: PriorGuidedAttributionSettings,
) -> Term:
    """Attribute the images that have a prior, and compare with it.

    Args:
        guided: the pass that gave the outputs.
        outputs: (B, K).
        priors: (B, P, H, W).
        present: (B, P).
        weights: (B, K), how much each output counts in what is attributed.
        settings: of the objective.
    """
    rows = rows_with_prior(present)
    if rows is not None and not len(rows):
        return Term(outputs.sum() * 0, present.sum() * 0)
    maps = guided.attribute(outputs, method=settings.method, weights=weights, rows=rows)
    wanted = slice(None) if rows is None else rows
    return privileged_attribution_term(maps, priors[wanted].to(maps.dtype), present[wanted], settings)


def examined(
    model: nn.Module, tap: Tap, images: Tensor, settings: PriorGuidedAttributionSettings
) -> str | None:
    """Try the tap before training; warn of what makes guidance degenerate there.

    Returns:
        The linear layer of the closed form, if there is one.

    Raises:
        ModelError: if the loss cannot be differentiated through the attribution.
    """
    found = diagnose(model, tap, images)
    if not found.guided:
        raise ModelError(
            f"tap '{tap.layer}' cannot be guided, because of what follows it: {found.reason}; use a later"
            " tap or another backbone (`sonoprior models taps NAME` lists what can be guided)."
        )
    _refuse_synchronised(model, settings)
    for warning in found.warnings(settings.method):
        warnings.warn(f"tap '{tap.layer}': {warning}", GuidanceWarning, stacklevel=3)
    return found.closed_head


def _refuse_synchronised(model: nn.Module, settings: PriorGuidedAttributionSettings) -> None:
    if settings.batch_norm == "detached" and any(
        isinstance(layer, nn.SyncBatchNorm) for layer in model.modules()
    ):
        raise ModelError(
            "batch_norm 'detached' does not reach into SyncBatchNorm; use BatchNorm, or batch_norm 'running'."
        )


class GuidanceWarning(UserWarning):
    """Guidance as asked for will do little, for a reason that the network's form gives."""


def check_settings(settings: PriorGuidedAttributionSettings) -> None:
    """Refuse settings that contradict each other.

    Raises:
        RecipeError: if an empty prior shall be suppressed where no channel is free to take the mass over.
    """
    allocation = Allocation.parse(settings.allocation)
    if settings.empty == "suppress" and allocation.share == 1:
        raise RecipeError(
            "empty 'suppress' moves attribution to the free channels, but allocation"
            f" '{settings.allocation}' leaves none; use 'half', 'quarter' or 'first K'."
        )


def check_target(settings: PriorGuidedAttributionSettings, heads: Heads | None) -> None:
    """Refuse a target that the network's outputs do not have.

    Raises:
        RecipeError: naming the targets that there are.
    """
    if settings.target == "positives" and (heads is None or not heads.embeds):
        raise RecipeError("target 'positives' needs an embedding, but the network gives logits only.")
    if heads is not None and not heads.classifies:
        allowed = OUTPUTS if heads.embeds else ("sum",)
        one_of("target, where the network names no class,", settings.target, allowed, RecipeError)


class PriorGuidedAttribution(nn.Module):
    """Guide any classifier in your own training loop.

        guided = PriorGuidedAttribution(model, layer="layer3", alpha=10)
        for images, labels, outlines in loader:
            logits, guidance = guided(images, outlines)
            loss = cross_entropy(logits, labels) + guidance
            ...

    The model inside is left as it is: train `guided`, then keep and use `model`. For several processes
    wrap *this* module in DistributedDataParallel; a moving-average copy may be made of it or of the model.

    Args:
        model: images to logits (B, K), any module.
        layer: the name of the layer whose output (B, C, h, w) is guided, as in `model.named_modules()`.
        alpha: the weight of the term (eq 2.6), in the correlation form unless `reduction` says otherwise.
        **settings: see `PriorGuidedAttributionSettings`: method, target, allocation, batch_norm, reduction,
            statistics, empty.

    Raises:
        ModelError: if the model has no such layer.
        RecipeError: if a setting is not allowed.
    """

    def __init__(self, model: nn.Module, layer: str, *, alpha: float = 1.0, **settings: str) -> None:
        super().__init__()
        self.model = model
        self.tap = Tap(layer)
        self.tap.module(model)
        self.alpha = at_least("alpha", alpha, 0, RecipeError)
        self.settings = _validated(settings)
        check_settings(self.settings)
        check_target(self.settings, None)
        self._head: str | None = None
        self._examined = False

    def forward(
        self,
        images: Tensor,
        priors: Tensor | None = None,
        present: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Logits, and alpha times the term of eq 2.9.

        Args:
            images: (B, ...) as the model takes them.
            priors: (B, P, H, W) or (B, H, W), in [0, 1]; NaN where there is none. None: nothing is guided.
            present: (B, P), which priors are there; read off the NaNs if it is not given.
            labels: (B,), for the target "label".

        Returns:
            Logits (B, K) and a scalar, averaged over the priors that are present in all processes.
        """
        if priors is None or self.alpha == 0:
            logits = self.model(images)
            return logits, logits.sum() * 0
        if not self._examined:
            self._head = examined(self.model, self.tap, images[:2], self.settings)
            self._examined = True
        maps = priors[:, None] if priors.ndim == 3 else priors
        there = ~maps.isnan().any((-2, -1)) if present is None else present.to(torch.bool)
        if there.shape != maps.shape[:2] or len(maps) != len(images):
            raise ModelError(
                f"priors must be (B, P, H, W) and present (B, P) for {len(images)} images, but got"
                f" {tuple(maps.shape)} and {tuple(there.shape)}."
            )
        logits, guided = guided_pass(self.model, self.tap, images, self.settings.batch_norm, self._head)
        maps = torch.where(there[:, :, None, None], maps, 0)
        weights = attributed_weights(Output(logits), self.settings.target, labels)
        term = guided_term(guided, logits, maps, there, weights, self.settings)
        return logits, self.alpha * averaged(term)


def _validated(settings: dict[str, str]) -> PriorGuidedAttributionSettings:
    from pydantic import ValidationError

    try:
        return PriorGuidedAttributionSettings.model_validate(settings)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(str(part) for part in problem["loc"])
        raise RecipeError(f"{name}: {problem['msg']}, but got {problem['input']!r}.") from error
