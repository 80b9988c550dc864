"""Caches at other places: what is put there is found and fetched whole, and no server gets further than it should."""

import importlib.abc
import os
import random
import socket
import stat
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh
import pytest
import server_kit

from features import catalogue, connect, remote
from features.catalogue import Listed
from features.remote import Remote
from features.roots import CacheError

HERE = Path(__file__).parents[1]
ENTRY, PART = "meld/minilm-4e1eddc6", "part-0123456789abcdef.h5"
BODY = random.Random(0).randbytes(300_000)
SPEC = b'{"encoder": "minilm"}\n'


class Store:
    """A place, and the way to what lies there behind its back."""

    def __init__(self, address, lay):
        self.address, self.lay = address, lay

    def open(self):
        """Return the place as somebody sees it who comes anew."""
        return Remote(self.address)


@pytest.fixture(scope="module")
def s3():
    """Start the store once."""
    with server_kit.s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def ssh(tmp_path):
    """Serve an empty folder by ssh to a user who knows the host and is known there."""
    (tmp_path / "root/cache").mkdir(parents=True)
    with server_kit.ssh_server(tmp_path / "root", tmp_path / "home") as server, server_kit.at_home(server.home):
        yield server


@pytest.fixture
def web(tmp_path):
    """Serve a folder with one entry on the web, as a push leaves it."""
    publish(tmp_path / "web", ENTRY)
    with server_kit.http_server(tmp_path / "web") as server:
        yield server


def publish(root, *entries):
    """Lay entries down in a folder with all that a push leaves."""
    files = {"spec.json": SPEC, PART: BODY}
    lines = catalogue.render({name: Listed(len(data)) for name, data in files.items()})
    for entry in entries:
        (root / entry).mkdir(parents=True)
        for name, data in {**files, catalogue.FILE: lines.encode()}.items():
            (root / entry / name).write_bytes(data)
    (root / catalogue.ENTRIES).write_text(catalogue.render_entries(entries))


def store_at(request, kind):
    """Return an empty place."""
    if kind == "ssh":
        server = request.getfixturevalue("ssh")

        def lay(path, data):
            target = server.root / "cache" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

        return Store(server.address, lay)
    import boto3

    request.getfixturevalue("s3")
    client, prefix = boto3.client("s3"), uuid.uuid4().hex
    return Store(
        f"s3://lab/{prefix}", lambda path, data: client.put_object(Bucket="lab", Key=f"{prefix}/{path}", Body=data)
    )


@pytest.fixture(params=["ssh", "s3"])
def store(request):
    """Return an empty place of each kind that can be written to."""
    return store_at(request, request.param)


