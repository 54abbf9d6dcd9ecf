"""Times of files with 4 bits here and there, by a clock that reads the kernels out of the file."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress
from compress import flatbuffer, runtime, stopwatch
from compress.sensitivity import in_time

layers = keras.layers
KERNELS = {"conv": (4, 3, 3, 2), "dense": (5, 4), "head": (3, 5)}
"""Their shapes in the file."""


class File:
    """The shapes of the kernels of 4 bits."""

    def __init__(self, path):
        graph = flatbuffer.unpack(path.read_bytes(), origin="the file").subgraphs[0]
        self.narrow = {tuple(map(int, each.shape)) for each in graph.tensors if each.type == schema.TensorType.INT4}


class Clock:
    """2 ms; 1 more for each kernel of 4 bits, and 2 more for those kernels that together are slow."""

    def __init__(self):
        self.asked, self.slow = [], {"none"}

    def ratio(self, first, second):
        assert not second.narrow
        self.asked.append(first.narrow)
        return (2 + len(first.narrow) + 2 * (first.narrow >= self.slow)) / 2


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(stopwatch, "LiteModel", File)
    monkeypatch.setattr(runtime, "processor_ms", lambda file: 2.0)
    monkeypatch.setattr(runtime, "ratio", made.ratio)
    return made


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    steps = [layers.Conv2D(4, 3, name="conv"), layers.GlobalAveragePooling2D(), layers.Dense(5, name="dense")]
    return keras.Sequential([keras.Input((6, 6, 2)), *steps, layers.Dense(3, name="head")])


@pytest.fixture
def images(rng):
    return [rng.normal(size=(32, 6, 6, 2)).astype(np.float32)]


def test_each_layer_is_timed_alone_and_the_model_is_as_before(clock, model, images):
    found = compress.sensitivity(model, calibration=images, activations=False, timed=True)
    assert clock.asked == [{kernel} for kernel in KERNELS.values()]
    assert found.ms == 2.0
    assert {(row.name, row.bits): row.ms for row in found.layers} == {
        **{(name, 8): 0.0 for name in KERNELS},
        **{(name, 4): 1.0 for name in KERNELS},
    }
    assert found.bytes() == (36 + 10 + 8, 72 + 20 + 15)  # the head's 15 weights lie on 8 bytes


def test_the_file_of_what_is_chosen_is_timed_too(clock, model, images):
    asked = {"calibration": images, "budget_bytes": 107 - 40}
    widths = compress.mixed_precision(model, **asked)
    narrow = {KERNELS[name] for name, bits in widths.items() if bits == 4}
    assert len(narrow) == 2
    assert compress.mixed_precision(model, **asked, budget_ms=4.5) == widths
    assert clock.asked[-1] == narrow
    with pytest.raises(compress.CompressError, match=r"budget_ms=3\.5 is too little for .* takes 4 ms at least"):
        compress.mixed_precision(model, **asked, budget_ms=3.5)
    clock.slow = narrow
    with pytest.raises(compress.CompressError, match=r"budget_ms=4\.5: .* its file takes 6 ms; give a little more"):
        compress.mixed_precision(model, **asked, budget_ms=4.5)


def test_where_the_file_takes_longer_something_quicker_is_tried():
    rows = [("a", 1e-2, 1.0), ("b", 2e-2, 0.9)]
    found = compress.Sensitivity(
        "net",
        tuple(
            compress.Rounding(name, bits, 100 * bits // 8, 30.0, drift * (bits == 4), ms=ms * (bits == 4))
            for name, drift, ms in rows
            for bits in (8, 4)
        ),
        ms=2.0,
    )
    first, second = {"a": 4, "b": 8}, {"a": 8, "b": 4}
    asked = []

    def watch(widths, ms):
        asked.append(widths)
        return ms[widths == second]

    assert found.widths(150, 3.5) == first
    for late in (4.0, 4.2, 40.0):  # by the last two, nothing is quick enough for what is left
        assert in_time(found, lambda widths, late=late: watch(widths, (late, 2.9)), first, 150, 3.5) == second
    asked.clear()
    with pytest.raises(compress.CompressError, match=r"its file takes 3\.6 ms"):
        in_time(found, lambda widths: watch(widths, (4.0, 3.6)), first, 150, 3.5)
    assert asked == [first, second], "each is timed once"


def test_there_is_a_budget(model, images):
    with pytest.raises(compress.CompressError, match="budget_bytes=, budget_ms= or both"):
        compress.mixed_precision(model, calibration=images)


def test_a_file_is_timed(model, images):
    """On the real clock: that each time is there, and above 0."""
    watch = stopwatch.Stopwatch(compress.quantize_aware(model, calibration=images, bits=4))
    assert watch.ms > 0 and watch({"conv": 4}) > 0
