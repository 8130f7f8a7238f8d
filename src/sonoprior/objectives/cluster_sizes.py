"""What is asked of the sizes of clusters in a batch: equal (PICA), or likely under a prior (LSD).

Both take the logarithms of the clusters' shares, which are finite however small a share is; so an empty
cluster is a large number with a gradient that fills it, and not a NaN.

Source: Dadoun et al., "Deep clustering for abdominal organ classification in ultrasound imaging", Journal of
Medical Imaging 10(3), 2023, eqs 4 to 6.
"""

import math

from torch import Tensor

from .clustering_settings import EntropySettings, SizeSettings


def size_term(logs: Tensor, settings: SizeSettings) -> Tensor:
    """The term that the settings name, of the logarithms (K,) of shares."""
    if isinstance(settings, EntropySettings):
        return negative_entropy(logs)
    return dirichlet(logs, settings.alpha)


def log_shares(log_assignments: Tensor) -> Tensor:
    """The logarithm of z_k = sum_n p_nk / sum_nk p_nk, the share of the batch in each cluster.

    The source prints the rows of P where its columns are meant.

    Args:
        log_assignments: (B, K), log p_nk, rows that sum to one as probabilities; B at least 1.

    Returns:
        (K,), of shares that sum to one.
    """
    return log_assignments.logsumexp(0) - math.log(len(log_assignments))


def negative_entropy(logs: Tensor) -> Tensor:
    """Eq 4: log(K) - H(z), from 0 for equal shares to log(K) for a single cluster. A scalar.

    >>> import torch
    >>> negative_entropy(torch.tensor([0.5, 0.5]).log())
    tensor(0.)
    """
    return math.log(len(logs)) + (logs.exp() * logs).sum()


def dirichlet(logs: Tensor, alpha: float) -> Tensor:
    """Eq 6: -(alpha - 1) / log(K) times the sum of log z_k; at equal shares it is smallest, (alpha - 1) K.

    Minus the logarithm of eq 5 over log(K), without the constant log B(alpha). A scalar.

    Args:
        logs: (K,), log z_k, K at least 2.
        alpha: above 1.

    >>> import torch
    >>> dirichlet(torch.tensor([0.25, 0.25, 0.25, 0.25]).log(), alpha=1.5)
    tensor(2.)
    """
    return -(alpha - 1) / math.log(len(logs)) * logs.sum()
