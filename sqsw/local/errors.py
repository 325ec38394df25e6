"""Errors of the embedded SQS: SQS's own error answers, and problems with the database file.

A subclass of :class:`ServiceError` has the name of the *shape* that SQS sends in ``__type``.
botocore uses it to choose the exception class. Callers read ``query_code`` as ``Error.Code``; it is
sent in the header ``x-amzn-query-error``.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
"""

from typing import ClassVar


class ServiceError(Exception):
    """An error answer of SQS."""

    query_code: ClassVar[str]
    status: ClassVar[int] = 400
    #: used if the constructor gets no text
    default_text: ClassVar[str] = ""

    def __init__(self, text: str | None = None) -> None:
        self.text = self.default_text if text is None else text
        super().__init__(self.text)

    @property
    def shape(self) -> str:
        return type(self).__name__

    @property
    def fault(self) -> str:
        return "Sender" if self.status < 500 else "Receiver"

    def as_failed_entry(self, entry_id: str) -> dict[str, object]:
        """Return the entry for the ``Failed`` list of a batch answer."""
        return {
            "Id": entry_id,
            "Code": self.query_code,
            "Message": self.text,
            "SenderFault": True,
        }


class QueueDoesNotExist(ServiceError):
    query_code = "AWS.SimpleQueueService.NonExistentQueue"
    default_text = "The specified queue does not exist."


class QueueNameExists(ServiceError):
    query_code = "QueueAlreadyExists"


class QueueDeletedRecently(ServiceError):
    query_code = "AWS.SimpleQueueService.QueueDeletedRecently"
    default_text = (
        "You must wait 60 seconds after deleting a queue before you can create another with the"
        " same name."
    )


class PurgeQueueInProgress(ServiceError):
    query_code = "AWS.SimpleQueueService.PurgeQueueInProgress"
    status = 403


class EmptyBatchRequest(ServiceError):
    query_code = "AWS.SimpleQueueService.EmptyBatchRequest"


class TooManyEntriesInBatchRequest(ServiceError):
    query_code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"


class BatchEntryIdsNotDistinct(ServiceError):
    query_code = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"


class InvalidBatchEntryId(ServiceError):
    query_code = "AWS.SimpleQueueService.InvalidBatchEntryId"
    default_text = (
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores."
        " It can be at most 80 letters long."
    )


class BatchRequestTooLong(ServiceError):
    query_code = "AWS.SimpleQueueService.BatchRequestTooLong"


class ReceiptHandleIsInvalid(ServiceError):
    query_code = "ReceiptHandleIsInvalid"


class InvalidMessageContents(ServiceError):
    query_code = "InvalidMessageContents"


class InvalidAttributeName(ServiceError):
    query_code = "InvalidAttributeName"


class InvalidAttributeValue(ServiceError):
    query_code = "InvalidAttributeValue"


class OverLimit(ServiceError):
    query_code = "OverLimit"
    status = 403


class ResourceNotFoundException(ServiceError):
    query_code = "ResourceNotFoundException"
    status = 404


class InvalidParameterValueException(ServiceError):
    """An error that the model does not have, so callers get a plain ``ClientError``."""

    query_code = "InvalidParameterValue"


class MissingRequiredParameterException(ServiceError):
    """An error that the model does not have, so callers get a plain ``ClientError``."""

    query_code = "MissingParameter"

    def __init__(self, parameter: str) -> None:
        super().__init__(f"The request must contain the parameter {parameter}.")


class UnknownOperationException(ServiceError):
    query_code = "UnknownOperationException"


class SerializationException(ServiceError):
    """A parameter has the wrong type; SDKs catch this earlier, so only raw HTTP clients see it."""

    query_code = "SerializationException"


class InvalidAction(ServiceError):
    """The query protocol's error for an unknown operation."""

    query_code = "InvalidAction"


class RequestEntityTooLarge(ServiceError):
    query_code = "RequestEntityTooLarge"
    status = 413


class AccessDeniedException(ServiceError):
    """The request could come from a web page. SQS itself does not check this."""

    query_code = "AccessDenied"
    status = 403


class IncompleteSignature(ServiceError):
    query_code = "IncompleteSignature"


class MissingAuthenticationToken(ServiceError):
    query_code = "MissingAuthenticationToken"
    status = 403
    default_text = "Request is missing Authentication Token"


class InvalidClientTokenId(ServiceError):
    query_code = "InvalidClientTokenId"
    status = 403
    default_text = "The security token included in the request is invalid."


class SignatureDoesNotMatch(ServiceError):
    query_code = "SignatureDoesNotMatch"
    status = 403
    default_text = (
        "The request signature we calculated does not match the signature you provided. Check your"
        " AWS Secret Access Key and signing method. Consult the service documentation for details."
    )


class RequestExpired(ServiceError):
    query_code = "RequestExpired"


class InternalFailure(ServiceError):
    """A fault in the embedded SQS itself; SDKs retry."""

    query_code = "InternalFailure"
    status = 500
    default_text = "The request processing has failed because of an unknown error."


class ServiceUnavailable(ServiceError):
    """Another program has locked the file, or the server is overloaded; SDKs retry."""

    query_code = "ServiceUnavailable"
    status = 503
    default_text = "The request has failed due to a temporary failure of the server."


class FileError(Exception):
    """The file of the embedded SQS cannot be used; the failed call changed nothing in it."""

    #: the cause, and what the user can do about it
    why: ClassVar[str]
    next: ClassVar[str]

    def __init__(self, path: str, detail: str = "") -> None:
        super().__init__(f"{path}: {detail}" if detail else path)
        self.path = path
        self.detail = detail


class FileLocked(FileError):
    why = "the file stayed locked for 5 seconds"
    next = "share it over HTTP: serve(path), then endpoint_url='http://127.0.0.1:9324'"


class FileNotOurs(FileError):
    why = "it is not an sqsw database, so it was not changed"
    next = "choose another file"


class FileTooNew(FileError):
    why = "it was written by a newer version of sqsw"
    next = "upgrade sqsw, or choose another file"


class FileReadOnly(FileError):
    why = "the file or its directory is not writable"
    next = "change the permissions, or choose another file"


class FileFull(FileError):
    why = "the disk is full; this call changed nothing, and earlier calls are still stored"
    next = "free some disk space, then try again"


class FileCannotOpen(FileError):
    why = "it cannot be opened or created"
    next = "check that its directory exists and is writable, or choose another file"


class FileReplaced(FileCannotOpen):
    """The file was removed or replaced after it was opened."""

    why = "it was removed or replaced while it was open"
    next = "restart this program"


class FileFailed(FileError):
    why = "reading or writing it failed: a quota, a file size limit, or a disk fault"
    next = "check the quota, 'ulimit -f' and the system log, then try again"


class FileDamaged(FileError):
    why = "the database is damaged, so it was not changed"
    next = "move the file away, run 'sqlite3 FILE .recover' on it, and start with a new file"
