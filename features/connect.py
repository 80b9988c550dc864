"""Lines to other places: machines reached by ssh, S3-compatible stores, web servers.

fsspec's filesystems hold the connections; they are imported here alone, and only when a place is asked for something.
"""

import asyncio
import contextlib
import inspect
import re
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from features.disk import as_the_group
from features.roots import CacheError

BLOCK_BYTES = 8 << 20
WAIT_S = 60
"""For a server that says nothing."""
_CONNECT_S = 20
_ADDRESS = re.compile(
    r"(ssh|sftp|s3|https?)://(?:([^/?#\s]*)@)?(\w[\w.-]*|\[[\w:.%]+\])(?::(\d{1,5}))?(/[^?#\0\n]*)?", re.ASCII
)
T = TypeVar("T")


@dataclass(frozen=True)
class Address:
    """Where a cache lies, taken apart."""

    scheme: str
    login: str
    """USER or USER:PASSWORD, as it was written."""
    host: str
    port: int | None
    path: str

    @property
    def user(self) -> str:
        """Return who logs in there."""
        return self.login.partition(":")[0]

    @property
    def shown(self) -> str:
        """Return it without what nobody else should see; of the web's even the user may be a token."""
        user = f"{self.user}@" if self.user and self.scheme in {"ssh", "sftp"} else ""
        return f"{self.scheme}://{user}{self.host}{f':{self.port}' if self.port else ''}{self.path}"

    @property
    def shell(self) -> str:
        """Return the command that logs in there."""
        return f"ssh {f'-p {self.port} ' if self.port else ''}{f'{self.user}@' if self.user else ''}{self.host}"


def parsed(address: str) -> Address:
    """Take an address apart; one that leads nowhere is refused, without showing a password that it may hold."""
    found = _ADDRESS.fullmatch(address)
    if not found:
        shown = re.sub(r"//.*@", "//", re.sub(r"[?#].*", "?...", address, flags=re.DOTALL), flags=re.DOTALL)
        raise CacheError(f"expected ssh://USER@HOST/PATH, s3://BUCKET/PREFIX or https://HOST/PATH, got {shown!r}")
    scheme, login, host, port, path = found.groups(default="")
    if scheme == "s3" and (login or port):
        raise CacheError(
            "expected s3://BUCKET/PREFIX and nothing else in the address; keys belong into AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY or ~/.aws, a store that is not Amazon's into AWS_ENDPOINT_URL"
        )
    if scheme in {"ssh", "sftp"} and not path:
        raise CacheError(f"expected {scheme}://USER@HOST/PATH, got no path; /~/PATH is below your home there")
    return Address(scheme, login, host, int(port) if port else None, path.rstrip("/"))


