"""Fetching weights: from a server on this machine that drops, lies, refuses and sends elsewhere."""

import bz2
import fcntl
import hashlib
import io
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLCertVerificationError
from urllib.error import URLError
from urllib.request import Request

import pytest

from extract import fetch, obtain
from extract.fetch import FetchError
from extract.listing import Need
from extract.weights import Weights, WeightsError, digest_of, located, pinned

BODY = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
COMMIT, OTHER = "a" * 40, "b" * 40


class Server(ThreadingHTTPServer):
    """A web server whose faults are told to it; it remembers what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.says, self.answers, self.asked = {}, {}, {}, []
        self.drops, self.pauses_s, self.sent = [], [], 0
        self.tag, self.ranges, self.if_range = '"one"', True, True
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        """Return where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers with what the server was told to have."""

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """Send a file from where the client has it, as far as the server does not drop it."""
        server = self.server
        server.asked.append((self.path, dict(self.headers)))
        if self.path in server.answers:
            status, headers = server.answers[self.path].pop(0)
            if not server.answers[self.path]:
                del server.answers[self.path]
            return self.head(status, {"Content-Length": 0, **headers})
        if self.path not in server.files:
            return self.head(404, {"Content-Length": 0})
        body, start = server.files[self.path], 0
        ranged, known = self.headers.get("Range"), self.headers.get("If-Range")
        headers = {**({"ETag": server.tag} if server.tag else {}), **server.says}
        if ranged and server.ranges and (known in (None, server.tag) or not server.if_range):
            first, last = ranged.removeprefix("bytes=").split("-")
            start, stop = int(first), int(last or len(body) - 1) + 1
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
            self.head(206, {"Content-Length": stop - start, **headers})
        else:
            stop = len(body)
            self.head(200, {"Content-Length": stop, **headers})
        if server.drops:
            stop = start + server.drops.pop(0)
        return self.body(body[start:stop])

    def head(self, status, headers):
        """Send what comes before the body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def body(self, data):
        """Send bytes, slowly where that is wanted."""
        pause_s = self.server.pauses_s.pop(0) if self.server.pauses_s else 0
        for i in range(0, len(data), 10_000):
            time.sleep(pause_s)
            try:
                self.wfile.write(data[i : i + 10_000])
            except OSError:
                return
            self.server.sent += len(data[i : i + 10_000])


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Start the hub; weights go into a folder of the test's own."""
    for name in ("http_proxy", "HTTP_PROXY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path / "weights"))
    monkeypatch.setattr(fetch, "PAUSE_S", 0.001)
    monkeypatch.setattr(fetch, "CHUNK", 20_000)
    with Server() as started:
        monkeypatch.setenv("HF_ENDPOINT", started.url)
        yield started
        started.shutdown()


def need(sha256=SHA256, files=("net.bin",), revision=COMMIT, **more):
    """Return weights that an encoder called net would need."""
    return Need("net", Weights("lab/net", files, sha256, revision=revision, **more), "CC BY 4.0")


def offered(server, wanted, *bodies):
    """Let the server have the files at the addresses where they are looked for; return those."""
    paths = [fetch.address(wanted.weights, name).removeprefix(server.url) for name in wanted.weights.files]
    server.files.update(zip(paths, bodies or [BODY], strict=True))
    return paths


def get(wanted):
    """Obtain weights; return what was said of them."""
    return obtain.obtain(wanted, lambda *_: None)


def lying(wanted):
    """Name all that lies beside the weights."""
    return sorted(path.name for path in wanted.weights.folder.iterdir())


def test_a_file_of_the_hub(server, capsys):
    """It comes from the revision's address into its place, with a note of where from, and nothing lies beside it."""
    wanted = need(sizes=(len(BODY),))
    (path,) = offered(server, wanted)
    server.says = {"X-Repo-Commit": COMMIT}
    assert path == f"/lab/net/resolve/{COMMIT}/net.bin"
    with obtain.progress() as show:
        assert obtain.obtain(wanted, show) == f"net: net.bin fetched, sha256 {SHA256} as declared"
    assert "net.bin: 300 kB of 300 kB\n" in capsys.readouterr().out
    assert lying(wanted) == ["net.bin", "net.bin.pin.json"]
    assert located(wanted.weights)[0].read_bytes() == BODY
    pin = pinned(wanted.weights)
    assert (pin.sha256, pin.sizes, pin.source) == (SHA256, (len(BODY),), server.url + path)
    assert (pin.revision, pin.commit) == (COMMIT, COMMIT)


def test_what_is_here_is_verified_and_not_fetched(server):
    """A second time nobody is asked for anything."""
    wanted = need()
    offered(server, wanted)
    get(wanted)
    asked = len(server.asked)
    assert "net.bin here" in get(wanted)
    assert len(server.asked) == asked


def test_a_connection_that_drops_is_taken_up_again(server):
    """Each try goes on where the one before ended, and no byte is sent twice."""
    wanted = need()
    offered(server, wanted)
    server.drops = [70_000] * 3
    get(wanted)
    ranges = [headers.get("Range") for _, headers in server.asked]
    assert ranges == [None, "bytes=70000-", "bytes=140000-", "bytes=210000-"]
    assert {headers.get("If-Range") for _, headers in server.asked[1:]} == {'"one"'}
    assert server.sent == len(BODY)


@pytest.mark.parametrize("how", [{"ranges": False}, {"tag": 'W/"weak"'}, {"tag": ""}])
def test_a_server_that_cannot_go_on_starts_anew(server, how):
    """One that ignores ranges, or gives no strong tag, sends all of it again, and that replaces what was there."""
    wanted = need()
    offered(server, wanted)
    for name, value in how.items():
        setattr(server, name, value)
    server.drops = [70_000]
    get(wanted)
    assert located(wanted.weights)[0].read_bytes() == BODY
    assert server.sent == len(BODY) + 70_000


@pytest.mark.parametrize("understood", [True, False])
def test_a_file_that_changed_on_its_server_starts_anew(server, monkeypatch, understood):
    """What was begun of the old file is not joined to the new one, whether or not the server understands If-Range."""
    wanted = need()
    (path,) = offered(server, wanted, BODY[::-1])
    server.drops, server.if_range = [70_000], understood
    monkeypatch.setattr(fetch, "TRIES", 1)
    with pytest.raises(FetchError, match="the connection broke after 70000 of 300000"):
        get(wanted)
    monkeypatch.setattr(fetch, "TRIES", 2)
    server.files[path], server.tag = BODY, '"two"'
    get(wanted)
    assert located(wanted.weights)[0].read_bytes() == BODY


def test_a_server_that_never_goes_on_is_given_up(server):
    """After some tries without a byte the message says that nothing is lost, and the next command goes on."""
    wanted = need()
    offered(server, wanted)
    server.drops = [50_000, *[0] * fetch.TRIES]
    with pytest.raises(FetchError, match=r"broke after 50000 of 300000 bytes. What arrived is kept; the same command"):
        get(wanted)
    assert lying(wanted) == ["net.bin.part", "net.bin.part.json"]
    get(wanted)
    assert server.asked[-1][1]["Range"] == "bytes=50000-"
    assert server.sent == len(BODY)


def test_a_part_that_is_whole_is_not_asked_for_again(server):
    """A process that was killed before it renamed loses nothing."""
    wanted = need()
    offered(server, wanted)
    get(wanted)
    path = wanted.weights.paths[0]
    path.rename(f"{path}.part")
    Path(f"{path}.part.json").write_text(json.dumps({"tag": '"one"', "size": len(BODY), "commit": "", "sha256": ""}))
    asked = len(server.asked)
    get(wanted)
    assert (path.read_bytes(), len(server.asked)) == (BODY, asked)


def test_wrong_bytes_are_put_aside(server):
    """The message says what was expected and got and where it lies; nothing stands in its place, no part goes on."""
    wanted = need()
    (path,) = offered(server, wanted, BODY[::-1])
    got = hashlib.sha256(BODY[::-1]).hexdigest()
    with pytest.raises(
        FetchError, match=f"expected sha256 {SHA256}, got {got}; the bytes lie at .*net.bin.wrong. make weig"
    ):
        get(wanted)
    assert lying(wanted) == ["net.bin.wrong"]
    server.files[path] = BODY
    get(wanted)
    assert lying(wanted) == ["net.bin", "net.bin.pin.json", "net.bin.wrong"]


def test_another_size_is_refused_before_it_is_fetched(server):
    """The server's size is compared with the declared one at once."""
    wanted = need(sizes=(7,))
    offered(server, wanted)
    with pytest.raises(FetchError, match="expected 7 bytes, the server has 300000"):
        get(wanted)
    assert not located_part(wanted).stat().st_size


def located_part(wanted):
    """Return the part of a file."""
    return Path(f"{wanted.weights.paths[0]}.part")


@pytest.mark.parametrize(
    ("status", "token", "answer"),
    [
        (404, "", "404 Not Found"),
        (
            401,
            "",
            "refused (401); accept the licence on {hub}/lab/net and say HF_TOKEN=<a token of that account>; it is",
        ),
        (403, "", "it is not set"),
        (403, "secret", "it is not that account's"),
        (500, "", "500 Internal Server Error"),
        (302, "", "302"),
    ],
)
def test_a_refusal_is_a_sentence(server, monkeypatch, status, token, answer):
    """What the server answers is said with the address; where a licence must be accepted its page is named."""
    monkeypatch.setenv("HF_TOKEN", token)
    wanted = need()
    (path,) = offered(server, wanted)
    server.answers[path] = [(status, {"Location": path} if status == 302 else {})] * 30
    with pytest.raises(FetchError) as caught:
        get(wanted)
    assert str(caught.value).startswith(server.url + path)
    assert answer.format(hub=server.url) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_in_trouble_is_asked_again(server):
    """503 and 429 pass; a range that cannot be had starts anew."""
    wanted = need()
    (path,) = offered(server, wanted)
    server.answers[path] = [(503, {}), (429, {}), (416, {})]
    get(wanted)
    assert len(server.asked) == 4


def test_a_server_that_falls_silent_is_asked_again(server, monkeypatch):
    """A connection on which nothing comes is given up for a new one."""
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.1)
    wanted = need()
    offered(server, wanted)
    server.pauses_s = [0.5]
    get(wanted)
    assert len(server.asked) == 2


