import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from recipes.engine import report
from recipes.engine.results import ClassScore, Evaluation, Examples, History, Mistake, Subset

NASTY = '<script>alert("x")</script>'


def facts(classes=("cat", NASTY, "dog"), **changes):
    count = len(classes)
    rng = np.random.default_rng(0)

    def subset(each):
        labels = np.repeat(np.arange(count), each)
        images = rng.integers(0, 256, (len(labels), 8, 8, 1), dtype=np.uint8)
        return Subset(images, labels, tuple(f"{NASTY}/{i}.png" for i in range(len(labels))))

    confusion = 18 * np.eye(count, dtype=int)
    confusion[0, 1] = 2
    confusion[0, 0] = 16
    evaluation = Evaluation(
        split="test",
        examples=18 * count,
        accuracy=1 - 2 / (18 * count),
        loss=0.125,
        classes=tuple(ClassScore(name, 0.9, 0.8, 0.847, 18) for name in classes),
        confusion=tuple(map(tuple, confusion.tolist())),
        worst=(Mistake(0, f"{NASTY}/0.png", classes[0], classes[1], 0.97),),
    )
    curves = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "accuracy": [0.5, 0.7], "val_accuracy": [0.4, 0.6]}
    made = report.Facts(
        recipe={"name": "pets", "train": {"epochs": 2}},
        title="pets",
        summary="Pets.",
        manifest={"command": "edgezoo run pets.py", "versions": {"keras": "3"}},
        examples=Examples(tuple(classes), subset(20), subset(4), subset(18), "f" * 64, "made", ("a note",)),
        histories=(History("train", curves | {"seconds": [1.0, 1.0]}, 2),),
        validation=dataclasses.replace(evaluation, split="validation"),
        test=evaluation,
        quantized_aware=None,
        lite={
            "name": "model.tflite",
            "sha256": "a" * 64,
            "quantize": "int8",
            "bytes": 1000,
            "gzip_bytes": 800,
            "float_bytes": 3600,
            "latency_ms": 0.5,
            "float_latency_ms": 1.0,
            "accuracy": evaluation.accuracy - 1 / (18 * count),
            "float_accuracy": evaluation.accuracy,
            "agreement": 0.98,
            "samples": 18 * count,
            "ops": {"CONV_2D": 3},
            "float_tensors": [],
            "input_dtype": "int8",
            "output_dtype": "int8",
        },
        gate={"passed": True, "reasons": [], "rules": {"max_drop": 0.02}},
        parameters=1234,
        macs=5678,
    )
    return dataclasses.replace(made, **changes)


class Page(HTMLParser):
    """Counts tags and checks that they are closed in order."""

    VOID = frozenset({"meta", "img", "line", "path", "circle", "polyline", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(page):
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    return parser


VARIANTS = {
    "usual": {},
    "two classes": {"classes": ("no", "yes")},
    "sixty classes": {"classes": tuple(f"class {i}" for i in range(60))},
    "no file": {"lite": None},
    "failed": {"gate": {"passed": False, "reasons": ["it lost <b>too</b> much"], "rules": {}}},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_page_is_whole_safe_and_alone(tmp_path, variant):
    path = report.write(tmp_path, facts(**VARIANTS[variant]))
    page = path.read_text(encoding="utf-8")
    parsed = read(page)
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert len(page) < 1_500_000
    assert all(attributes.get("alt") for tag, attributes in parsed.tags if tag == "img")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert ("✗ gate failed" in parsed.text) == (variant == "failed")
    assert ("it lost <b>too</b> much" in parsed.text) == (variant == "failed")


def test_the_figures_on_the_page_are_the_facts(tmp_path):
    made = facts()
    text = read(report.write(tmp_path, made).read_text(encoding="utf-8")).text.replace("\u202f", " ")
    assert "96.3 % right on 54 test images; the int8 file is 3.6× smaller and loses 1.9 points (1 image)." in text
    assert "1,234 parameters, 5,678 multiply-accumulates" in text
    assert "0.500 ms" in text
    assert "3 CONV_2D" in text
    assert NASTY in text
    assert "a note" in text


def test_report_json_holds_every_figure(tmp_path):
    made = facts()
    report.write(tmp_path, made)
    values = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert values["test"]["accuracy"] == made.test.accuracy
    assert values["test"]["confusion"] == [list(row) for row in made.test.confusion]
    assert values["lite"] == made.lite
    assert values["data"]["counts"]["train"] == [20, 20, 20]
    assert values["recipe"] == made.recipe


def test_wilson_by_hand():
    # Newcombe 1998, table I, method 3 (the score interval without correction): 81 of 263 and 15 of 148.
    assert report.wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert report.wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert report.wilson(1.0, 10)[1] == pytest.approx(1.0)
    assert report.wilson(0.0, 10)[0] == pytest.approx(0.0)


def test_percent_never_rounds_up_to_all():
    assert report.percent(0.9999).startswith("99.99")
    assert report.percent(1.0).startswith("100.0")


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        report.write(tmp_path, facts())
    assert list(tmp_path.iterdir()) == []
