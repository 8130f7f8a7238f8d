"""Images that show the same picture: found by small sketches, verified by aligned correlation."""

from .groups import Duplicates, duplicates_among, near_duplicates
from .remembered import duplicate_groups
from .sketches import Sketches

__all__ = ["Duplicates", "Sketches", "duplicate_groups", "duplicates_among", "near_duplicates"]