def test_a_certificate_that_is_not_trusted_is_final():
    """Another try would not help; what may is said."""
    error = URLError(SSLCertVerificationError("self-signed"))
    assert fetch._is_final(error)
    assert not fetch._is_final(URLError(OSError("no route to host")))
    said = fetch.Download("https://hub.lab/x", Path("x.part"), lambda *_: None)._why(error)
    assert "self-signed" in said
    assert "SSL_CERT_FILE=" in said


def test_the_token_is_for_the_hub_alone(server, monkeypatch):
    """It is shown at the hub, again where the hub sends on to itself, and never to the host where the file lies."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    wanted = need()
    (path,) = offered(server, wanted)
    with Server() as other:
        other.files["/signed?key=1"] = server.files[path]
        other.drops = [70_000]
        away = {"Location": f"http://localhost:{other.server_port}/signed?key=1", "X-Repo-Commit": COMMIT}
        server.answers = {path: [(307, {"Location": "/moved"})] * 2, "/moved": [(302, away)] * 2}
        get(wanted)
        other.shutdown()
    assert [headers["Authorization"] for _, headers in server.asked] == ["Bearer secret"] * 4
    assert [headers.get("Authorization") for _, headers in other.asked] == [None, None]
    assert [headers.get("Range") for _, headers in other.asked] == [None, "bytes=70000-"]
    assert pinned(wanted.weights).commit == COMMIT


def test_a_token_is_not_shown_in_clear(monkeypatch):
    """A mirror on another machine that is spoken to in clear gets no token; over https it does."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    for mirror, shown in (("http://mirror.lab", False), ("https://mirror.lab", True)):
        monkeypatch.setenv("HF_ENDPOINT", mirror)
        assert fetch._asking(f"{mirror}/x", {}).has_header("Authorization") == shown


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://x"])
def test_only_the_web_is_followed(server, target):
    """Being sent on to a file of this machine, or out of the web, is an error."""
    wanted = need()
    (path,) = offered(server, wanted)
    server.answers[path] = [(302, {"Location": target})]
    with pytest.raises(FetchError, match=target):
        get(wanted)
    assert not located_part(wanted).stat().st_size