@pytest.fixture(params=["ssh", "s3", "web"])
def filled(request):
    """Return a place of each kind that has one entry."""
    if request.param == "web":
        return Store(request.getfixturevalue("web").address, None)
    store = store_at(request, request.param)
    for name, data in {"spec.json": SPEC, PART: BODY}.items():
        store.lay(f"{ENTRY}/{name}", data)
    return store


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """Wait for nothing between two tries, and go through nobody's proxy."""
    monkeypatch.setattr(remote, "PAUSES_S", (0.0, 0.0, 0.0))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def run(code, *arguments, **env):
    """Run code in a process of its own; return what it prints."""
    command = [sys.executable, "-c", code, *arguments]
    env = {**os.environ, **env}
    return subprocess.run(command, cwd=HERE, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


def put(place, tmp_path, path, data):
    """Put bytes there."""
    (tmp_path / "data").write_bytes(data)
    place.put(tmp_path / "data", path)


def test_what_is_put_is_found_and_fetched(store, tmp_path):
    """Entries, files and texts that were put are listed by whoever comes next, and arrive byte by byte."""
    mine, place = store.open(), store.open()
    put(mine, tmp_path, f"{ENTRY}/spec.json", SPEC)
    put(mine, tmp_path, f"{ENTRY}/{PART}", BODY)
    assert (place.writes, place.entries()) == (True, [ENTRY])
    assert place.files(ENTRY) == {PART: len(BODY), "spec.json": len(SPEC)}
    assert place.text(f"{ENTRY}/spec.json") == SPEC.decode()
    place.fetch(f"{ENTRY}/{PART}", tmp_path / "here", len(BODY))
    assert (tmp_path / "here").read_bytes() == BODY


def test_the_web_is_read(web, tmp_path):
    """A web server lists nothing, so the catalogues that a push leaves say what is there; the bytes arrive."""
    place = Remote(f"{web.address}/")
    assert (place.writes, place.entries()) == (False, [ENTRY])
    assert place.files(ENTRY) == {path.name: path.stat().st_size for path in (tmp_path / "web" / ENTRY).iterdir()}
    assert place.text(f"{ENTRY}/spec.json") == SPEC.decode()
    place.fetch(f"{ENTRY}/{PART}", tmp_path / "here", len(BODY))
    assert (tmp_path / "here").read_bytes() == BODY


def test_the_web_is_not_written(web, tmp_path):
    """Whoever pushes to a web server is told where to push instead."""
    with pytest.raises(CacheError, match=r"can only be read; push to a folder, ssh://"):
        put(Remote(web.address), tmp_path, f"{ENTRY}/{PART}", BODY)


def test_a_web_server_without_catalogues(web, tmp_path):
    """A web folder that nobody pushed to says so; an entry without a catalogue has no files."""
    (tmp_path / "web" / catalogue.ENTRIES).unlink()
    with pytest.raises(CacheError, match=r"expected catalogue\.json"):
        Remote(web.address).entries()
    assert Remote(web.address).files("meld/mfcc-00000000") == {}


@pytest.mark.parametrize("corpus", ["two words", "Ümläut", "100%41?#+&"])
def test_names_survive_the_web(web, tmp_path, corpus):
    """A corpus may have any name, also one that means something in an address."""
    entry = f"{corpus}/minilm-4e1eddc6"
    publish(tmp_path / "web", entry)
    place = Remote(web.address)
    assert place.entries() == [entry]
    place.fetch(f"{entry}/{PART}", tmp_path / "here", len(BODY))
    assert (tmp_path / "here").read_bytes() == BODY


def test_what_is_there_is_replaced(store, tmp_path):
    """A file that is put again is the new one, and nothing is left of the old one or of the way it came."""
    place = store.open()
    for data in (b"a longer first one", b"second"):
        put(place, tmp_path, f"{ENTRY}/spec.json", data)
    assert place.text(f"{ENTRY}/spec.json") == "second"
    assert place.files(ENTRY) == {"spec.json": 6}


def test_a_colleague_pushes_meanwhile(store, tmp_path):
    """Nothing that was listed before is believed later."""
    place = store.open()
    assert place.entries() == []
    assert place.files(ENTRY) == {}
    colleague, other = store.open(), "meld/mfcc-00000000"
    put(colleague, tmp_path, f"{ENTRY}/spec.json", SPEC)
    assert place.entries() == [ENTRY]
    assert place.files(ENTRY) == {"spec.json": len(SPEC)}
    put(colleague, tmp_path, f"{ENTRY}/{PART}", BODY)
    put(colleague, tmp_path, f"{other}/spec.json", SPEC)
    assert place.entries() == [other, ENTRY]
    assert place.files(ENTRY) == {PART: len(BODY), "spec.json": len(SPEC)}


def test_nothing_is_no_error(filled):
    """A text that is not there is None, an entry that is not there has no files, and only a fetch of it fails."""
    place = filled.open()
    assert place.text("licensed.txt") is None
    assert place.text("meld/mfcc-00000000/spec.json") is None
    assert place.files("meld/mfcc-00000000") == {}
    with pytest.raises(CacheError, match=f"^{place}/{ENTRY}/part-0.h5: expected a file, found none; "):
        place.fetch(f"{ENTRY}/part-0.h5", Path(os.devnull), 1)


HOSTILE = ["../meld/x-00000000/spec.json", "/etc/x-00000000/spec.json", ".hidden/x-00000000/spec.json"]
HOSTILE += [
    "_x/x-00000000/spec.json",
    "meld/x-0000000g/spec.json",
    "meld/x/spec.json",
    "spec.json",
    "x-00000000/spec.json",
]
HOSTILE += ["meld/no_spec-00000000/" + PART, f"{ENTRY}/run.py", f"{ENTRY}/.{PART}.0.tmp", f"{ENTRY}/part-1.h5.exe"]
HOSTILE += [
    f"{ENTRY}/deeper/{PART}",
    f"{ENTRY}/spec.json.gz",
    f"{ENTRY}/a\nb.json",
    f"{ENTRY}/a\\b.json",
    "a\\b/x-00000000/spec.json",
]


def test_hostile_names_are_passed_over(request, s3, store):  # noqa: ARG001 - the store holds names that no disk does
    """Of all that a place may list, only names of entries and of files that belong into one come back."""
    on_a_disk = store.address.startswith("ssh")
    for path in HOSTILE:
        if not path.startswith(("/", "..")) if on_a_disk else "\n" not in path:  # each takes what the other does not
            store.lay(path, b"{}")
    for name, data in {"spec.json": SPEC, PART: BODY}.items():
        store.lay(f"{ENTRY}/{name}", data)
    if on_a_disk:
        cache = request.getfixturevalue("ssh").root / "cache"
        Path(os.fsdecode(bytes(cache) + b"/no\xfftext/x-00000000")).mkdir(parents=True)
        (cache / ENTRY / "link.json").symlink_to("/etc/passwd")
        (cache / "link").symlink_to("meld")
    place = store.open()
    assert place.entries() == [ENTRY]
    assert place.files(ENTRY) == {PART: len(BODY), "spec.json": len(SPEC)}


@pytest.mark.parametrize("line", ['{"file": "../x.json", "size": 1}', '{"file": "x.json", "size": -1}', "<html>"])
def test_hostile_catalogues_are_refused(web, tmp_path, line):
    """A catalogue that names anything else than files of its entry is refused, with its address."""
    (tmp_path / "web" / ENTRY / catalogue.FILE).write_text(line)
    with pytest.raises(CacheError, match=f"^{web.address}/{ENTRY}/catalogue.jsonl, line 1: "):
        Remote(web.address).files(ENTRY)


def test_a_closed_corpus_does_not_hide_the_others(ssh):
    """Somebody who may not see one corpus sees the others, and is told so on asking for that one."""
    for corpus in ("iemocap", "meld"):
        folder = ssh.root / "cache" / corpus / "minilm-4e1eddc6"
        folder.mkdir(parents=True)
        (folder / "spec.json").write_bytes(SPEC)
    ssh.closed.add("iemocap")
    assert Remote(ssh.address).entries() == [ENTRY]
    ssh.closed.add("minilm-4e1eddc6")
    with pytest.raises(CacheError, match="no permission; ask whoever owns that folder"):
        Remote(ssh.address).files(ENTRY)


@pytest.mark.parametrize("off", [-1, 1, -len(BODY)])
def test_another_size_is_refused(filled, tmp_path, off):
    """A file that is longer or shorter than was promised is refused, and never more of it written than that."""
    with pytest.raises(CacheError, match=f"expected {len(BODY) + off} bytes, got {'more' if off < 0 else len(BODY)}; "):
        filled.open().fetch(f"{ENTRY}/{PART}", tmp_path / "here", len(BODY) + off)
    assert (tmp_path / "here").stat().st_size <= len(BODY) + off


def test_a_text_has_an_end(filled, monkeypatch):
    """A text that is larger than any text of ours is refused."""
    monkeypatch.setattr(remote, "MOST_TEXT_BYTES", len(SPEC) - 1)
    with pytest.raises(CacheError, match=f"expected a text of at most {len(SPEC) - 1} bytes, got more"):
        filled.open().text(f"{ENTRY}/spec.json")


def test_a_server_that_never_ends(web, tmp_path, monkeypatch):
    """Of an answer without an end no more is taken than was expected, in memory as on the disk."""
    monkeypatch.setattr(remote, "MOST_TEXT_BYTES", 1 << 20)
    web.endless = True
    with pytest.raises(CacheError, match="expected 1000 bytes, got more"):
        Remote(web.address).fetch(f"{ENTRY}/{PART}", tmp_path / "here", 1000)
    with pytest.raises(CacheError, match="expected a text of at most 1048576 bytes, got more"):
        Remote(web.address).text(f"{ENTRY}/spec.json")
    assert (tmp_path / "here").stat().st_size == 1000
    assert web.poured < server_kit.ENDLESS / 8


def test_a_compressed_answer_is_not_unpacked(web, tmp_path):
    """What says that it is compressed stays as it is: a bomb has no more bytes than were sent."""
    web.says["Content-Encoding"] = "gzip"
    Remote(web.address).fetch(f"{ENTRY}/{PART}", tmp_path / "here", len(BODY))
    assert (tmp_path / "here").read_bytes() == BODY
    assert web.asked[-1][1]["Accept-Encoding"] == "identity"


def test_a_broken_answer_is_asked_for_again(web, tmp_path):
    """A connection that breaks in the middle, or a server that has no time, is tried again, and from the start."""
    web.cuts += [1000, 0]
    web.answers += [(503, {})]
    Remote(web.address).fetch(f"{ENTRY}/{PART}", tmp_path / "here", len(BODY))
    assert (tmp_path / "here").read_bytes() == BODY
    assert len(web.asked) == 4


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_trying_again_ends(web, status):
    """After a few tries in a row it is said what the server answered."""
    web.answers += [(status, {})] * 9
    with pytest.raises(
        CacheError, match=f"^{web.address}/licensed.txt: answered {status} .*; the same command goes on"
    ):
        Remote(web.address).text("licensed.txt")
    assert len(web.asked) == 1 + len(remote.PAUSES_S)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_not_asked_for_again(web, status):
    """Who is not let in is told where a login belongs, at once."""
    web.answers += [(status, {})] * 9
    with pytest.raises(CacheError, match=f"answered {status} .*netrc: machine localhost login"):
        Remote(web.address).text("licensed.txt")
    assert len(web.asked) == 1


def test_a_login_is_sent_and_never_shown(web, tmp_path):
    """A password in an address reaches its server alone, and stands in no message and no name."""
    with server_kit.http_server(tmp_path) as other:
        web.answers += [(302, {"Location": f"{other.address}/web/{ENTRY}/spec.json"}), (403, {})]
        place = Remote(web.address.replace("://", "://me:s%40cret@"))
        assert place.text(f"{ENTRY}/spec.json") == SPEC.decode()
        assert web.asked[0][1]["Authorization"] == "Basic bWU6c0BjcmV0"
        assert "Authorization" not in other.asked[0][1]
        with pytest.raises(CacheError) as caught:
            place.text(f"{ENTRY}/spec.json")
    assert str(place) == web.address
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://localhost/x", "javascript:1"])
def test_it_is_sent_on_to_the_web_alone(web, to):
    """A server that sends us to a file of this machine is not obeyed."""
    web.answers += [(302, {"Location": to})]
    with pytest.raises(CacheError, match=f"^{web.address}/licensed.txt: "):
        Remote(web.address).text("licensed.txt")
    assert len(web.asked) == 1


SAFE = """
import sys
from features.remote import Remote
place = Remote(sys.argv[1])
for _ in range(2):
    try:
        print(place.text("web/catalogue.json") is not None)
    except ValueError as error:
        print(error)
"""


def test_it_is_not_sent_on_to_less_safety(web, tmp_path):
    """Whoever asked for https is not sent on to http, and a certificate that nobody vouches for is not taken."""
    certificate = server_kit.certify(tmp_path / "own.pem")
    with server_kit.http_server(tmp_path, certificate) as safe:
        with pytest.raises(CacheError, match="SSL_CERT_FILE="):
            Remote(safe.address).text("web/catalogue.json")
        safe.answers = [(302, {"Location": f"{web.address}/catalogue.json"})]
        said = run(SAFE, safe.address, SSL_CERT_FILE=str(certificate)).splitlines()
    assert said[0].endswith(f"expected to be sent on to https://, got {web.address}")
    assert said[1:] == ["True"]


def test_what_a_server_says_cannot_draw(web):
    """No control character of a server's own words reaches the terminal."""
    web.answers += [(302, {"Location": "x:\x1b[2J"})]
    with pytest.raises(CacheError) as caught:
        Remote(web.address).text("licensed.txt")
    assert "\x1b" not in str(caught.value)


def test_a_file_that_is_not_here(store, tmp_path):
    """What cannot be pushed because it is not here is not blamed on the place."""
    with pytest.raises(FileNotFoundError, match="gone"):
        store.open().put(tmp_path / "gone", f"{ENTRY}/{PART}")


def test_a_full_disk_here_is_not_the_places_fault(filled):
    """An error of this machine's disk says what to do here, and nothing is tried again for it."""
    with pytest.raises(OSError, match=r"cannot write: .*; make room there"):
        filled.open().fetch(f"{ENTRY}/{PART}", Path("/dev/full"), len(BODY))


def test_several_threads_at_once(filled, tmp_path):
    """Files arrive whole however many are fetched beside each other."""
    place = filled.open()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: place.fetch(f"{ENTRY}/{PART}", tmp_path / str(i), len(BODY)), range(24)))
    assert {(tmp_path / str(i)).read_bytes() for i in range(24)} == {BODY}


