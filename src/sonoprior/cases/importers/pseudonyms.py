"""Names in place of identifiers: the same one for the same identifier, and no way back without the secret."""

import hashlib
import hmac
from dataclasses import dataclass
from secrets import token_bytes

from sonoprior.core.errors import DataError

from .findings import ImportOptions

_MOST_BYTES = 1_000_000
_LEAST_BYTES = 16
_LENGTH = 16


@dataclass(frozen=True)
class Pseudonyms:
    """Replaces identifiers.

    Attributes:
        secret: what the hashes are salted with; None keeps identifiers as they are.
    """

    secret: bytes | None

    def of(self, kind: str, identifier: str) -> str:
        """The name for an identifier of one kind: 16 hexadecimal digits of its HMAC-SHA256.

        The kind keeps a patient 7 apart from an exam 7.
        """
        if self.secret is None:
            return identifier
        text = f"{kind}\x1f{identifier}".encode()
        return hmac.new(self.secret, text, hashlib.sha256).hexdigest()[:_LENGTH]


def pseudonyms_of(options: ImportOptions) -> Pseudonyms:
    """What the person who imports wants; by default a secret that is made anew and kept nowhere.

    Raises:
        DataError: if the file with the secret is missing, too short or too large, or is not needed.
    """
    if options.keep_identifiers:
        if options.salt:
            raise DataError(
                "--salt makes pseudonyms, but --keep-identifiers wants none; leave one of them out."
            )
        return Pseudonyms(None)
    if options.salt is None:
        return Pseudonyms(token_bytes(32))
    if not options.salt.is_file():
        raise DataError(f"--salt: {options.salt} is missing or is not a file.")
    size = options.salt.stat().st_size
    if not _LEAST_BYTES <= size <= _MOST_BYTES:
        raise DataError(
            f"--salt: {options.salt} must hold between {_LEAST_BYTES} and {_MOST_BYTES:,} bytes, but has"
            f" {size:,}."
        )
    return Pseudonyms(options.salt.read_bytes())