def test_nothing_leads_from_https_to_http():
    """A redirect may not take the safety away."""
    follow = fetch._Redirects().redirect_request
    with pytest.raises(FetchError, match=r"expected to be sent on to https://, got http://b.lab/y"):
        follow(Request("https://a.lab/x"), io.BytesIO(), 302, "", Message(), "http://b.lab/y")
    assert follow(Request("http://a.lab/x"), io.BytesIO(), 302, "", Message(), "https://b.lab/y").type == "https"


@pytest.mark.parametrize("mirror", ["file:///tmp", "ftp://mirror.lab", "mirror.lab"])
def test_a_mirror_is_on_the_web(server, monkeypatch, mirror):
    """HF_ENDPOINT may be http or https, and nothing else."""
    monkeypatch.setenv("HF_ENDPOINT", mirror)
    with pytest.raises(FetchError, match="expected an address that begins with https://"):
        get(need())
    assert not server.asked


def test_another_address_than_the_hubs(server):
    """A template says where a file lies; the pin says so too."""
    wanted = need(url=server.url + "/{id}/releases/{revision}/{file}", revision="1.0 rc")
    assert offered(server, wanted) == ["/lab/net/releases/1.0%20rc/net.bin"]
    get(wanted)
    assert pinned(wanted.weights).source == f"{server.url}/lab/net/releases/1.0%20rc/net.bin"