@dataclass(frozen=True)
class File:
    """A file at a place, open for reading."""

    _read: Callable[[int], Coroutine[Any, Any, bytes]]
    _close: Callable[[], object]

    async def read(self, size: int) -> bytes:
        """Return that many bytes, or as many as there are left."""
        parts = []
        while size > 0 and (part := await self._read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    async def close(self) -> None:
        """Let go of it; what has been read is not worse for an error here."""
        with contextlib.suppress(Exception):
            closing = self._close()
            if inspect.isawaitable(closing):
                await closing


class Line(Protocol):
    """A line to a place; a filesystem of fsspec holds it."""

    fs: Any

    def full(self, path: str) -> str:
        """Return what the filesystem calls a path of the cache."""

    async def open(self, path: str) -> File:
        """Open a file for reading."""

    async def put(self, data: Path, path: str) -> None:
        """Copy a file there, visible only when whole."""


def connect(at: Address) -> Line:
    """Return a new line to a place."""
    kinds: dict[str, Callable[[Address], Line]] = {"s3": S3, "http": Web, "https": Web}
    try:
        return kinds.get(at.scheme, Ssh)(at)
    except OSError as error:
        if error.filename is None:
            raise
        # A key or a certificate of this machine: at the place nothing is missing.
        raise CacheError(f"{at.shown}: cannot read {error.filename}: {error.strerror}; see ~/.ssh or ~/.aws") from None


def run(line: Line, work: Coroutine[Any, Any, T]) -> T:
    """Do something in the thread of fsspec's connections, and wait for it; several threads may."""
    future = asyncio.run_coroutine_threadsafe(work, line.fs.loop)
    try:
        return future.result()
    finally:
        future.cancel()


class Ssh:
    """A machine reached by ssh; as for `ssh` itself, known_hosts, ~/.ssh/config, keys and the agent count."""

    def __init__(self, at: Address) -> None:
        from sshfs import SSHFileSystem
        from yarl import URL

        said = {"port": at.port, "username": at.user, "password": URL(f"ssh://{at.login}@host").password}
        names = {"path_errors": "backslashreplace"}  # one name that is no text must not hide the others
        # fsspec's own sftp takes any host key, and so does sshfs unless it is told: () says "as ssh does" to asyncssh.
        self.fs = SSHFileSystem(
            at.host.strip("[]"),
            known_hosts=(),
            keepalive_interval=WAIT_S / 4,
            timeout=WAIT_S,
            sftp_client_kwargs=names,
            skip_instance_cache=True,
            **{name: value for name, value in said.items() if value},
        )
        self._top = f".{at.path[2:]}" if f"{at.path}/".startswith("/~/") else at.path
        self._sftp = run(self, self._channel(names))

    async def _channel(self, names: dict[str, str]) -> Any:
        return await self.fs.client.start_sftp_client(**names)

    def full(self, path: str) -> str:
        """Return a path there."""
        return f"{self._top}/{path}".rstrip("/") or "/"

    async def open(self, path: str) -> File:
        """Open a file for reading."""
        file = await self._sftp.open(self.full(path), "rb")
        return File(file.read, file.close)

    async def put(self, data: Path, path: str) -> None:
        """Write beside under a hidden name, as `disk.beside` does, then rename."""
        folder, _, name = self.full(path).rpartition("/")
        temporary = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            await self._write(data, temporary)
            await self._rename(temporary, f"{folder}/{name}")
        except BaseException:
            with contextlib.suppress(Exception):  # what went wrong before says more; gc there removes what is left
                await self._sftp.remove(temporary)
            raise

    async def _write(self, data: Path, path: str) -> None:
        from asyncssh import SFTPNoSuchFile, SFTPOpUnsupported

        try:
            file = await self._sftp.open(path, "wb")
        except SFTPNoSuchFile:
            await self._make_folder(PurePosixPath(path).parent)
            file = await self._sftp.open(path, "wb")
        async with file:
            with data.open("rb") as source:
                while block := await asyncio.to_thread(source.read, BLOCK_BYTES):
                    await file.write(block)
            with contextlib.suppress(SFTPOpUnsupported):
                await file.fsync()
        await self._let_the_group(PurePosixPath(path))

    async def _make_folder(self, folder: PurePosixPath) -> None:
        from asyncssh import SFTPError

        for level in reversed([folder, *folder.parents]):
            if not await self._sftp.isdir(level):
                try:
                    await self._sftp.mkdir(level)
                except SFTPError:  # somebody else may have made it meanwhile
                    if not await self._sftp.isdir(level):
                        raise
                await self._let_the_group(level)

    async def _let_the_group(self, path: PurePosixPath) -> None:
        """Do as `disk.let_the_group` does."""
        from asyncssh import SFTPError

        own = (await self._sftp.stat(path)).permissions or 0
        above = (await self._sftp.stat(path.parent)).permissions or 0
        with contextlib.suppress(SFTPError):
            await self._sftp.chmod(path, as_the_group(own, above))

    async def _rename(self, temporary: str, path: str) -> None:
        from asyncssh import SFTPNoSuchFile, SFTPOpUnsupported

        try:
            await self._sftp.posix_rename(temporary, path)
        except SFTPOpUnsupported:  # a server that is not OpenSSH's; its own rename refuses where something is
            with contextlib.suppress(SFTPNoSuchFile):
                await self._sftp.remove(path)
            await self._sftp.rename(temporary, path)


class S3:
    """A bucket of an S3-compatible store; keys, region and endpoint come from the environment and ~/.aws."""

    def __init__(self, at: Address) -> None:
        from s3fs import S3FileSystem

        self.fs = S3FileSystem(
            config_kwargs={"connect_timeout": _CONNECT_S, "read_timeout": WAIT_S, "max_pool_connections": 32},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        self.fs.retries = 1  # botocore tries each request again by itself, as AWS_MAX_ATTEMPTS says
        self._top = at.host + at.path
        run(self, self.fs.set_session())

    def full(self, path: str) -> str:
        """Return bucket and key."""
        return f"{self._top}/{path}".rstrip("/")

    async def open(self, path: str) -> File:
        """Open an object for reading."""
        bucket, _, key = self.full(path).partition("/")
        answer = await self.fs._call_s3("get_object", Bucket=bucket, Key=key)  # noqa: SLF001 - its name for callers that await
        return File(answer["Body"].read, answer["Body"].close)

    async def put(self, data: Path, path: str) -> None:
        """Put an object, in parts where it is large; either way the store shows it when it has all of it."""
        await self.fs._put_file(str(data), self.full(path), chunksize=2 * BLOCK_BYTES, max_concurrency=4)  # noqa: SLF001 - as above


class Web:
    """A web server to read from; proxies and ~/.netrc count."""

    def __init__(self, at: Address) -> None:
        from aiohttp import ClientTimeout
        from fsspec.implementations.http import HTTPFileSystem
        from yarl import URL

        session = {
            "auto_decompress": False,
            "headers": {"Accept-Encoding": "identity"},
            "read_bufsize": 1 << 20,
            "timeout": ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=WAIT_S),
            "trust_env": True,
        }
        self.fs = HTTPFileSystem(client_kwargs=session, skip_instance_cache=True)
        self._top = URL(at.shown.replace("//", f"//{at.login}@", 1) if at.login else at.shown)

    def full(self, path: str) -> str:
        """Return the address of a file."""
        return str(self._top.joinpath(*path.split("/")))

    async def open(self, path: str) -> File:
        """Ask for a file; aiohttp follows to web addresses alone, and never takes a login along."""
        session = await self.fs.set_session()
        answer = await session.get(self.fs.encode_url(self.full(path)))
        if self._top.scheme == "https" != answer.url.scheme:
            answer.close()
            raise CacheError(f"{self._top.host}: expected to be sent on to https://, got {answer.url.origin()}")
        answer.raise_for_status()
        return File(answer.content.read, answer.close)

    async def put(self, data: Path, path: str) -> None:  # noqa: ARG002 - every line's contract
        """Refuse."""
        raise CacheError("a web server can only be read; push to a folder, ssh://HOST/PATH or s3://BUCKET/PREFIX")
