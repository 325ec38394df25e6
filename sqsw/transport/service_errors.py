"""Convert botocore's errors into those of :mod:`sqsw.core.errors`."""

import re
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import (
    AccessDenied,
    Busy,
    ConnectionFailed,
    MessageRefused,
    NoRegion,
    QueueNotFound,
    SettingsError,
    SQSError,
    UnexpectedAnswer,
)
from sqsw.core.sendable import bad_region, not_sendable
from sqsw.core.wording import text_of, without_credentials, without_password
from sqsw.transport.names import is_fifo

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

#: maximum characters of a service's error text that an error shows
_REASON_LENGTH = 300

#: how the local SQS server starts its advice when it refuses a host name; see web/request_guard.py
_ADVICE = "If the name is yours, "

# AWS's text: "… is not authorized to perform: sqs:SendMessage on resource: arn:aws:… because".
_NOT_AUTHORIZED = re.compile(r"not authorized to perform: (\S+) on resource: (\S+)", re.IGNORECASE)

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_WRONG_KEY = {
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_ACCESS = {
    "AccessDenied",
    "AccessDeniedException",
    "InvalidSecurity",
    "MissingAuthenticationToken",
    "KmsAccessDenied",
    "KMS.AccessDeniedException",
}
_NOT_FOUND = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
_THROTTLED = {
    "KMS.ThrottlingException",
    "KmsThrottled",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
}


class service_errors:
    """A context manager that converts botocore's errors into ours.

    It is a class because every call enters one, and a generator takes three times as long.

    Parameters
    ----------
    doing :
        The action, worded to follow "cannot": ``receive from 'emails'``.
    queue_name :
        The queue of the action.
    """

    __slots__ = ("_doing", "_queue_name")

    def __init__(self, doing: str, queue_name: str | None = None) -> None:
        self._doing, self._queue_name = doing, queue_name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, SQSError):
            _tell_error(error, self._doing, self._queue_name)


def _tell_error(error: Exception, doing: str, queue_name: str | None) -> None:
    """Raise our error for a botocore error; return for any other error."""
    # Imported here, so only a failure pays for the import.
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    if isinstance(error, ClientError | BotoCoreError):
        if isinstance(error, ClientError):
            told = _refused(error, doing, queue_name)
        else:
            told = _not_reached(error, doing)
        # AWS and the HTTP client can quote credentials, which a traceback would show.
        text = text_of(error)
        is_quoted = _is_local_refusal(error) or without_credentials(text) != text
        raise told from None if is_quoted else error
    if isinstance(error, ResponseParserError):  # from other services; for SQS, see answers.py
        raise UnexpectedAnswer(
            f"cannot {doing}: the answer is not readable",
            why=without_credentials(str(error))[:_REASON_LENGTH],
            next="check whether a proxy or a captive portal answers instead of AWS",
        ) from error
    if isinstance(error, UnicodeError):  # its repr shows the value, which can be a credential
        raise not_sendable(doing) from None
    if isinstance(error, RecursionError):
        # Raised by the parser. SQS does not send such answers.
        raise SQSError(f"cannot {doing}", why="the answer is nested too deeply") from error


def is_missing_queue(error: Exception) -> bool:
    """Return whether SQS answered that the queue does not exist."""
    from botocore.exceptions import ClientError

    return isinstance(error, ClientError) and (
        error.response.get("Error", {}).get("Code") in _NOT_FOUND
    )


def with_place(error: QueueNotFound, session: Any, similar: str | None) -> QueueNotFound:
    """Add a suggested name to the error and, for the embedded SQS, its file and advice."""
    message, cure = error.message, f"did you mean {similar!r}?" if similar else None
    place = getattr(session, "location", None)
    if isinstance(place, str):  # mention a new file: creating it was probably a mistake
        message += f" in {place}" + (" (new, empty)" if getattr(session, "is_new", False) else "")
        if not error.account:  # we cannot create a queue in another account
            kind = "fifo" if is_fifo(error.queue or "") else "standard"
            cure = cure or f"create it: create_{kind}_queue(env, {error.queue!r})"
    return QueueNotFound(
        message,
        queue=error.queue,
        location=place,
        account=error.account,
        similar=similar,
        why=error.why,
        next=cure,
        code=error.code,
    )


def misses_deduplication_id(reason: str) -> bool:
    """Return whether SQS refused a message to a FIFO queue because it had no deduplication ID."""
    return "ContentBasedDeduplication" in reason and "MessageDeduplicationId" in reason


#: what to do if a FIFO queue needs deduplication IDs
HOW_TO_DEDUPLICATE = (
    "give each message one: _deduplication_id= for delay() and add_job(), deduplication_id= "
    "for add_raw_job(); or turn on ContentBasedDeduplication of the queue"
)


