"""The text side of CLIP on small sets: from classes to embeddings as wide as the images', frozen or trained.

Source: thesis on privileged information, sections 3.3.2.5 and 3.5.1.2, which trains both sides from
pretrained weights. The linear projection to a shared space is CLIP's.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from sonoprior.core.errors import RecipeError
from sonoprior.models.text_encoder import TextEncoder

from .inputs import check_labels


class FrozenTextTower(nn.Module):
    """Embeddings that stay as they are, and a linear projection that is trained.

    Args:
        features: (C, E), of what is said of each class.
        dimension: D, of the images' embeddings.

    Raises:
        RecipeError: if the features are no matrix of finite numbers.

    >>> import torch
    >>> tower = FrozenTextTower(torch.eye(3), dimension=8)
    >>> tower(torch.tensor([2, 0])).shape
    torch.Size([2, 8])
    """

    features: Tensor

    def __init__(self, features: Tensor, dimension: int) -> None:
        super().__init__()
        if features.ndim != 2 or not features.isfinite().all():
            raise RecipeError(
                f"embeddings of texts must be a matrix of finite numbers, but got {tuple(features.shape)}"
                f" with {int((~features.isfinite()).sum())} that are not finite."
            )
        self.register_buffer("features", features, persistent=False)
        self.projection = nn.Linear(features.shape[1], dimension, bias=False)

    def forward(self, classes: Tensor) -> Tensor:
        """The projected embeddings of classes (n,): (n, D).

        Raises:
            RecipeError: if a class is unknown or lies beyond the features.
        """
        _check_classes(classes, len(self.features))
        return self.projection(self.features[classes])


class TrainedTextTower(nn.Module):
    """A text encoder that is trained with the images, and a linear projection.

    The captions are made into tokens once; a step encodes those of its own classes, each once.

    Args:
        encoder: see `models.text_encoder`.
        captions: of the C classes.
        dimension: D, of the images' embeddings.

    Raises:
        RecipeError: if the encoder is frozen.
    """

    input_ids: Tensor
    attention_mask: Tensor

    def __init__(self, encoder: TextEncoder, captions: Sequence[str], dimension: int) -> None:
        super().__init__()
        if not any(weights.requires_grad for weights in encoder.parameters()):
            raise RecipeError(
                "a text encoder that is trained must not be frozen, but no weight has a gradient."
            )
        self.encoder = encoder
        for name, tokens in encoder.tokens(captions).items():
            self.register_buffer(name, tokens, persistent=False)
        self.projection = nn.Linear(encoder.width, dimension, bias=False)

    def forward(self, classes: Tensor) -> Tensor:
        """The projected embeddings of the captions of classes (n,): (n, D), on the graph.

        Raises:
            RecipeError: if a class is unknown or lies beyond the captions.
        """
        _check_classes(classes, len(self.input_ids))
        different, places = classes.unique(return_inverse=True)
        mask = self.attention_mask[different]
        read = mask.any(0)  # the longest caption of all need not be among them
        tokens = {"input_ids": self.input_ids[different][:, read], "attention_mask": mask[:, read]}
        return self.projection(self.encoder.encoded(tokens))[places]


def _check_classes(classes: Tensor, known: int) -> None:
    if not len(classes):
        return
    if classes.min() < 0:
        raise RecipeError(f"a text needs a class that is known, but got {int(classes.min())}.")
    check_labels(classes, known)
