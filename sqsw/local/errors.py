"""The errors of the embedded SQS: those that SQS answers with, and those of its file.

A subclass of :class:`ServiceError` is named for the *shape* that SQS names in ``__type``; botocore
finds the exception class by it. ``query_code`` is what callers read as ``Error.Code``; it travels
in the header ``x-amzn-query-error``.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
"""

from typing import ClassVar


class ServiceError(Exception):
    """An error that SQS answers with."""

    query_code: ClassVar[str]
    status: ClassVar[int] = 400
    #: used where the call gives no text of its own
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
        """How a batch answers an entry that was refused."""
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
    """Not in the model, so that callers get a plain ``ClientError``."""

    query_code = "InvalidParameterValue"


class MissingRequiredParameterException(ServiceError):
    """Not in the model, so that callers get a plain ``ClientError``."""

    query_code = "MissingParameter"

    def __init__(self, parameter: str) -> None:
        super().__init__(f"The request must contain the parameter {parameter}.")


class UnknownOperationException(ServiceError):
    query_code = "UnknownOperationException"


class SerializationException(ServiceError):
    """A parameter of a type that the model does not allow; only raw HTTP clients get that far."""

    query_code = "SerializationException"


class InvalidAction(ServiceError):
    """How the query protocol says that there is no such operation."""

    query_code = "InvalidAction"


class RequestEntityTooLarge(ServiceError):
    query_code = "RequestEntityTooLarge"
    status = 413


class AccessDeniedException(ServiceError):
    """A request that a web page can have sent. SQS itself has no such rule."""

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
    """A fault of ours: SDKs try again."""

    query_code = "InternalFailure"
    status = 500
    default_text = "The request processing has failed because of an unknown error."


class ServiceUnavailable(ServiceError):
    """The file is held by somebody else for now: SDKs try again."""

    query_code = "ServiceUnavailable"
    status = 503
    default_text = "The request has failed due to a temporary failure of the server."


class FileError(Exception):
    """The file of the embedded SQS cannot be used; nothing in it was changed."""

    #: the cause, and what helps, in words for people
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
    why = "it is not a database of sqsw; it was left as it is"
    next = "name another file"


class FileTooNew(FileError):
    why = "a later version of sqsw wrote it"
    next = "upgrade sqsw, or name another file"


class FileReadOnly(FileError):
    why = "the file or its directory cannot be written"
    next = "change its permissions, or name another file"


class FileFull(FileError):
    why = "its disk is full; this call changed nothing, what was answered before is kept"
    next = "make room, then try again"


class FileCannotOpen(FileError):
    why = "it cannot be opened or made"
    next = "see that its directory exists and can be written, or name another file"


class FileReplaced(FileCannotOpen):
    """The file is not the one that was opened: it was removed, or another was put in its place."""

    why = "it was removed or replaced while it was open"
    next = "start this program again"


class FileFailed(FileError):
    why = "its disk refuses: a quota, a limit on the size of files, or a fault"
    next = "see the quota, 'ulimit -f' and the log of the system, then try again"


class FileDamaged(FileError):
    why = "the database is damaged; it was left as it is"
    next = "put the file aside for 'sqlite3 FILE .recover', and begin with a new one"
