"""S3's refusals explained: what happened and what to do, from error codes only.

The servers' and the SDK's own texts are left out: they may contain keys, signatures or addresses
with credentials.
"""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from pipeline.storage.store import MissingKeyError, StorageError

_CREDENTIALS = "check the credentials of boto3's standard configuration (AWS_PROFILE, ~/.aws)"
_CONFIGURATION = "the store's configuration cannot be used; check AWS_* and ~/.aws/config"
_REGION = "the bucket lies in another region; set AWS_REGION to it"
_ADVICE = {
    "RequestTimeTooSkewed": "this machine's clock differs too much from the server's; set the "
    "clocks right, and start the same command again",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "NoSuchBucket": "the bucket does not exist; create it, or correct dataset.out",
    "InvalidAccessKeyId": f"the server does not know the access key; {_CREDENTIALS}",
    "SignatureDoesNotMatch": f"access key or secret key is wrong; {_CREDENTIALS}",
    "ExpiredToken": f"the credentials have expired; {_CREDENTIALS}",
    "InvalidToken": f"the session token is not valid; {_CREDENTIALS}",
    "NotImplemented": "the server does not support this request; if that is the condition "
    "If-None-Match, say --single-writer and start only one writer",
    "EntityTooLarge": "the object is too large for the server; choose a smaller shard_size",
    "InsufficientStorage": "the server has no space left",
    "QuotaExceeded": "the quota is used up",
    "ServiceUnavailable": "the server is unavailable, even after retries: it is overloaded or has "
    "no space left; ask its operator, then start the same command again",
    "SlowDown": "the server asks to slow down, even after retries; start the same command later",
}
# HEAD has no body that would say more.
_ADVICE_BY_STATUS = {
    301: _REGION,
    400: "refused without a reason, as servers do where credentials have expired or the bucket "
    f"lies in another region; {_CREDENTIALS}, and AWS_REGION",
    401: f"not authorised; {_CREDENTIALS}",
    403: f"not allowed; {_CREDENTIALS} and the bucket's policy",
    507: "the server has no space left",
}


def status_of(error: ClientError) -> int:
    """Return the HTTP status of a server's refusal, 0 if it gave none."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def explain_client_error(error: ClientError, action: str, place: str) -> StorageError:
    """Explain a server's refusal."""
    code, status = error.response.get("Error", {}).get("Code", ""), status_of(error)
    # HEAD has no body: its 404 does not distinguish a missing bucket from a missing object.
    if code == "NoSuchKey" or (code == "404" and status == 404):
        return MissingKeyError(f"{place} does not exist")
    known = _ADVICE.get(code) or _ADVICE_BY_STATUS.get(status)
    advice = known or "start the command again; if that does not help, ask the store's operator"
    return StorageError(f"cannot {action} {place}: {advice} (the server answered {status} {code})")


def explain_local_error(error: BotoCoreError, action: str, place: str) -> StorageError:
    """Explain a failure on this side of the network."""
    kind = type(error).__name__
    if isinstance(error, SSOError | TokenRetrievalError):
        advice = "nobody is signed in, or no longer; sign in again by `aws sso login`"
    elif isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        advice = f"no usable credentials; {_CREDENTIALS}"
    elif isinstance(error, EndpointConnectionError | ConnectTimeoutError):
        advice = "the server cannot be reached; check AWS_ENDPOINT_URL and the network"
    elif isinstance(error, HTTPClientError):
        advice = "the connection broke, even after retries; check the network"
    else:
        advice = _CONFIGURATION
    return StorageError(f"cannot {action} {place}: {advice} ({kind})")


def explain_setting_error(error: ValueError, place: str) -> StorageError:
    """Explain a setting that the SDK cannot read, without showing its value."""
    if str(error).startswith("Invalid endpoint"):
        advice = "AWS_ENDPOINT_URL (or endpoint_url in ~/.aws/config) must read http://host:port"
    else:
        advice = _CONFIGURATION
    return StorageError(f"cannot open {place}: {advice}")