def test_many_blocks(filled, tmp_path, monkeypatch):
    """A file of many blocks, the last of them whole, arrives as it is."""
    monkeypatch.setattr(remote, "BLOCK_BYTES", 10_000)
    filled.open().fetch(f"{ENTRY}/{PART}", tmp_path / "here", len(BODY))
    assert (tmp_path / "here").read_bytes() == BODY


@pytest.mark.slow
def test_a_large_file(store, tmp_path):
    """A file that a store takes in parts is whole there and back."""
    data = random.Random(1).randbytes(5 * connect.BLOCK_BYTES + 1)
    put(store.open(), tmp_path, f"{ENTRY}/{PART}", data)
    assert store.open().files(ENTRY) == {PART: len(data)}
    store.open().fetch(f"{ENTRY}/{PART}", tmp_path / "here", len(data))
    assert (tmp_path / "here").read_bytes() == data


def test_an_unknown_host_is_not_trusted(ssh, tmp_path):
    """A host whose key nobody knows here is told nothing; the message has the line that makes it known."""
    (ssh.home / ".ssh/known_hosts").unlink()
    with pytest.raises(CacheError, match=f"expected a host key .* say once: ssh -p {ssh.port} tester@127.0.0.1"):
        put(Remote(ssh.address), tmp_path, f"{ENTRY}/{PART}", BODY)
    assert [*(ssh.root / "cache").iterdir()] == []


