"""`edgezoo new`: look at the user's data once and write a recipe that suits it."""

import importlib.util
import json
import keyword
from pathlib import Path

import numpy as np

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.files import write_text
from recipes.engine.records import Data
from recipes.engine.results import LABELS, MEASURES, Examples

TEMPLATE = '''"""{title}

Task: {verb} {classes}.
Data: {source}: {counts} images to train on, {validation} to choose on, {test} to report on.
Result: none yet; run `edgezoo run {file}` and write it here.
"""

from recipes.engine import Augment, Compress, Data, Export, Gate, Model, Recipe, Train{imported}, main

recipe = Recipe(
    name={name},
    data=Data(
        source={path},
        size={size},  # pixels; larger sees more and is slower
        color={color},
        balance={balance},
    ),
    model=Model(name={model}),  # `edgezoo list models` shows the others
    augment=Augment(
        flip=False,  # True where a mirrored picture is still the same thing
        translate=0.1,
        rotate=10.0,
        zoom=0.1,
        brightness=0.1,
        contrast=0.1,
    ),
    train=Train(epochs={epochs}, batch_size={batch_size}, lr=2e-3),
{transfer}    compress=Compress(quantize_aware=False),  # True trains through the rounding of int8
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.02),  # the file may lose two points of test {score}
)

if __name__ == "__main__":
    main(recipe)
'''


TRANSFER = """    # Starts from ImageNet's weights (14 MB, fetched once): first the head learns, then everything.
    # Without this line the network starts from nothing.
    transfer=Transfer(weights="torchvision", unfreeze=("stem",), epochs={epochs}, lr=1e-3, layer_decay=0.8),
"""
"""For photographs: see docs/transfer.md."""


def write_recipe(name: str, source: Path, *, force: bool = False) -> Path:
    """Write `NAME.py` into the current folder.

    Args:
        name: of the recipe.
        source: folder of class folders or of `images` and `masks`, `.npz` or `.csv`; loaded once, so that its faults
            show now.
        force: replace an existing file.

    Raises:
        UserError: the name cannot be a recipe's, the file exists, or the data has a fault.
    """
    stem = name.removesuffix(".py")
    if not stem.isidentifier() or keyword.iskeyword(stem):
        raise UserError(f"{name!r} cannot name a recipe: use letters, digits and underscores, and no digit first")
    if importlib.util.find_spec(stem) is not None and not Path(f"{stem}.py").exists():
        raise UserError(
            f"{stem!r} is the name of an installed Python module, which {stem}.py would hide; choose another"
        )
    path = Path(f"{stem}.py")
    if path.exists() and not force:
        raise UserError(f"{path} exists; choose another name, or replace it with --force")
    examples = data.load(Data(source=str(source)))
    write_text(path, text(stem, source, examples))
    for note in examples.notes:
        print(f"note: {note}")
    return path


def text(name: str, source: Path, examples: Examples) -> str:
    """The recipe's text: size, model and epochs by what the data is."""
    height, width, channels = examples.shape
    count, masks = len(examples.train), examples.task == "segment"
    side = max(height, width) if height == width or max(height, width) <= 224 else 224
    size: int | None = side
    if masks:  # a multiple of the strides; as they are, where they are that
        size = None if height % 8 == width % 8 == 0 and max(height, width) <= 224 else max(round(side / 8) * 8, 16)
    things = "pixels" if masks else "images"
    weights = data.class_weights(examples.train.labels, len(examples.classes)) if not masks else np.ones(1)
    shown = ", ".join(examples.classes[:6]) + (
        f" and {len(examples.classes) - 6} more" if len(examples.classes) > 6 else ""
    )
    photographs = not masks and max(height, width) > 40
    epochs = min(max(round(60_000 / count), 10), 60)
    batch_size = 64 if count >= 1000 else 32 if count >= 200 else 16
    return TEMPLATE.format(
        title=f"{name}: {len(examples.classes)} classes of {things}, from {harmless(source.name)} to a device.",
        verb="name the class of each pixel:" if masks else "tell apart",
        score=LABELS[MEASURES[examples.task]],
        classes=harmless(shown),
        source=harmless(str(source)),
        path=quoted(str(source)),
        counts=count,
        validation=len(examples.validation),
        test=len(examples.test),
        file=f"{name}.py",
        name=quoted(name),
        size=size,
        color=quoted("grey" if channels == 1 else "rgb"),
        balance=quoted("weights" if weights.max() / weights.min() >= 2 else "none"),
        model=quoted("unet_tiny" if masks else "mobilenet_v2" if photographs else "resnet8"),
        epochs=max(epochs // 4, 5) if photographs else epochs,
        imported=", Transfer" if photographs else "",
        transfer=TRANSFER.format(epochs=epochs // 2) if photographs else "",
        batch_size=min(batch_size, 8) if masks else batch_size,
    )


def quoted(text: str) -> str:
    """`text` as a Python string literal."""
    return json.dumps(text, ensure_ascii=False)


def harmless(text: str) -> str:
    """`text` as it can stand in a docstring."""
    return text.replace("\\", "/").replace('"', "'")