def test_another_commit_than_the_declared_one_is_refused(server):
    """Before a byte of it is kept."""
    wanted = need()
    offered(server, wanted)
    server.says = {"X-Repo-Commit": OTHER}
    with pytest.raises(FetchError, match=f"expected revision {COMMIT}, the hub answers with {OTHER}"):
        get(wanted)
    assert not located_part(wanted).stat().st_size


def test_the_first_fetch_pins(server):
    """Without a declared digest the first one is kept, with main's commit, which is asked for from then on."""
    wanted = need(sha256="", revision="")
    offered(server, wanted)
    server.says = {"X-Repo-Commit": COMMIT}
    with pytest.raises(WeightsError, match=r"expected net.bin of lab/net, revision unknown, at .*/lab--net/net.bin"):
        digest_of(wanted.weights)
    assert get(wanted) == f"net: net.bin fetched, sha256 {SHA256} pinned in {wanted.weights.pin}"
    assert digest_of(wanted.weights) == SHA256
    (path,) = wanted.weights.paths
    path.unlink()
    assert offered(server, wanted) == [f"/lab/net/resolve/{COMMIT}/net.bin"]
    get(wanted)
    assert located(wanted.weights) == [path]


def test_what_is_pinned_stays(server):
    """A file that was changed after that is refused where it lies and where it comes from, until the pin is deleted."""
    wanted = need(sha256="")
    (path,) = offered(server, wanted)
    get(wanted)
    (place,) = wanted.weights.paths
    place.write_bytes(BODY[::-1])
    with pytest.raises(WeightsError, match=f"expected sha256 {SHA256}, got "):
        located(wanted.weights)
    with pytest.raises(FetchError, match=r"\(pinned in .*net.bin.pin.json\); the bytes lie at .*net.bin.wrong"):
        get(wanted)
    server.files[path] = BODY[::-1]
    with pytest.raises(FetchError, match=f"expected sha256 {SHA256}, got "):
        get(wanted)
    wanted.weights.pin.unlink()
    get(wanted)
    assert place.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("honest", [True, False])
def test_the_hubs_own_digest_counts_at_the_first_fetch(server, honest):
    """What the hub says of its large files must be what arrived, also where nobody else states a digest."""
    wanted = need(sha256="")
    offered(server, wanted)
    server.says = {"X-Linked-ETag": f'"{SHA256 if honest else "0" * 64}"'}
    if honest:
        get(wanted)
        return
    with pytest.raises(FetchError, match=f"expected sha256 {'0' * 64}, got {SHA256}"):
        get(wanted)
    assert lying(wanted) == ["net.bin.wrong"]


def test_several_files(server):
    """One digest covers them; a file that is there already is not fetched, and wrong ones are put aside."""
    wanted = need(hashlib.sha256(b"onetwo").hexdigest(), ("a/one.bin", "two.bin"))
    offered(server, wanted, b"one", b"two")
    wanted.weights.paths[0].parent.mkdir(parents=True)
    wanted.weights.paths[0].write_bytes(b"one")
    get(wanted)
    assert [path for path, _ in server.asked] == [f"/lab/net/resolve/{COMMIT}/two.bin"]
    assert [path.read_bytes() for path in located(wanted.weights)] == [b"one", b"two"]
    wanted.weights.paths[1].write_bytes(b"owt")
    with pytest.raises(FetchError, match="got "):
        get(wanted)
    assert not any(path.exists() for path in wanted.weights.paths)


def test_files_of_two_commits_do_not_belong_together(server):
    """A repository that moves on while it is fetched is fetched again."""
    wanted = need("", ("one.bin", "two.bin"), "main")
    one, _ = offered(server, wanted, b"one", b"two")
    server.says = {"X-Repo-Commit": COMMIT}
    elsewhere = f"http://localhost:{server.server_port}{one}"
    server.answers[one] = [(302, {"Location": elsewhere, "X-Repo-Commit": OTHER})]
    with pytest.raises(FetchError, match=r"was changed while it was fetched; the bytes .* fetches it anew"):
        get(wanted)
    assert not any(path.exists() for path in wanted.weights.paths)


