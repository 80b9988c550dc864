"""What goes wrong at another place, in words: where, what it means, what to do; and whether to try again."""

from dataclasses import dataclass

from features.connect import Address
from features.roots import CacheError
from features.words import plain

MOST_WORDS = 300


class RemoteError(CacheError):
    """What a place could not do: because nothing is there, in a way that may pass by itself, or for good."""

    def __init__(self, message: str, cause: "_Cause") -> None:
        super().__init__(message)
        self.absent, self.passing = cause.absent, cause.passing


@dataclass(frozen=True)
class _Cause:
    """What errors of the libraries mean; they are known by name, so that none of them needs to be installed."""

    names: str
    cure: str
    words: str = ""
    """Instead of the error's own."""
    absent: bool = False
    passing: bool = False


_CAUSES = (
    _Cause("ModuleNotFoundError", "it comes with: pip install '.[share]' (or make setup)"),
    _Cause("NoSuchBucket", "make it first, or see how it is spelt", "there is no such bucket"),
    _Cause(
        "FileNotFoundError SFTPNoSuchFile SFTPNoSuchPath http404",
        "if somebody pushes there right now, try again; else push to that place again",
        "expected a file, found none",
        absent=True,
    ),
    _Cause(
        "HostKeyNotVerifiable",
        "if you never were there, say once: SHELL (and compare what it shows; if it asks nothing, copy the host's line "
        "of /etc/ssh/ssh_known_hosts to ~/.ssh/known_hosts). If you were, the machine was set up anew or another one "
        "answers in its place: ask whoever runs it",
        "expected a host key that your known_hosts holds, got another",
    ),
    _Cause(
        "ConnectionLost SFTPConnectionLost SFTPNoConnection ConnectionResetError BrokenPipeError "
        "ServerDisconnectedError ClientPayloadError ResponseStreamingError IncompleteReadError "
        "http408 http425 http429 http500 http502 http503 http504",
        "the same command goes on from there",
        passing=True,
    ),
    _Cause(
        "gaierror", "see how the host is spelt, and whether this machine is in its network", "no such host is known"
    ),
    _Cause("SSLError ClientSSLError", "behind a proxy that reads along say SSL_CERT_FILE=<its certificate>"),
    _Cause(
        "ConnectionRefusedError ClientConnectorError EndpointConnectionError",
        "see how host and port are spelt, and whether the server runs",
    ),
    _Cause("TimeoutError ConnectTimeoutError ReadTimeoutError", "try again later", "no answer"),
    _Cause("PermissionDenied", "see that this logs in without a password: SHELL (a key with a passphrase: ssh-add)"),
    _Cause("SFTPPermissionDenied", "ask whoever owns that folder", "no permission"),
    _Cause("http401 http403", "a login belongs into ~/.netrc: machine HOST login USER password PASSWORD"),
    _Cause(
        "NoCredentialsError PermissionError", "see AWS_PROFILE, AWS_ACCESS_KEY_ID or ~/.aws, and the bucket's policy"
    ),
    _Cause("SFTPNoSpaceOnFilesystem SFTPQuotaExceeded", "make room there"),
)
_UNKNOWN = _Cause("", "see whether that place can be reached otherwise, and try again")


def absent(error: Exception) -> bool:
    """Return whether nothing is there; a whole bucket that is not there is another matter."""
    return _cause(error).absent


def denied(error: Exception) -> bool:
    """Return whether it is not ours to see."""
    return bool(_names(error) & {"SFTPPermissionDenied", "PermissionError"})


def failed(at: Address, path: str, error: Exception) -> RemoteError:
    """Say of an error where it happened, what it means and what to do."""
    cause = _cause(error)
    missing = isinstance(error, ModuleNotFoundError) and f"needs {error.name}, which is not installed"
    words = missing or cause.words or _words(error)
    where = f"{at.shown}/{path}".rstrip("/")
    return RemoteError(f"{where}: {words}; {cause.cure.replace('SHELL', at.shell).replace('HOST', at.host)}", cause)


def _cause(error: Exception) -> _Cause:
    names = _names(error)
    return next((cause for cause in _CAUSES if names & set(cause.names.split())), _UNKNOWN)


def _names(error: BaseException | None) -> set[str]:
    names = set()
    while error is not None:
        names |= {kind.__name__ for kind in type(error).__mro__} | {f"http{getattr(error, 'status', '')}"}
        error = error.__cause__
    return names


def _words(error: Exception) -> str:
    """Return an error's own words, without what a server could do to a terminal with them."""
    status = getattr(error, "status", None)
    words = f"answered {status} {getattr(error, 'message', '')}" if status else str(error) or type(error).__name__
    return plain(words, MOST_WORDS).replace("\n", " ").strip()
