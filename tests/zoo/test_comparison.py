"""Models side by side, and what they take on this machine."""

import dataclasses
import sys
from xml.etree import ElementTree

import keras
import numpy as np
import pytest

import zoo
from zoo import measure, page
from zoo.__main__ import main

SHAPE = {"input_shape": (32, 32, 3), "classes": 10}


@pytest.fixture(scope="module")
def measured():
    return zoo.compare("resnet8", "mlperf_autoencoder", measured=True, batch=2)


def test_columns_are_the_cards():
    pair = zoo.compare("resnet8", "mobilenet_v2_035", **SHAPE)
    assert pair.cards == (zoo.card("resnet8", **SHAPE), zoo.card("mobilenet_v2_035", **SHAPE))
    rows = dict(pair.rows())
    assert rows["parameters"] == ("75,290", f"{pair.cards[1].parameters:,}")
    assert rows["convolutional layers"] == ("7", "52")
    assert "recurrent layers" not in rows, "nobody has any"
    assert not any("ms" in label for label in rows)
    lines = pair.markdown().splitlines()
    assert lines[0] == "| model | resnet8 | mobilenet_v2_035 |"
    assert lines[1] == "| --- | --- | --- |"
    assert all(line.count("|") == 4 for line in lines)
    assert str(pair).splitlines()[0].split() == ["model", "resnet8", "mobilenet_v2_035"]


def test_specs_can_be_compared_and_each_has_its_papers_shape():
    narrow = dataclasses.replace(zoo.spec("resnet8"), width=4)
    pair = zoo.compare("resnet8", narrow)
    assert pair.cards[0].input_shape == (32, 32, 3)
    assert pair.cards[1].parameters < pair.cards[0].parameters


def test_measuring_gives_times_and_memory_of_every_task(measured):
    images, features = measured.measured
    assert images.batch == features.batch == 2
    assert min(images.train_ms, images.inference_ms, features.train_ms, features.inference_ms) > 0
    assert images.train_ms > images.inference_ms, "three passes over two examples against one over one"
    if sys.platform != "win32":
        assert images.memory > 0
    rows = dict(measured.rows())
    assert rows["training step of 2 (ms)"][0] == f"{images.train_ms:,.1f}"
    assert rows["classes"] == ("10", "none")


def test_memory_is_that_of_the_training_whatever_this_process_has_had():
    """Eight images of 256x256: the first stage alone keeps 16 channels of them several times, 34 MB each."""
    block = np.ones(600_000_000, np.uint8)
    del block
    small = measure.measure("resnet8", input_shape=(32, 32, 3), classes=2)
    large = measure.measure("resnet8", input_shape=(256, 256, 3), classes=2)
    assert large.memory > small.memory + 100e6


def test_the_weights_of_a_measured_model_hardly_move():
    keras.utils.set_random_seed(0)
    model = zoo.build("resnet8", input_shape=(8, 8, 1), classes=2)
    before = model.get_layer("head").get_weights()[0]
    measure.here(model, batch=1)
    np.testing.assert_allclose(model.get_layer("head").get_weights()[0], before, atol=1e-3)


@pytest.mark.parametrize("known", [{}, {"resnet8": 0.9, "mlperf_autoencoder": 0.5}])
def test_the_page_shows_table_and_plot(measured, known):
    shown = dataclasses.replace(measured, accuracy=known)
    text = page.html_page(shown, note="a < b")
    assert "a &lt; b" in text
    assert ("Accuracy" if known else "Size of the weights") + " against latency" in text
    drawn = ElementTree.fromstring(page.plot(shown))
    assert drawn.tag.endswith("svg")
    assert page.plot(shown).count("<!-- resnet8 -->") == 1, "its name stands in the plot"
    assert "http" not in text.replace("http://www.w3.org", "").replace("http://creativecommons.org", "").replace(
        "http://purl.org", ""
    ).replace("https://matplotlib.org", "")


def test_a_model_without_known_accuracy_is_not_drawn(measured):
    drawn = page.plot(dataclasses.replace(measured, accuracy={"resnet8": 0.9}))
    assert "<!-- resnet8 -->" in drawn
    assert "<!-- mlperf_autoencoder -->" not in drawn


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"models": ()}, "at least one model"),
        ({"models": ("resnet9",)}, "no model 'resnet9'"),
        ({"models": ("resnet8",), "accuracy": {"vgg16": 0.9}}, "each name in accuracy must be 'resnet8'"),
        ({"models": ("resnet8",), "accuracy": {"resnet8": 90}}, "a share from 0 to 1"),
        ({"models": ("resnet8",), "batch": 0}, "batch must be"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(zoo.ZooError, match=message):
        zoo.compare(*call.pop("models"), **call)


def test_a_process_that_fails_is_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(zoo.ZooError, match="measuring resnet8 failed"):
        measure.measure("resnet8", **SHAPE)


def test_the_command_writes_both_files(tmp_path, capsys):
    files = [str(tmp_path / "c.md"), str(tmp_path / "c.html")]
    assert main(["compare", "resnet8", "--accuracy", "resnet8=0.87", "--output", *files]) == 0
    assert "75,290" in capsys.readouterr().out
    assert "75,290" in (tmp_path / "c.md").read_text()
    assert "against multiply-accumulates" in (tmp_path / "c.html").read_text()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "x.pdf"], "--output writes .md and .html, not x.pdf"),
        (["--output", "nowhere/x.md"], "there is no folder nowhere"),
        (["--accuracy", "resnet8"], "NAME=SHARE"),
    ],
)
def test_mistakes_of_the_command(arguments, message, capsys):
    assert main(["compare", "resnet8", *arguments]) == 2
    assert message in capsys.readouterr().err