def test_a_packed_file_is_unpacked(server):
    """The digest is that of the unpacked file, and the packed one is not kept."""
    wanted = need(packed="bz2", url=server.url + "/{file}.bz2", sizes=(len(BODY),))
    server.files["/net.bin.bz2"] = bz2.compress(BODY)
    server.drops = [70_000]
    get(wanted)
    assert lying(wanted) == ["net.bin", "net.bin.pin.json"]
    assert located(wanted.weights)[0].read_bytes() == BODY


@pytest.mark.parametrize("packed", [BODY, bz2.compress(BODY)[:-10]])
def test_what_was_never_packed_is_put_aside(server, packed):
    """Other bytes, or a part of them, are refused and not left in anybody's way."""
    wanted = need(packed="bz2", url=server.url + "/{file}.bz2")
    server.files["/net.bin.bz2"] = packed
    with pytest.raises(FetchError, match=r"expected a file packed by bzip2; it lies at .*net.bin.wrong"):
        get(wanted)
    assert lying(wanted) == ["net.bin.wrong"]


def test_files_that_a_person_must_fetch(server):
    """Their page is named; once they lie in their place they are pinned as they are, and the pin says so."""
    wanted = need(sha256="", revision="", page="https://drive.example/folder")
    (path,) = wanted.weights.paths
    with pytest.raises(FetchError, match=f"put it at {path}, from https://drive.example/folder .licence: CC BY 4.0"):
        get(wanted)
    path.write_bytes(BODY)
    with pytest.raises(WeightsError, match=r"no digest is known of net.bin .*; accept what lies there: make weights "):
        located(wanted.weights)
    assert "net.bin here" in get(wanted)
    assert located(wanted.weights) == [path]
    assert pinned(wanted.weights).source == "put there by hand"
    assert not server.asked


def test_a_file_of_another_size_is_put_aside(server):
    """What was cut off while somebody copied it is replaced, and kept."""
    wanted = need(sizes=(len(BODY),))
    offered(server, wanted)
    wanted.weights.folder.mkdir(parents=True)
    wanted.weights.paths[0].write_bytes(BODY[:9])
    get(wanted)
    assert Path(f"{wanted.weights.paths[0]}.wrong").read_bytes() == BODY[:9]
    assert located(wanted.weights)[0].read_bytes() == BODY


