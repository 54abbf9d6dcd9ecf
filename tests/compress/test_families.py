"""Every family of the zoo, trained on digits, then with rounding, to a file of integers that answers as Keras does.

What an image becomes for a family that reads none: its rows are a series, with padding behind; each 2x2 square of dark
and bright pixels is one of 16 tokens, so that a text has 16. A language model goes on from the 16 with the digit's
English name, letter by letter, and a translator translates them to it.
"""

import dataclasses

import keras
import numpy as np
import pytest

import compress
import zoo
from zoo.families import FAMILIES

SQUARES = 16
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = {letter: index for index, letter in enumerate(sorted({*"".join(NAMES)}), start=SQUARES + 1)}
START = END = SQUARES + len(LETTERS) + 1
VOCABULARY = END + 1
SPELLED = np.array([[*(LETTERS[letter] for letter in name), END, *[-1] * 5][:6] for name in NAMES])


def image(digits, *size):
    """Each pixel repeated to the height and width, as it is on every channel."""
    x, y, test_x, test_y = digits
    height, width, channels = size

    def grown(images):
        rows, columns = (np.arange(size) * 8 // size for size in (height, width))
        return np.repeat(images[:, rows][:, :, columns], channels, axis=-1)

    return grown(x), y, grown(test_x), test_y


def pixels(digits, *size):
    """Of each pixel, whether it is dark, bright beside a dark one, or bright among bright ones."""
    x, _, test_x, _ = image(digits, *size)

    def marked(images):
        bright = np.pad(images[..., 0] > 0.47, ((0, 0), (4, 4), (4, 4)))
        among = bright[:, :-8, 4:-4] & bright[:, 8:, 4:-4] & bright[:, 4:-4, :-8] & bright[:, 4:-4, 8:]
        return bright[:, 4:-4, 4:-4].astype(int) * (1 + among)

    return x, marked(x), test_x, marked(test_x)


def series(digits, steps):
    """The rows, and behind them as many zeros as make so many steps."""
    x, y, test_x, test_y = digits

    def rows(images):
        return np.pad(images[..., 0], ((0, 0), (0, steps - 8), (0, 0)))

    return rows(x), y, rows(test_x), test_y


def squares(images):
    """`(batch, 8, 8, 1)` pixels → `(batch, 16)` tokens from 1 to 16."""
    bright = (images[..., 0] > 0.47).reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, SQUARES, 4)
    return (bright @ [1, 2, 4, 8] + 1).astype(np.int32)


def text(digits):
    x, y, test_x, test_y = digits
    return squares(x), y, squares(test_x), test_y


def continuation(digits):
    """The tokens and the name behind them; asked is each letter of the name, and its end."""
    x, y, test_x, test_y = digits

    def written(images, classes):
        told = np.maximum(SPELLED[classes], 0).astype(np.int32)
        tokens = np.concatenate([squares(images), told[:, :-1]], axis=1)
        asked = np.concatenate([np.full((len(images), SQUARES - 1), -1), SPELLED[classes]], axis=1)
        return tokens, asked

    return *written(x, y), *written(test_x, test_y)


def translation(digits):
    x, y, test_x, test_y = digits

    def written(images, classes):
        told = np.maximum(SPELLED[classes], 0).astype(np.int32)
        target = np.concatenate([np.full((len(images), 1), START, np.int32), told[:, :-1]], axis=1)
        return {"source": squares(images), "target": target}, SPELLED[classes]

    return *written(x, y), *written(test_x, test_y)


def words(digits):
    """The squares, each a word of its own at each place, and ten candidates, of which one is the digit."""
    x, y, test_x, test_y = digits

    def written(images):
        around = squares(images) + np.arange(SQUARES, dtype=np.int32) * SQUARES
        return {"words": around, "candidates": np.tile(np.arange(10, dtype=np.int32), (len(images), 1))}

    return written(x), y, written(test_x), test_y


@dataclasses.dataclass(frozen=True)
class Case:
    """What a family reads, changes of its numbers that make it small, and how it learns."""

    reads: object
    size: tuple = ()
    changes: dict = dataclasses.field(default_factory=dict)
    epochs: int = 12
    rate: float = 3e-3


def first(name, rows):
    """Of the blocks that shrink an image 32 times; with all of them these learn 1,200 digits by heart."""
    return zoo.spec(name).rows[:rows]


LM = {"vocabulary": VOCABULARY, "width": 64}

