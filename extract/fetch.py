"""Fetch files over the web, when a person asks for weights: the only module that uses the network.

A file is written into a part beside its place, and goes on where a broken connection or a killed process left it.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from io import FileIO
from pathlib import Path
from ssl import SSLCertVerificationError
from typing import IO
from urllib import request as web
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit

from extract.weights import Weights, WeightsError, pinned, sized

HUB = "https://huggingface.co"
TIMEOUT_S = 30.0
TRIES = 5
"""In a row, without a byte gained."""
PAUSE_S = 1.0
"""After the first of them; twice as long after each further one."""
CHUNK = 1 << 20
PASSING = frozenset({408, 416, 425, 429, 500, 502, 503, 504})
"""Answers that another try may change; after 416 it starts anew."""
ELSEWHERE = "make room there or make it writable, or say WEIGHTS_ROOT=<a folder that you may write to>"

Tell = Callable[[int, int | None], None]
"""Told how many bytes are here, of how many."""


class FetchError(WeightsError):
    """Weights that could not be fetched; the message says why and what to do."""


@dataclass(frozen=True)
class Answer:
    """What a server says of a file before its first byte."""

    tag: str = ""
    """Its strong ETag: for as long as this is the same, so are the bytes."""
    size: int | None = None
    commit: str = ""
    sha256: str = ""
    """The file's, as the hub states it."""


def hub() -> str:
    """Return where the hub is; `HF_ENDPOINT` names a mirror."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def address(weights: Weights, file: str) -> str:
    """Return where a file is fetched from; what was pinned once is asked for by its commit."""
    pin = pinned(weights)
    revision = (pin and pin.commit) or weights.revision or "main"
    template = weights.url or hub() + "/{id}/resolve/{revision}/{file}"
    return template.format(id=quote(weights.id), revision=quote(revision, safe=""), file=quote(file))


def size_at(url: str) -> int | None:
    """Ask for the size of a file by its first byte: addresses that were signed for GET answer no HEAD.

    A server that does not answer at all is an OSError.
    """
    try:
        with _opened(url, {"Range": "bytes=0-0"}) as (_, answer):
            return answer.size
    except (HTTPError, HTTPException, FetchError):
        return None  # whoever fetches it will say why


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of an error of the disk which file it hit and what to do."""
    try:
        yield
    except OSError as error:
        raise FetchError(f"cannot write {path}: {os.strerror(error.errno or 0)}; {ELSEWHERE}") from error


