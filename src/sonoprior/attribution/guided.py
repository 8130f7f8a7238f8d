"""A forward pass that can be asked, on the graph, what its outputs looked at."""

from contextlib import AbstractContextManager, ExitStack
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sonoprior.models.taps import Captured, Tap, inference

from .gradients import Method, Target, attribution, target_weights
from .operators import AttributedOperators, Pass

BatchNorm = Literal["detached", "running", "mixed"]


class GuidedPass:
    """What one forward pass left behind for its attribution.

    Attributes:
        features: the tapped features (B, C, h, w), on the graph that leads to the logits.
    """

    def __init__(
        self, model: nn.Module, tap: Tap, images: Tensor, batch_norm: BatchNorm, closed_head: str | None
    ) -> None:
        self._captured: Captured
        self._model, self._tap, self._images = model, tap, images
        self._batch_norm: BatchNorm = batch_norm
        self._closed_head = closed_head
        self._autocast: torch.dtype | None = None
        self._state = Pass(detached=batch_norm == "detached")

    def run(self) -> Tensor:
        """The logits (B, K). What stands before the tap runs as always, and no hook stays behind."""
        kind = self._images.device.type
        self._autocast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        with ExitStack() as tail:

            def enter_tail() -> None:
                if self._closed_head is None:
                    tail.enter_context(AttributedOperators(self._state))
                    tail.enter_context(_attention_with_two_derivatives())

            with self._tap.capture(self._model, then=enter_tail) as captured:
                logits = self._model(self._images)
        self._captured = captured
        return logits

    @property
    def features(self) -> Tensor:
        """The tapped features (B, C, h, w)."""
        return self._captured.features

    def attribute(
        self,
        logits: Tensor,
        *,
        method: Method = "grad_input",
        target: Target = "sum",
        labels: Tensor | None = None,
        rows: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """The attribution of the tapped features, on the graph: (n, C, h, w).

        Only the tail, from the tap to the logits, is differentiated, and only for the wanted images.

        Args:
            logits: (B, K), as this pass gave them.
            method: "grad" (eq 2.3), "grad_input" (eq 2.4), or "grad_cam" (class activation).
            target: which output is differentiated.
            labels: (B,), for the target "label".
            rows: the images (n,) whose attribution is wanted; None for all.
            weights: (B, K), how much each output counts, instead of a target; for a model whose outputs are
                no logits.
        """
        weights = target_weights(logits, target, labels) if weights is None else weights
        wanted = slice(None) if rows is None else rows
        features = self.features[wanted]
        if self._closed_head is not None:
            gradient = self._closed_gradient(weights[wanted], features, self._closed_head)
        elif self._batch_norm == "running":
            gradient = self._replayed_gradient(weights[wanted], features, wanted)
        else:
            gradient = self._gradient(logits, weights, rows)
        return attribution(_single(features), _single(gradient), method)

    def _closed_gradient(self, weights: Tensor, features: Tensor, head: str) -> Tensor:
        """For logits W mean(f) + b the gradient is, at every position, the chosen rows of W over h w."""
        matrix: Tensor = self._model.get_submodule(head).weight  # pyright: ignore[reportAssignmentType]
        height, width = features.shape[2:]
        return (weights @ matrix / (height * width))[:, :, None, None].expand_as(features)

    def _gradient(self, logits: Tensor, weights: Tensor, rows: Tensor | None) -> Tensor:
        # With mixed statistics an image's gradient runs through all the others: no row can be left out.
        if rows is not None and self._batch_norm != "mixed" and len(rows) < len(logits):
            weights = torch.zeros_like(weights).index_copy(0, rows, weights[rows])
            self._state.rows, self._state.images = rows, len(logits)
        self._state.attributing = True
        try:
            gradient = _differentiate(logits, self.features, weights)
            return gradient if rows is None else gradient[rows]
        finally:
            self._state.attributing = False
            self._state.rows = None

    def _replayed_gradient(self, weights: Tensor, features: Tensor, rows: Tensor | slice) -> Tensor:
        """The tail once more on the same features, as it runs at inference."""
        output = self._captured.output(features, rows)
        with torch.autocast(self._images.device.type, self._autocast, enabled=self._autocast is not None):
            logits = replay(self._model, self._tap, self._images[rows], output)
        return _differentiate(logits, features, weights)


def rows_with_prior(present: Tensor) -> Tensor | None:
    """The images (n,) of a batch that have a prior, by which (B, P) are there; None to attribute all of them.

    On a GPU that is all of them: to ask it which they are stops it, so that no step could be recorded, and a
    small network's kernels take as long for a part of the images.
    """
    return present.any(1).nonzero().flatten() if _answers_at_once(present) else None


def _answers_at_once(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _single(maps: Tensor) -> Tensor:
    """In single precision at least: what is compared with a prior is not to be rounded to half."""
    return maps.to(torch.promote_types(maps.dtype, torch.float32))


def _differentiate(logits: Tensor, features: Tensor, seed: Tensor) -> Tensor:
    return torch.autograd.grad(logits, features, seed, create_graph=True)[0]


def _attention_with_two_derivatives() -> AbstractContextManager[object]:
    """Attention written out, for the forward pass of a tail and for nothing else.

    The fused kernels, which torch takes by itself, have a first derivative only.
    """
    return sdpa_kernel(SDPBackend.MATH)


def replay(model: nn.Module, tap: Tap, images: Tensor, output: Tensor) -> Tensor:
    """The logits that the tail gives to an output of the tapped layer in eval mode, on the graph from it.

    The layers before the tap run too, without a graph, and their result is put aside: a module is a black
    box that can only be run whole.

    Args:
        model: the model.
        tap: whose output is replaced.
        images: (n, 1, H, W), any of the right shape.
        output: (n, C, h, w), or tokens (n, N, C).
    """

    def substitute(_layer: nn.Module, _inputs: object, _original: object) -> Tensor:
        torch.set_grad_enabled(mode=True)
        return output.clone()

    # `enable_grad` puts back what the two lines below and the hook set.
    with torch.enable_grad(), inference(model), _attention_with_two_derivatives():
        handle = tap.module(model).register_forward_hook(substitute)
        try:
            torch.set_grad_enabled(mode=False)
            return model(images)
        finally:
            handle.remove()


def guided_pass(
    model: nn.Module,
    tap: Tap,
    images: Tensor,
    batch_norm: BatchNorm = "detached",
    closed_head: str | None = None,
) -> tuple[Tensor, GuidedPass]:
    """Run a model so that its attribution can be asked for; the model stays as it was.

    Args:
        model: the model, or any copy of it.
        tap: where the features are read.
        images: (B, 1, H, W).
        batch_norm: how batch statistics enter the attribution. "detached": they are constants, and each
            image's map is its own. "running": the attribution is taken through the statistics of
            inference, for which the model runs once more. "mixed": as autograd gives it, the images of a
            batch attribute to each other.
        closed_head: the name of the linear layer after average pooling, if that is all that follows the
            tap (`models.head.linear_after_average`); the gradient then has a closed form.

    Returns:
        The logits (B, K), and the pass.
    """
    made = GuidedPass(model, tap, images, batch_norm, closed_head)
    return made.run(), made
