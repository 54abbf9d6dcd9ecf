"""From an example to what the model reads; stored inside `model.keras` and `model.tflite`, so that either is enough.

One module a modality. Each has a frozen record, which is all that is stored, and `fit`, which makes it from the
training split.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter

from recipes.engine.errors import UserError
from recipes.engine.preprocess import images, language, pairs, series, sounds, texts, words
from recipes.engine.preprocess.images import Images
from recipes.engine.preprocess.language import Language
from recipes.engine.preprocess.pairs import Pairs
from recipes.engine.preprocess.series import Series
from recipes.engine.preprocess.sounds import Sounds
from recipes.engine.preprocess.texts import Texts
from recipes.engine.preprocess.words import Words
from recipes.engine.records import Data
from recipes.engine.results import Examples

__all__ = [
    "Images",
    "Language",
    "Pairs",
    "Preprocess",
    "Series",
    "Sounds",
    "Texts",
    "Words",
    "attach",
    "files",
    "fit",
    "from_files",
    "read",
]

Preprocess = Images | Series | Sounds | Texts | Language | Pairs | Words

MEMBER, TOKENIZER = "edgezoo.json", "tokenizer.json"


def fit(data: Data, examples: Examples) -> Preprocess:
    """The preprocessing of a recipe, from its training split."""
    if examples.modality == "image":
        return images.fit(data, examples)
    if examples.modality == "series":
        return series.fit(data, examples)
    if examples.modality == "audio":
        return sounds.fit(data, examples)
    makers = {"classify": texts, "generate": language, "translate": pairs, "embed": words}
    made: Preprocess = makers[examples.task].fit(data, examples)
    return made


def attach(preprocess: Preprocess, model_file: Path) -> None:
    """Put the preprocessing into a `.keras` file (a zip archive; Keras reads only its own members)."""
    with zipfile.ZipFile(model_file, "a") as archive:
        archive.writestr(MEMBER, json.dumps(asdict(preprocess)))


def _kind(values: Any) -> str:
    record = values if isinstance(values, dict) else vars(values)
    modality = record.get("modality", "image")
    return f"{modality} {record['task']}" if modality == "text" else modality


STORED: TypeAdapter[Preprocess] = TypeAdapter(
    Annotated[
        Annotated[Images, Tag("image")]
        | Annotated[Series, Tag("series")]
        | Annotated[Sounds, Tag("audio")]
        | Annotated[Texts, Tag("text classify")]
        | Annotated[Language, Tag("text generate")]
        | Annotated[Pairs, Tag("text translate")]
        | Annotated[Words, Tag("text embed")],
        Discriminator(_kind),
    ]
)


def read(model_file: Path) -> Preprocess:
    """The preprocessing inside a `.keras` file.

    Raises:
        UserError: the file is missing, is no `.keras` file, or was not written by edgezoo.
    """
    try:
        with zipfile.ZipFile(model_file) as archive:
            values = json.loads(archive.read(MEMBER))
    except FileNotFoundError:
        raise UserError(f"{model_file} does not exist; is the run finished? `edgezoo list runs` shows") from None
    except zipfile.BadZipFile:
        raise UserError(f"{model_file} is not a .keras file") from None
    except KeyError:
        raise UserError(f"{model_file} holds no preprocessing, so it was not written by an edgezoo run") from None
    return STORED.validate_python(values)


def files(preprocess: Preprocess) -> dict[str, bytes]:
    """What goes into a `.tflite` file, by name: none for pictures, whose size and scale the standard metadata hold.

    A tokenizer is a file of its own, as programs on a device read it.
    """
    if isinstance(preprocess, Images):
        return {}
    values = asdict(preprocess)
    tokenizer = {TOKENIZER: values.pop("tokenizer").encode()} if "tokenizer" in values else {}
    return {MEMBER: json.dumps(values).encode(), **tokenizer}


def from_files(given: Mapping[str, bytes]) -> Preprocess | None:
    """The preprocessing of `files`; None where there is none."""
    if MEMBER not in given:
        return None
    tokenizer = {"tokenizer": given[TOKENIZER].decode()} if TOKENIZER in given else {}
    return STORED.validate_python({**json.loads(given[MEMBER]), **tokenizer})
