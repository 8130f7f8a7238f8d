"""What guidance at a tap can and cannot do, found by trying it on two images before training."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sonoprior.models.head import linear_after_average
from sonoprior.models.taps import Tap, inference

from .gradients import Method
from .guided import guided_pass

# What may stand between a map and a max-pool without changing that the pool reads the map.
_POINTWISE = {"relu", "relu_", "batch_norm", "dropout", "clone", "silu", "gelu", "leaky_relu"}


@dataclass(frozen=True)
class Diagnosis:
    """What was found at a tap.

    Attributes:
        channels: of the tapped map.
        size: height and width of the tapped map, for the images that were tried.
        closed_head: the linear layer of a closed form, if there is one.
        guided: whether the loss can be differentiated through the attribution.
        reason: why not.
        before_max_pool: whether the map is read by a max-pool before anything else.
        unread: whether the outputs do not depend on the map at all.
    """

    channels: int
    size: tuple[int, int]
    closed_head: str | None
    guided: bool
    reason: str
    before_max_pool: bool
    unread: bool

    def warnings(self, method: Method) -> list[str]:
        """What makes guidance degenerate at this tap, in sentences."""
        found: list[str] = []
        if self.closed_head is not None and method == "grad":
            found.append(
                "with method 'grad' at the last map before average pooling and a linear layer the attribution"
                " is the same at every position and guidance has no gradient; use 'grad_input' or an"
                " earlier tap."
            )
        if self.before_max_pool:
            found.append(
                "the tap stands directly before a max-pool, where most of the attribution is zero by"
                " construction and cannot resemble a prior; use an earlier or a later tap."
            )
        if self.unread:
            found.append(
                "the outputs do not depend on the tapped map (after the last block of a vision transformer"
                " its class token alone is read), so that its attribution is zero; use an earlier tap."
            )
        if self.size[0] * self.size[1] < 9:
            found.append(
                f"the tapped map has only {self.size[0]} x {self.size[1]} positions; a prior has hardly"
                " a shape there; use an earlier tap or larger images."
            )
        return found


def diagnose(model: nn.Module, tap: Tap, images: Tensor) -> Diagnosis:
    """Try a tap.

    Args:
        model: images to logits.
        tap: the tap in question.
        images: two images of the training size.

    Raises:
        ModelError: if the tap does not exist or gives no feature map.
    """
    head = linear_after_average(model, tap, images)
    with inference(model), torch.no_grad():
        watch = _FirstReaders()
        with tap.capture(model) as captured, watch:
            model(images)
        _, channels, height, width = captured.features.shape
    reason, unread = _tried(model, tap, images, head)
    pooled = watch.reads_max_pool(captured.features)
    return Diagnosis(channels, (height, width), head, not reason, reason, pooled, unread)


def _tried(model: nn.Module, tap: Tap, images: Tensor, head: str | None) -> tuple[str, bool]:
    """Why the tap cannot be guided, empty if it can; and whether its gradient is zero everywhere."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with inference(model), torch.enable_grad():
        logits, guided = guided_pass(model, tap, images, closed_head=head)
        try:
            maps = guided.attribute(logits, method="grad")
            torch.autograd.grad(maps.square().sum(), parameters, allow_unused=True)
        except RuntimeError as error:
            if "derivative" not in str(error):
                raise
            return str(error), False
    return "", not maps.any()


class _FirstReaders(TorchFunctionMode):
    """Records which functions read which tensor, through pointwise ones, by where the data came from."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, list[Tensor], Any]] = []

    def __torch_function__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        self.calls.append((name, [value for value in args if isinstance(value, Tensor)], result))
        return result

    def reads_max_pool(self, features: Tensor) -> bool:
        """Whether a max-pool reads this map or a pointwise function of it, and nothing else reads it."""
        same: list[Tensor] = [features]
        readers: set[str] = set()
        for name, inputs, result in self.calls:
            if not any(one is other for one in inputs for other in same):
                continue
            if name in _POINTWISE and isinstance(result, Tensor):
                same.append(result)
            elif name.startswith(("max_pool", "adaptive_max_pool")):
                readers.add("max_pool")
            elif name not in {"dim", "__get__", "size", "requires_grad_", "detach"}:
                readers.add(name)
        return readers == {"max_pool"}
