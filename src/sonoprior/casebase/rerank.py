"""Re-ranking: a candidate that is like every query is worth less to each of them.

Engilberge, Deep inside visual-semantic embeddings (thesis, 2020), section 3.2.5, equations 3.12 and 3.13:
S' = S + S / max, with the maximum of a candidate's similarities over all queries. Over the one query of a
search the ratio is 1 for every candidate and the order stays; so the maximum is taken over a stored bank of
queries and the query itself.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

BANK = 512
"""How many queries a bank holds."""
_HELD = 8_000_000  # similarities at once: 32 MB


def best_over_bank(
    candidates: Floats, bank: Floats, groups: Places | None = None, bank_groups: Places | None = None
) -> Floats:
    """The best similarity of each candidate to the queries of a bank.

    Args:
        candidates: (n, D) of length 1.
        bank: (m, D) of length 1.
        groups: (n,) what a candidate must not be compared with its own of; None for a bank of texts.
        bank_groups: (m,) the same of the bank.

    Returns:
        (n,); minus infinity where the bank holds no query of another group.
    """
    best = np.full(len(candidates), -np.inf, np.float32)
    step = max(1, _HELD // max(1, len(bank)))
    for start in range(0, len(candidates) if len(bank) else 0, step):
        rows = slice(start, start + step)
        near = candidates[rows] @ bank.T
        if groups is not None and bank_groups is not None:
            near[groups[rows, None] == bank_groups] = -np.inf
        best[rows] = near.max(axis=1)
    return best


def reranked(near: Floats, over_bank: Floats) -> Floats:
    """S' = S + S / max, where the maximum is over the bank and the query itself.

    The published formula turns round where the maximum is not positive: such a candidate is unlike all
    queries, and keeps its similarity alone, behind every one that is like the query at all.

    Args:
        near: (..., n) similarities of queries and candidates; minus infinity where one is left out.
        over_bank: (n,) as `best_over_bank`.
    """
    most = np.maximum(near, over_bank)
    return near + np.divide(near, most, out=np.zeros_like(near), where=most > 0)