def _refused(error: "ClientError", doing: str, queue_name: str | None) -> SQSError:
    answer = error.response.get("Error", {})
    code = answer.get("Code", "Unknown")
    short = code.rpartition(".")[2]
    # If the answer does not come from SQS, the message can be a whole page.
    lines = str(answer.get("Message") or "").strip().splitlines() or ["no reason given"]
    if lines[0].lower().startswith(("<!doctype html", "<html")):
        return SQSError(
            f"cannot {doing}: the answer is an HTML page, not an SQS answer",
            reason="not_sqs",
            why=f"the endpoint is not SQS, or does not support this operation [{short}]",
            next="check the endpoint (AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL)",
            code=short,
        )
    line = without_credentials(lines[0])
    reason = f"{line[:_REASON_LENGTH]} [{short[:_REASON_LENGTH]}]"
    if code in _NOT_FOUND:
        message = f"no queue named {queue_name!r}"
        return QueueNotFound(message, queue=queue_name, why=reason, code=short)
    if code in _EXPIRED:
        return AccessDenied(
            "the AWS credentials have expired",
            reason="expired",
            why=reason,
            next="log in again (for example: aws sso login)",
            code=short,
        )
    if code in _WRONG_KEY:
        return AccessDenied(
            "AWS rejected the credentials",
            reason="wrong_key",
            why=reason,
            next="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile, to a valid key",
            code=short,
        )
    if code in _ACCESS or code.startswith("AccessDenied"):
        what_next = "check which credentials are in use and what their policy allows"
        why, is_advised, advice = line.partition(_ADVICE)
        if is_advised:
            reason = f"{why.rstrip()[:_REASON_LENGTH]} [{short}]"
            what_next = f"if the name is yours, {advice[:_REASON_LENGTH]}"
        denied = _NOT_AUTHORIZED.search(reason)
        action, resource = (None, None) if denied is None else denied.groups()
        return AccessDenied(
            f"not allowed to {doing}",
            reason="denied",
            action=action,
            resource=resource,
            why=reason,
            next=what_next,
            code=short,
        )
    if misses_deduplication_id(reason):
        return MessageRefused(
            f"{queue_name!r} needs a deduplication id",
            reason="needs_deduplication_id",
            queue=queue_name,
            why=reason,
            next=HOW_TO_DEDUPLICATE,
            code=short,
        )
    if short == "QueueDeletedRecently":
        return Busy(
            f"the name {queue_name!r} cannot be used yet",
            why=f"a queue with this name was deleted less than 60 seconds ago [{short}]",
            next="wait a minute, then try again",
            code=short,
        )
    if short == "PurgeQueueInProgress":
        return Busy(
            f"{queue_name!r} is already being purged",
            why=f"SQS allows one purge per queue every 60 seconds [{short}]",
            next="wait a minute; the purge can also delete messages sent during that minute",
            code=short,
        )
    if code in _THROTTLED:
        return Busy(
            f"cannot {doing}: SQS is throttling requests",
            why=reason,
            next="try again later, or send fewer requests",
            code=short,
        )
    return SQSError(f"cannot {doing}", why=reason, code=short)


def _not_reached(error: "BotoCoreError", doing: str) -> SQSError:
    from botocore import exceptions

    reason = without_credentials(text_of(error))
    if _is_local_refusal(error):
        return not_sendable(doing)
    if isinstance(error, exceptions.InvalidRegionError):
        return bad_region(str(error.kwargs["region_name"]))
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return AccessDenied(
            "no AWS credentials found",
            reason="no_credentials",
            why="the environment, the AWS profile, and container and instance roles have none",
            next="run 'aws configure', set AWS_PROFILE, or set SQSW_LOCAL=1 to work without AWS",
        )
    if isinstance(
        error,
        exceptions.CredentialRetrievalError | exceptions.SSOError | exceptions.TokenRetrievalError,
    ):
        return AccessDenied(
            "the AWS credentials cannot be fetched",
            reason="not_fetched",
            why=reason,
            next="log in again (for example: aws sso login)",
        )
    if isinstance(error, exceptions.NoRegionError):
        return NoRegion(
            "no AWS region set",
            why="AWS_REGION, AWS_DEFAULT_REGION and the AWS profile do not set one",
            next="set AWS_REGION, pass SQSEnv(region=…), or set SQSW_LOCAL=1 to work without AWS",
        )
    if isinstance(error, exceptions.ProfileNotFound):
        return SettingsError(
            f"no AWS profile named {error.kwargs['profile']!r}",
            why="neither the AWS config file nor the credentials file has it",
            next="run 'aws configure list-profiles' to list the profiles",
        )
    if isinstance(error, exceptions.ParamValidationError):
        return SQSError(f"cannot {doing}", why=reason, code="ParamValidation")
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        details = getattr(error, "kwargs", {})
        url = without_password(details["endpoint_url"]) if details.get("endpoint_url") else None
        cause = getattr(details.get("error"), "__cause__", None)
        is_refused = isinstance(cause, ConnectionRefusedError)
        is_sent = isinstance(error, exceptions.HTTPClientError)  # it had a connection
        return ConnectionFailed(
            f"cannot connect to {url}" if url else f"cannot {doing}",
            reason="refused" if is_refused else "no_answer" if is_sent else None,
            url=url,
            why=reason,
            next="check the endpoint and the network",
        )
    return SQSError(f"cannot {doing}", why=reason)


def _is_local_refusal(error: "BotoCoreError | ClientError") -> bool:
    """Return whether the HTTP client refused to send the request because of a header or URL."""
    from http.client import InvalidURL

    from botocore.exceptions import HTTPClientError

    if type(error) is not HTTPClientError:  # botocore raises this class for unknown errors
        return False
    return isinstance(error.kwargs.get("error"), ValueError | TypeError | InvalidURL)
