"""Why a request is not answered, in words and as an HTTP status."""

from __future__ import annotations

from nearfield.errors import NearfieldError, StorageError, VendorError

INVALID = 400
UNAUTHORISED = 401
UNKNOWN = 404
SLOW_BODY = 408
TOO_LARGE = 413
BUSY = 429
LEFT = 499  # no answer is read any more: nginx's, for its log
FAILED = 500
UNAVAILABLE = 503
LATE = 504


class Refusal(NearfieldError):
    """A request that is not answered. `status` is the HTTP status that says why; a dialect may say
    it by another. `retry_after`: in how many seconds it may be answered, where that is known.
    """

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def in_words(error: Exception) -> Refusal:
    """The refusal that an error of the library is to a client, whose request is invalid unless a
    vendor behind the server or a disk of its is at fault.
    """
    if isinstance(error, Refusal):
        return error
    ours = isinstance(error, StorageError | VendorError)
    return Refusal(UNAVAILABLE if ours else INVALID, str(error))
