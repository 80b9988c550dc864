"""Real servers on this machine for caches at other places: ssh with SFTP, an S3 store, the web; each can misbehave."""

import asyncio
import contextlib
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncssh
import pytest

HOST = "127.0.0.1"
ENDLESS = 4 << 30
"""As many bytes as nobody expects, if they are few enough for a test that fails."""


@dataclass
class Ssh:
    """A running ssh server, and the home of somebody who may log in there."""

    root: Path
    home: Path
    port: int = 0
    cuts: list[int] = field(default_factory=list)
    """After how many written bytes the connection breaks, once each."""
    plain: bool = False
    """Whether it knows no more than the standard's own rename and no flushing."""
    closed: set[str] = field(default_factory=set)
    """Folders that the user may not look into."""
    written: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self):
        """Return where its folder is."""
        return f"ssh://tester@{HOST}:{self.port}/cache"

    def know(self, key, home=None):
        """Note a host key as this server's."""
        name = f"[{HOST}]:{self.port}"
        Path(home or self.home, ".ssh/known_hosts").write_bytes(f"{name} ".encode() + key.export_public_key())


class _Sftp(asyncssh.SFTPServer):
    """Serves one folder and nothing above it."""

    def __init__(self, chan, server):
        super().__init__(chan, chroot=str(server.root).encode())
        self.server, self.line = server, chan.get_connection()

    def scandir(self, path):
        """List a folder that is not closed."""
        if path.decode().rpartition("/")[2] in self.server.closed:
            raise asyncssh.SFTPPermissionDenied("closed")
        return super().scandir(path)

    def write(self, file_obj, offset, data):
        """Break the connection where that is wanted."""
        self.server.written.set()
        if self.server.cuts and offset + len(data) > self.server.cuts[0]:
            data = data[: max(self.server.cuts.pop(0) - offset, 0)]
            self.line.abort()
        return super().write(file_obj, offset, data)

    def posix_rename(self, oldpath, newpath):
        """Replace, as OpenSSH does."""
        self._only_if_not_plain()
        return super().posix_rename(oldpath, newpath)

    def fsync(self, file_obj):
        """Flush, as OpenSSH does."""
        self._only_if_not_plain()
        return super().fsync(file_obj)

    def rename(self, oldpath, newpath):
        """Refuse where something is, as the standard says."""
        if Path(self.map_path(newpath).decode()).exists():
            raise asyncssh.SFTPFailure("something is there")
        return super().rename(oldpath, newpath)

    def _only_if_not_plain(self):
        if self.server.plain:
            raise asyncssh.SFTPOpUnsupported("not here")


@contextlib.contextmanager
def ssh_server(root, home, **how):
    """Serve `root` by ssh; `home` is given a key that may log in and a note of the server's own key."""
    host_key, key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    server = Ssh(root, home, **how)
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    key.write_private_key(str(home / ".ssh/id_ed25519"))
    allowed = asyncssh.import_authorized_keys(key.export_public_key().decode())
    lines = []

    async def serve():
        listener = await asyncssh.listen(
            HOST,
            server.port,
            server_host_keys=[host_key],
            authorized_client_keys=allowed,
            sftp_factory=partial(_Sftp, server=server),
            acceptor=lines.append,
        )
        server.port = listener.get_port()
        return listener

    async def stop(listener):
        listener.close()
        for line in lines:
            line.abort()
            await line.wait_closed()

    with _loop() as run:
        listener = run(serve())
        server.know(host_key)
        try:
            yield server
        finally:
            run(stop(listener))


@contextlib.contextmanager
def _loop():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def at_home(home):
    """Be the user whose home that is: her keys, her known hosts, no agent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        yield


@contextlib.contextmanager
def s3_server(bucket="lab"):
    """Start a store with an empty bucket, and set the environment of whoever may use it; return its endpoint."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    said = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret words",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in said.items():
                patch.setenv(name, value)
            boto3.client("s3").create_bucket(Bucket=bucket)
            yield endpoint
    finally:
        server.stop()


class Web(ThreadingHTTPServer):
    """A web server of a folder, whose faults are told to it."""

    daemon_threads = True

    def __init__(self, root, certificate=None):
        super().__init__((HOST, 0), partial(_Handler, directory=str(root)))
        self.scheme = "https" if certificate else "http"
        self.answers, self.cuts, self.says, self.asked, self.poured = [], [], {}, [], 0
        self.endless = False
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def address(self):
        """Return where it is."""
        return f"{self.scheme}://localhost:{self.server_port}"

    def handle_error(self, *_):
        """Say nothing of a client that went away."""


class _Handler(SimpleHTTPRequestHandler):
    """Sends files, as far as the server was told nothing else."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """Answer with a status and headers that wait, without an end, or with the file."""
        self.server.asked.append((self.path, dict(self.headers)))
        if self.server.answers:
            status, headers = self.server.answers.pop(0)
            return self._head(status, {"Content-Length": 0, **headers})
        if self.server.endless:
            self._head(200, {"Connection": "close"})
            return self._pour()
        return super().do_GET()

    def end_headers(self):
        """Add what the server was told to say."""
        for name, value in self.server.says.items():
            self.send_header(name, value)
        super().end_headers()

    def copyfile(self, source, outputfile):
        """Send a file, or only its beginning."""
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        outputfile.write(source.read(cut))
        self.close_connection = cut is not None

    def _head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _pour(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            while self.server.poured < ENDLESS:
                self.server.poured += self.wfile.write(bytes(1 << 20))


@contextlib.contextmanager
def http_server(root, certificate=None):
    """Serve a folder on the web."""
    with Web(root, certificate) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def certify(path):
    """Write the certificate that a machine gives itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem))
    return path
