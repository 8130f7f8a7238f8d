"""What a page says of how its numbers were computed."""

from .differences import SAMPLES

_RUNS = (
    "Each run's metric is computed on its own test cases, then averaged over folds and seeds. Differences are"
    " taken run by run on the same fold and seed."
)
_PATIENTS = (
    f"Other patients: percentile bootstrap over whole patients or duplicate groups ({SAMPLES:,} draws for"
    " differences in the endpoints, 1,000 for all else), the same draw for both; it speaks of these trained"
    " networks. Some measures rise by themselves where cases repeat in a draw, such as how well clusters"
    " agree with classes; their draws are moved so that their mean is the number itself."
)
_TRAINING_SETS = (
    "Other training sets: the corrected resampled t-test of Nadeau and Bengio (2003). Seeds on one fold"
    " repeat one split, so they are averaged first; J is the number of folds, the degrees of freedom are"
    " J - 1, and the variance of the mean is (1/J + n_test/n_train) times that of the folds. It needs two"
    " folds."
)
_SHARED = " The folds of this study share their test cases, which the test does not account for."
_UNSEEN = (
    " Open set: no network was trained with the classes that are tested, and intervals speak of these"
    " classes, not of others that might have been left out instead."
)
_SEVERAL = (
    "Several comparisons: p-values are corrected after Holm (1979), separately for what the study asks, in"
    " the primary endpoint and in each secondary one, for its controls, and for the points of its curve."
    " Intervals, and the other measures, are not corrected."
)
_RETRIEVAL = (
    "Retrieval: a case that could find no other of its class counts in no measure at that level. The"
    " bootstrap draws queries anew; what they search stays. NMI is that of the classes and as many clusters"
    " of k-means."
)


def statistics(protocol: str, embeds: bool = False) -> list[str]:
    """A paragraph each: runs, other patients, other training sets, several comparisons, and retrieval."""
    shared = _SHARED if protocol == "fixed_test" else ""
    unseen = _UNSEEN if protocol == "open_set" else ""
    return [
        _RUNS,
        f"{_PATIENTS}{unseen}",
        f"{_TRAINING_SETS}{shared}",
        _SEVERAL,
        *([_RETRIEVAL] if embeds else []),
    ]