@contextmanager
def read_only(folder):
    """Let nothing be written into a folder for a while, not even by root."""
    root, folders = os.geteuid() == 0, [path for path in (folder, *folder.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in folders:
            path.chmod(0o755)


@pytest.fixture
def shared_root(server, monkeypatch):  # noqa: ARG001 - the server names a root of its own first
    """Point WEIGHTS_ROOT at a folder that everybody may read."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        monkeypatch.setenv("WEIGHTS_ROOT", f"{made}/weights")
        Path(f"{made}/weights").mkdir()
        yield Path(made) / "weights"


def test_a_shared_folder_is_enough(server, shared_root):
    """Weights in a folder that may only be read are found, verified and known by their pin, without a server."""
    wanted = need(sha256="")
    offered(server, wanted)
    get(wanted)
    server.shutdown()
    server.server_close()
    with read_only(shared_root):
        assert digest_of(wanted.weights) == SHA256
        assert located(wanted.weights) == list(wanted.weights.paths)
        assert "here" in get(wanted)


def test_a_shared_folder_that_cannot_be_written(server, shared_root):
    """A file that is missing, or not pinned, in such a folder is answered with what to do."""
    with (
        read_only(shared_root),
        pytest.raises(FetchError, match=r"cannot write .*: Permission denied; .*WEIGHTS_ROOT="),
    ):
        get(need())
    wanted = need(sha256="", page="https://drive.example")
    wanted.weights.folder.mkdir(parents=True)
    wanted.weights.paths[0].write_bytes(BODY)
    with (
        read_only(shared_root),
        pytest.raises(FetchError, match=r"cannot write .*pin.json: Permission denied; make room"),
    ):
        get(wanted)
    assert lying(wanted) == ["net.bin"]
    assert not server.asked


def test_a_wrong_file_in_a_shared_folder_stays(server, shared_root):
    """It cannot be put aside; the message says where it lies."""
    wanted = need()
    offered(server, wanted)
    wanted.weights.folder.mkdir(parents=True)
    wanted.weights.paths[0].write_bytes(b"wrong")
    with read_only(shared_root), pytest.raises(FetchError, match=r"the bytes lie at .*/net.bin\. make weights"):
        get(wanted)


def test_a_disk_that_fills_up(server):
    """What fits is kept, the message says what to do, and with more room the download goes on."""
    wanted = need()
    offered(server, wanted)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (110_000, limits[1]))
    try:
        with pytest.raises(FetchError, match=r"cannot write .*net.bin.part: File too large; make room there"):
            get(wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    get(wanted)
    assert server.asked[-1][1]["Range"] == "bytes=110000-"


def test_a_disk_that_is_too_small(server):
    """It is said before the first byte is fetched."""
    wanted = need()
    (path,) = offered(server, wanted)
    server.answers[path] = [(200, {"Content-Length": 10**17})]
    with pytest.raises(FetchError, match=r"expected room for 100000000.0 GB, got "):
        get(wanted)


def test_a_killed_process_is_taken_up_again(server):
    """After a kill that nothing can catch, the next command asks for the rest alone."""
    wanted = need()
    offered(server, wanted)
    server.pauses_s = [0.03]
    code = f"from extract import obtain\nobtain.obtain({wanted!r}, lambda *_: None)"
    code = f"from extract.listing import Need\nfrom extract.weights import Weights\n{code}"
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[1]) as process:
        part, until_s = located_part(wanted), time.monotonic() + 60
        while time.monotonic() < until_s and not (part.exists() and part.stat().st_size):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    have = part.stat().st_size
    assert 0 < have < len(BODY)
    get(wanted)
    assert server.asked[-1][1]["Range"] == f"bytes={have}-"
    assert located(wanted.weights)[0].read_bytes() == BODY


def test_one_command_at_a_time(server):
    """While another command fetches into the folder, a second one is refused."""
    wanted = need()
    offered(server, wanted)
    wanted.weights.folder.mkdir(parents=True)
    handle = os.open(wanted.weights.folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(FetchError, match="another command is fetching into it"):
            get(wanted)
    finally:
        os.close(handle)
    get(wanted)


def test_a_size_that_nobody_declares_is_asked_for(server):
    """One byte is asked for, not the file; who has no answer says nothing."""
    wanted = need()
    offered(server, wanted)
    assert [file.size for file in obtain.survey([wanted])] == [len(BODY)]
    assert server.asked[0][1]["Range"] == "bytes=0-0"
    nowhere = wanted._replace(weights=replace(wanted.weights, id="no/such"))
    assert [file.size for file in obtain.survey([nowhere, wanted])] == [None, len(BODY)]


def test_a_server_that_does_not_answer_is_asked_once(server, monkeypatch):
    """Without a network the survey says what is declared, and does not wait for every file."""
    server.shutdown()
    server.server_close()
    asked = []
    monkeypatch.setattr(obtain, "size_at", lambda url: asked.append(url) or fetch.size_at(url))
    wanted = [need(), need(files=("other.bin",)), need(files=("known.bin",), sizes=(7,))]
    assert [file.size for file in obtain.survey(wanted)] == [None, None, 7]
    assert len(asked) == 1


def test_the_survey_says_what_a_person_must_know(server):
    """File, size, address, licence, what is known of the digest, and the sum."""
    known, unknown = need(sizes=(300_000,)), need("", ("other.bin",), "main")
    by_hand = need("", ("drive.bin",), page="https://drive.example")
    offered(server, unknown)
    said = "\n".join(obtain.survey_lines(obtain.survey([known, unknown, by_hand])))
    assert f"net  missing      300 kB  net.bin\n     from {server.url}/lab/net/resolve/{COMMIT}/net.bin" in said
    assert "licence: CC BY 4.0; digest: declared" in said
    assert "licence: CC BY 4.0; digest: pinned at first fetch" in said
    assert re.search(r"net  by hand +\?  drive.bin\n     from https://drive.example", said)
    assert f"2 to fetch, 600 kB, into {os.environ['WEIGHTS_ROOT']}" in said


def test_a_bar_on_a_terminal(server, monkeypatch):
    """There the file's name and a bar are drawn."""
    wanted = need()
    offered(server, wanted)
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    with obtain.progress() as show:
        obtain.obtain(wanted, show)
    assert "net.bin" in terminal.getvalue()
    assert "300.0/300.0 kB" in terminal.getvalue()