def test_another_host_in_its_place_is_not_trusted(ssh, tmp_path):
    """A machine that shows another key than the known one is told nothing, also as sftp."""
    ssh.know(asyncssh.generate_private_key("ssh-ed25519"))
    with pytest.raises(CacheError, match="another one answers in its place"):
        put(Remote(ssh.address.replace("ssh:", "sftp:")), tmp_path, f"{ENTRY}/{PART}", BODY)
    assert [*(ssh.root / "cache").iterdir()] == []


def test_another_key_does_not_log_in(ssh):
    """Who is not let in is told how to see why."""
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(ssh.home / ".ssh/id_ed25519"))
    with pytest.raises(CacheError, match=f"logs in without a password: ssh -p {ssh.port} tester@127.0.0.1"):
        Remote(ssh.address).entries()


def test_a_key_that_is_not_here(ssh):
    """A key that ~/.ssh/config names and nobody has is not taken for an empty place."""
    (ssh.home / ".ssh/config").write_text("IdentityFile ~/.ssh/lost\n")
    with pytest.raises(CacheError, match=r"cannot read .*/\.ssh/lost: No such file"):
        Remote(ssh.address).text("licensed.txt")


def test_the_users_ssh_config_counts(ssh):
    """A name that ~/.ssh/config explains leads to where it says."""
    said = f"Host lab\n  HostName 127.0.0.1\n  Port {ssh.port}\n  User tester\n"
    (ssh.home / ".ssh/config").write_text(said)
    assert Remote("ssh://lab/cache").entries() == []