CASES = {
    "alexnet": Case(image, (72, 72, 3), {"width": 0.25, "fc": (128,), "dropout": 0.2}, rate=1e-3),
    "bert_tiny": Case(text, (), {"vocabulary": SQUARES + 1, "separator": SQUARES + 1, "dropout": 0.0}, 20, 2e-3),
    "char_gru": Case(continuation, (), {**LM, "embedding": 32}, 20, 1e-2),
    "char_lstm": Case(continuation, (), {**LM, "depth": 1}, 20, 1e-2),
    "char_transformer": Case(continuation, (), {**LM, "depth": 2, "hidden": 128}, 20),
    "efficientnet_lite0": Case(image, (32, 32, 3), {"rows": first("efficientnet_lite0", 3), "top": 256}),
    "fcn": Case(series, (12,), {"width": 0.25, "mask": True}),
    "gpt2": Case(continuation, (), {**LM, "depth": 2, "heads": 4, "hidden": 128}, 20),
    "gru": Case(series, (8,), {"width": 48}, 30, 1e-2),
    "inception_resnet_v2": Case(image, (75, 75, 3), {"width": 0.25, "depths": (1, 1, 1)}, 8),
    "inception_time": Case(series, (12,), {"mask": True, "width": 8}),
    "inception_v1": Case(image, (32, 32, 3), {"width": 0.25, "stages": zoo.spec("inception_v1").stages[:1]}),
    "inception_v3": Case(image, (75, 75, 3), {"width": 0.25, "fives": (32,), "sevens": (128,), "wides": 1}, 8),
    "lstm": Case(series, (8,), {"width": 48}, 30, 1e-2),
    "lstm_fcn": Case(series, (12,), {"width": 0.25}),
    "mlperf_ds_cnn": Case(image, (49, 10, 1)),
    "mobilenet_v1_025": Case(image, (32, 32, 3), {"rows": first("mobilenet_v1_025", 3)}, 20),
    "mobilenet_v2_035": Case(image, (32, 32, 3), {"rows": first("mobilenet_v2_035", 3), "top": 256}),
    "mobilenet_v3_small": Case(image, (32, 32, 3), {"rows": first("mobilenet_v3_small", 6), "top": 256}),
    "resnet20v2": Case(image, (16, 16, 3), {"width": 8}),
    "resnet8": Case(image, (16, 16, 3)),
    "resnet_1d": Case(series, (12,), {"mask": True, "width": 0.25}, 8),
    "transformer_tiny": Case(series, (12,), {"mask": True}),
    "translator_tiny": Case(translation, (), {**LM, "depth": 1, "hidden": 128}, 20),
    "unet_tiny": Case(pixels, (32, 32, 3), {}, 8, 1e-2),
    "vgg11": Case(image, (32, 32, 3), {"width": 16, "fc": (128,), "dropout": 0.2}, rate=1e-3),
    "word2vec_cbow": Case(words, (), {"vocabulary": SQUARES * SQUARES + SQUARES + 1, "width": 32}, 20, 1e-2),
}
QUICK = {"fcn"}
LOOPS = {"gru", "char_gru"}
"""Their operators are integers where the target has nothing else; else loops of int8 weights."""


def slow_but(quick, names):
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def shape_of(x):
    """Of one example, as `zoo.build` wants it."""
    if isinstance(x, dict):
        return tuple(values.shape[1] for values in x.values())
    return x.shape[1:]


@pytest.mark.parametrize("name", slow_but(QUICK, CASES))
def test_trains_for_a_file_of_integers(name, digits, learnt, to_integers):
    case = CASES[name]
    x, y, test_x, test_y = case.reads(digits, *case.size)
    classes = int(y.max()) + 1 if case.reads in (image, pixels, series, text) else None
    keras.utils.set_random_seed(0)
    model = zoo.build(dataclasses.replace(zoo.spec(name), **case.changes), input_shape=shape_of(x), classes=classes)
    task = learnt(x, y, test_x, test_y, case.epochs, case.rate)
    outcome = to_integers(model, task, target="integer" if name in LOOPS else "cpu")
    assert compress.report(outcome.small).float_layers == ()
    assert outcome.artifact.float_tensors == ()
    assert outcome.accuracy > 0.9
    assert outcome.agreement >= 0.99
    assert outcome.float_agreement >= 0.97


@pytest.mark.slow
def test_an_autoencoder_finds_the_same_outliers(digits, tmp_path):
    """It has no classes; compared is which of the held-out digits it cannot give back, having learnt zeros only."""
    x, y, test_x, test_y = (values.reshape(len(values), -1) for values in digits)
    usual, outlier = x[y[:, 0] == 0], test_y[:, 0] != 0
    keras.utils.set_random_seed(0)
    spec = dataclasses.replace(zoo.spec("mlperf_autoencoder"), width=32, depth=1)
    model = zoo.build(spec, input_shape=(64,))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    model.fit(usual, usual, batch_size=16, epochs=60, verbose=0)
    small = compress.quantize_aware(model, calibration=[usual])
    small.compile(keras.optimizers.Adam(1e-4), "mse")
    small.fit(usual, usual, batch_size=16, epochs=2, verbose=0)
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == () and artifact.input.dtype == artifact.output.dtype == "int8"

    def error(values, answers):
        return np.mean((values - answers) ** 2, axis=1)

    bound = 2 * np.quantile(error(usual, model.predict(usual, verbose=0)), 0.95)
    exact, rounded = (error(test_x, each.predict(test_x, verbose=0)) > bound for each in (model, small))
    integers = error(test_x, compress.LiteModel(artifact.path).predict(test_x)) > bound
    print(np.mean(exact == outlier), np.mean(integers == rounded), np.mean(integers == exact))
    assert np.mean(exact == outlier) > 0.9
    assert np.mean(integers == rounded) >= 0.99
    assert np.mean(integers == exact) >= 0.97


def test_every_family_of_the_zoo_is_here():
    names = {*CASES, "mlperf_autoencoder"}
    assert {type(zoo.spec(name)) for name in names} == {family.SPEC for family in FAMILIES.values()}