@dataclass(frozen=True)
class Download:
    """One file on its way into a part beside its place."""

    url: str
    part: Path
    tell: Tell
    size: int | None = None
    """What is expected, as is the commit, where something is."""
    commit: str = ""
    page: str = ""
    """Where its licence is accepted."""

    @property
    def note(self) -> Path:
        """Return where it is noted what the server said of the part."""
        return self.part.with_name(f"{self.part.name}.json")

    def bring(self) -> Answer:
        """Have all of it in the part; try again for as long as that gains something."""
        with writing(self.part):
            self.part.parent.mkdir(parents=True, exist_ok=True)
            file = self.part.open("ab", buffering=0)
        failures = 0
        with file:
            while True:
                before = _length(file)
                try:
                    return self._attempt(file)
                except (OSError, HTTPException) as error:  # of the network: the disk's are FetchErrors by now
                    failures = 1 if _length(file) > before else failures + 1
                    if _is_final(error) or failures == TRIES:
                        raise FetchError(self._why(error)) from None
                    if isinstance(error, HTTPError) and error.code == 416:
                        file.truncate(0)
                time.sleep(PAUSE_S * 2 ** (failures - 1))

    def forget(self) -> None:
        """Leave nothing of it beside its place."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def _attempt(self, file: FileIO) -> Answer:
        have, known = _length(file), self._noted()
        if have and have == known.size:
            return known  # only its renaming was left
        wanted = {"Range": f"bytes={have}-", "If-Range": known.tag} if have and known.tag else {}
        with _opened(self.url, wanted) as (reply, answer):
            self._check(answer, have)
            if reply.status != 206:
                have = 0
                self._begin(file, answer)
            elif not _goes_on(reply, answer, known, have):
                file.truncate(0)
                raise ConnectionError("the file changed on its server")
            have = self._copied(reply, file, have, answer.size)
        if answer.size not in (None, have):
            raise ConnectionError(f"the connection broke after {have} of {answer.size} bytes")
        with writing(self.part):
            os.fsync(file.fileno())
        return answer

    def _check(self, answer: Answer, have: int) -> None:
        """Refuse what cannot be the right file, or has no room, before it is fetched."""
        if answer.size is not None:
            if self.size not in (None, answer.size):
                raise FetchError(f"{self.url}: expected {self.size} bytes, the server has {answer.size}")
            free = shutil.disk_usage(self.part.parent).free + have
            if answer.size > free:
                raise FetchError(f"{self.part}: expected room for {sized(answer.size)}, got {sized(free)}; {ELSEWHERE}")
        if self.commit and answer.commit not in ("", self.commit):
            raise FetchError(f"{self.url}: expected revision {self.commit}, the hub answers with {answer.commit}")

    def _noted(self) -> Answer:
        try:
            return Answer(**json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Answer()

    def _begin(self, file: FileIO, answer: Answer) -> None:
        with writing(self.part):
            file.truncate(0)  # first, so that the note never speaks of other bytes
            self.note.write_text(json.dumps(asdict(answer)), encoding="utf-8")

    def _copied(self, reply: HTTPResponse, file: FileIO, have: int, total: int | None) -> int:
        self.tell(have, total)
        while have != total and (chunk := reply.read1(CHUNK)):
            with writing(self.part):
                _write(file, chunk)
            have += len(chunk)
            self.tell(have, total)
        return have

    def _why(self, error: Exception) -> str:
        if not isinstance(error, HTTPError):
            proxy = "; behind a proxy that reads along say SSL_CERT_FILE=<its certificate>" if _is_final(error) else ""
            said = str(error) or type(error).__name__
            return f"{self.url}: {said}{proxy}. What arrived is kept; the same command goes on from there"
        if error.code in (401, 403) and self.page:
            has = "not that account's" if os.environ.get("HF_TOKEN") else "not set"
            accept = f"accept the licence on {self.page} and say HF_TOKEN=<a token of that account>; it is {has}"
            return f"{self.url}: refused ({error.code}); {accept}"
        return f"{self.url}: {error.code} {error.msg}"


@contextmanager
def _opened(url: str, headers: Mapping[str, str]) -> Iterator[tuple[HTTPResponse, Answer]]:
    """Ask a server for a file; an address that is not of the web is not understood."""
    if urlsplit(url).scheme not in {"https", urlsplit(hub()).scheme} & {"https", "http"}:
        raise FetchError(f"expected an address that begins with https://, got {url}")
    redirects, opener = _Redirects(), web.OpenerDirector()
    others = web.ProxyHandler, web.HTTPHandler, web.HTTPSHandler, web.HTTPDefaultErrorHandler, web.HTTPErrorProcessor
    for handler in (redirects, *(kind() for kind in others)):
        opener.add_handler(handler)
    try:
        reply = opener.open(_asking(url, {"Accept-Encoding": "identity", **headers}), timeout=TIMEOUT_S)
    except HTTPError as error:
        error.close()
        raise
    with reply:
        if _is_hub(reply.url):
            redirects.said = reply.headers
        yield reply, _answer(reply, redirects.said)


class _Redirects(web.HTTPRedirectHandler):
    """Follows to addresses that are no less safe, and keeps what the hub says on the way."""

    def __init__(self) -> None:
        self.said = Message()

    def redirect_request(  # the name and the arguments are the library's
        self,
        req: web.Request,
        fp: IO[bytes],
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: Message,
        newurl: str,
    ) -> web.Request:
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            fp.close()
            raise FetchError(f"{req.full_url}: expected to be sent on to https://, got {newurl}")
        if _is_hub(req.full_url):
            self.said = headers
        return _asking(newurl, req.headers)


def _asking(url: str, headers: Mapping[str, str]) -> web.Request:
    """Return a request; the token is shown to the hub alone, and never in clear to another machine."""
    asking = web.Request(url, headers={"User-Agent": "affectline", **headers})  # noqa: S310 - _opened looks at it
    parts, token = urlsplit(url), os.environ.get("HF_TOKEN")
    safe = parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")
    if token and safe and _is_hub(url):
        asking.add_unredirected_header("Authorization", f"Bearer {token}")
    return asking


def _answer(reply: HTTPResponse, said: Message) -> Answer:
    ranged = re.fullmatch(r"bytes \d+-\d+/(\d+)", reply.headers.get("Content-Range", ""))
    size = ranged[1] if ranged else reply.headers.get("Content-Length")
    tag, stated = reply.headers.get("ETag", ""), said.get("X-Linked-ETag", "").strip('"')
    return Answer(
        tag if tag.startswith('"') else "",  # a weak one may stay the same when bytes change
        int(size) if size else None,
        said.get("X-Repo-Commit", ""),
        stated if re.fullmatch("[0-9a-f]{64}", stated) else "",
    )


def _goes_on(reply: HTTPResponse, answer: Answer, known: Answer, have: int) -> bool:
    starts = reply.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    return starts and (answer.tag, answer.size) == (known.tag, known.size)


def _is_hub(url: str) -> bool:
    return urlsplit(url)[:2] == urlsplit(hub())[:2]


def _is_final(error: Exception) -> bool:
    """Return whether another try would be answered in the same way."""
    if isinstance(error, HTTPError):
        return error.code not in PASSING
    return isinstance(error, URLError) and isinstance(error.reason, SSLCertVerificationError)


def _write(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:  # a disk that fills up takes some of it first
        left = left[file.write(left) :]


def _length(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size
