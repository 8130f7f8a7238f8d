"""FixMatch with one label an image: the strong view learns what the weak view is sure of.

Source: paper on deep clustering for abdominal ultrasound, section 2.3.1, eqs 10 to 13, after Sohn et al.,
"FixMatch: simplifying semi-supervised learning with consistency and confidence", NeurIPS 2020. "Much greater
than tau" is at least tau, and the sum is averaged over the whole unlabelled batch, unused images included.
"""

from torch import Tensor, nn
from torch.nn import functional

from sonoprior.cases.loading.batch import TRUTH

from .base import Context, Records, Term, Views, ViewsObjective
from .image_numbers import ImageNumbers
from .inputs import one_label_a_case
from .pseudo_labels import PseudoLabeller, check_pair, check_truth
from .semi_supervised_settings import FixMatchSettings
from .terms import counted


class FixMatch(nn.Module):
    """L_u of eq 12. Lambda of eq 13 is what this term is multiplied by beside the labelled one.

    Args:
        settings: see `FixMatchSettings`.
        classes: K.
        class_counts: (K,), labelled training cases by class; for distribution alignment.
        images: how many unlabelled images there are; for flexible thresholds.

    Raises:
        RecipeError: if a setting needs what is not given.

    >>> loss = FixMatch(FixMatchSettings(threshold=0.95), classes=2)
    >>> import torch
    >>> weak, strong = torch.tensor([[4.0, 0.0], [1.0, 0.0]]), torch.zeros(2, 2)
    >>> term = loss(weak, strong, torch.tensor([0, -1]))
    >>> term.total / term.count  # log 2 for the first image, of two
    tensor(0.3466)
    >>> term.monitors
    {'pseudo_label_rate': (1.0, 2.0), 'pseudo_label_accuracy': (1.0, 1.0)}
    """

    def __init__(
        self,
        settings: FixMatchSettings,
        classes: int,
        class_counts: Tensor | None = None,
        images: int | None = None,
    ) -> None:
        super().__init__()
        self.labeller = PseudoLabeller(settings, classes, class_counts, images)

    def forward(
        self, weak: Tensor, strong: Tensor, truth: Tensor | None = None, images: Tensor | None = None
    ) -> Term:
        """The sum of -log p(pseudo-label | strong view) over the used images, and the number of all.

        Args:
            weak: (B, K), logits of the weak views; they get no gradient.
            strong: (B, K), logits of the strong views.
            truth: (B,), the true labels, -1 for unknown; for the monitors only.
            images: (B,), the number of each image among the unlabelled ones, for flexible thresholds.

        Raises:
            RecipeError: if the shapes do not fit.
        """
        check_pair(weak, strong, self.labeller.classes)
        check_truth(truth, weak.shape[:1])
        found = self.labeller(weak, images)
        # Unused rows are taken out before the loss, so that what is not finite in them stays out of it.
        total = functional.cross_entropy(
            self.labeller.for_the_loss(strong[found.used]), found.labels[found.used], reduction="sum"
        )
        return Term(total, counted(len(weak), weak), found.monitors(truth))


class FixMatchObjective(ViewsObjective):
    """The recipe's objective `fixmatch`; its weight is lambda of eq 13.

    Args:
        settings: see `FixMatchSettings`.
        context: gives the classes, their labelled cases, and the cases of the stream.

    Raises:
        RecipeError: if a case may show several labels.
    """

    views = ("weak", "strong")
    without_gradient = frozenset({"weak"})

    def __init__(self, settings: FixMatchSettings, context: Context) -> None:
        super().__init__()
        one_label_a_case("fixmatch", context, "fixmatch_one_head or fixmatch_two_heads")
        self.stream = settings.stream
        self.numbers = ImageNumbers(context.streams[settings.stream])
        counts = context.class_counts
        self.loss = FixMatch(settings, len(counts), counts, len(self.numbers))

    def forward(self, outputs: Views, batches: Records) -> Term:
        """Eq 12 of the batch."""
        fields = batches["weak"].fields
        return self.loss(
            outputs["weak"].logits,
            outputs["strong"].logits,
            fields.get(f"label.{TRUTH}"),
            self.numbers(fields["index"]),
        )