def test_a_broken_push_is_never_seen(ssh, tmp_path, monkeypatch):
    """A connection that breaks in the middle of a push leaves nothing that a reader would look at."""
    monkeypatch.setattr(remote, "PAUSES_S", ())
    ssh.cuts.append(len(BODY) // 2)
    place = Remote(ssh.address)
    with pytest.raises(CacheError, match=f"^{place}/{ENTRY}/{PART}: .*; the same command goes on"):
        put(place, tmp_path, f"{ENTRY}/{PART}", BODY)
    assert place.files(ENTRY) == {}
    assert [path.name[0] for path in (ssh.root / "cache" / ENTRY).iterdir()] == ["."]


def test_a_broken_push_goes_on(ssh, tmp_path):
    """A connection that breaks twice is made anew, by the same place, and the file arrives."""
    ssh.cuts += [100_000, 200_000]
    place = Remote(ssh.address)
    put(place, tmp_path, f"{ENTRY}/{PART}", BODY)
    assert place.files(ENTRY) == {PART: len(BODY)}
    assert (ssh.root / "cache" / ENTRY / PART).read_bytes() == BODY


KILLED = """
import sys
from pathlib import Path
from features.remote import Remote
Remote(sys.argv[1]).put(Path(sys.argv[2]), sys.argv[3])
"""


@pytest.mark.slow
def test_a_killed_push_is_never_seen(ssh, tmp_path):
    """A process that is killed in the middle of a push leaves nothing that a reader would look at."""
    data = tmp_path / "data"
    with data.open("wb") as file:
        file.truncate(1 << 30)
    command = [sys.executable, "-c", KILLED, ssh.address, str(data), f"{ENTRY}/{PART}"]
    with subprocess.Popen(command, cwd=HERE) as process:
        assert ssh.written.wait(60)
        process.kill()
    assert Remote(ssh.address).files(ENTRY) == {}
    assert [path.name[0] for path in (ssh.root / "cache" / ENTRY).iterdir()] == ["."]


def test_a_plain_sftp_server(tmp_path):
    """A server that is not OpenSSH's, without its rename and its flushing, takes files and lets them be replaced."""
    (tmp_path / "root/cache").mkdir(parents=True)
    with server_kit.ssh_server(tmp_path / "root", tmp_path / "home", plain=True) as ssh, server_kit.at_home(ssh.home):
        for data in (b"first", BODY):
            put(Remote(ssh.address), tmp_path, f"{ENTRY}/{PART}", data)
        assert [path.read_bytes() for path in (ssh.root / "cache" / ENTRY).iterdir()] == [BODY]


def test_the_group_may_go_on(ssh, tmp_path):
    """Where the group may write, it may also write to what is pushed there, whatever the server's umask says."""
    (ssh.root / "cache").chmod(0o775)
    put(Remote(ssh.address), tmp_path, f"{ENTRY}/{PART}", BODY)
    made = [ssh.root / "cache/meld", ssh.root / "cache" / ENTRY, ssh.root / "cache" / ENTRY / PART]
    assert [stat.S_IMODE(path.stat().st_mode) & 0o070 for path in made] == [0o070, 0o070, 0o060]


def test_below_home(ssh):
    """A tilde in an address is the home over there."""
    (ssh.root / "cache" / ENTRY).mkdir(parents=True)
    (ssh.root / "cache" / ENTRY / "spec.json").write_bytes(SPEC)
    assert Remote(ssh.address.replace("/cache", "/~/cache")).entries() == [ENTRY]


def test_a_bucket_that_is_not_there(s3):  # noqa: ARG001 - it sets the environment
    """A bucket that does not exist is no empty place."""
    for ask in (Remote("s3://bucket/x").entries, lambda: Remote("s3://bucket/x").text("licensed.txt")):
        with pytest.raises(CacheError, match=r"^s3://bucket/x.*: there is no such bucket; make it first"):
            ask()


def test_a_store_without_keys(s3, monkeypatch):  # noqa: ARG001 - it sets the environment
    """Whoever has no keys for a store is told where they belong."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(CacheError, match="AWS_ACCESS_KEY_ID"):
        Remote("s3://lab/x").entries()


def test_nobody_listens(tmp_path, monkeypatch):
    """A server that does not run is said with its address, and what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with server_kit.at_home(tmp_path):
        for address in (f"ssh://127.0.0.1:{port}/x", "s3://lab/x", f"http://127.0.0.1:{port}"):
            with pytest.raises(CacheError, match=f"^{address}.*: .*see how host and port are spelt"):
                Remote(address).text("x")


def test_no_such_host(tmp_path, monkeypatch):
    """A host that no name server knows is said so."""

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with server_kit.at_home(tmp_path):
        for address in ("ssh://nowhere.invalid/x", "https://nowhere.invalid"):
            with pytest.raises(CacheError, match=f"^{address}.*: no such host is known; see how the host is spelt"):
                Remote(address).text("x")


def test_a_silent_server(tmp_path, monkeypatch):
    """A server that takes the connection and says nothing is not waited for for ever."""
    monkeypatch.setattr(connect, "WAIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, server_kit.at_home(tmp_path):
        name = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        for address in (f"ssh://{name}/x", f"http://{name}"):
            with pytest.raises(CacheError, match=f"^{address}.*: no answer; try again later"):
                Remote(address).text("x")
        assert time.monotonic() - began < 10


class Blocked(importlib.abc.MetaPathFinder):
    """Has packages that are not installed."""

    def __init__(self, *names):
        self.names = names

    def find_spec(self, name, *_):
        """Find none of them."""
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("address", "package"), [("ssh://host/x", "sshfs"), ("s3://lab/x", "s3fs"), ("https://host", "fsspec")]
)
def test_a_missing_package_is_named(monkeypatch, address, package):
    """Whoever lacks what a place needs is told its name and the command that installs it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Blocked(package), *sys.meta_path])
    cure = r"it comes with: pip install '\.\[share\]' \(or make setup\)$"
    with pytest.raises(CacheError, match=f"^{address}/x: needs {package}.*, which is not installed; {cure}"):
        Remote(address).text("x")


def test_naming_a_place_loads_nothing():
    """A place costs nothing until it is asked for something."""
    code = "import sys\nfrom features.remote import Remote\nprint(Remote('ssh://host/x'))\n"
    code += "print(*{'fsspec', 'asyncssh', 'aiohttp', 'botocore', 'yarl'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["ssh://host/x", ""]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ssh://me@host:2222/lab/cache/", "ssh://me@host:2222/lab/cache"),
        ("ssh://me:secret@host/lab", "ssh://me@host/lab"),
        ("sftp://[::1]:22/~/cache", "sftp://[::1]:22/~/cache"),
        ("s3://bucket", "s3://bucket"),
        ("https://token@host/a b", "https://host/a b"),
        ("http://me:p@ss@host:80", "http://host:80"),
    ],
)
def test_an_address_is_shown_without_secrets(address, shown):
    """What a place is called holds no password and no token."""
    assert str(Remote(address)) == shown


@pytest.mark.parametrize(
    "address",
    [
        "",
        "file:///etc",
        "ftp://me:secret@host/x",
        "https://host/x?token=secret",
        "https://host/#secret",
        "https://me:secret\n@host/x",
        "s3:///x",
        "s3://key:secret@bucket",
        "ssh://",
        "ssh://host",
        "ssh://me:secret@host",
        "ssh://host/a\nb",
        "ssh://-oProxyCommand/x",
    ],
)
def test_an_address_that_leads_nowhere(address):
    """What is no address is refused with one that is, and without a secret that stood in it."""
    with pytest.raises(CacheError, match=r"expected (ssh|s3)://\S+/") as caught:
        Remote(address)
    assert "secret" not in str(caught.value)
