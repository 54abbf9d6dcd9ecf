import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from recipes.engine import charts, report
from recipes.engine.results import IGNORE, ClassScore, Evaluation, Examples, History, Mistake, Shown, Smaller, Subset

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
        task="classify",
        loss=0.125,
        figures={"accuracy": 1 - 2 / (18 * count)},
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
            "threads": 2,
            "threads_latency_ms": 0.3,
            "peak_bytes": 5 * 2**20,
            "float_peak_bytes": 7 * 2**20,
            "undelegated": {"CUMSUM": 2},
            "densified": [],
            "accuracy": evaluation.score - 1 / (18 * count),
            "float_accuracy": evaluation.score,
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
    "a thousand classes": {"classes": tuple(f"class {i}" for i in range(1000))},
    "no file": {"lite": None},
    "failed": {"gate": {"passed": False, "reasons": ["it lost <b>too</b> much"], "rules": {}}},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_page_is_whole_safe_and_alone(tmp_path, variant):
    path = report.write(tmp_path, facts(**VARIANTS[variant]))
    page = path.read_text(encoding="utf-8")
    parsed = read(page)
    assert "script" not in {tag for tag, _ in parsed.tags}
    anchors = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    links = re.findall(r"""(?:src|href)=["']([^"']{0,40})""", page)
    assert all(link.startswith("data:image/png;base64,") or link[1:] in anchors for link in links)
    assert "url(" not in page
    assert "@import" not in page
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
    assert "1,234parameters; 5,678 multiply-accumulates" in text
    assert "95 % interval 87.5 % to 99.0 %" in text
    assert "0.500 ms" in text
    assert "3 CONV_2D" in text
    assert NASTY in text
    assert "a note" in text


def test_report_json_holds_every_figure(tmp_path):
    made = facts()
    report.write(tmp_path, made)
    values = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert values["test"]["accuracy"] == made.test.score
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


def test_a_file_in_the_way_is_an_os_error_and_stays(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError):  # noqa: PT011  (which of its subclasses is the system's choice)
        report.write(tmp_path, facts())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_a_hundred_classes_of_large_noisy_pictures_fit_in_the_page():
    classes = 100
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (classes, 128, 128, 3), dtype=np.uint8)
    noisy = Subset(images, np.arange(classes), tuple(f"{i:04d}.png" for i in range(classes)))
    made = facts(tuple(f"a long class name {i}" for i in range(classes)))
    worst = tuple(Mistake(i, f"{i}.png", "a", "b", 0.9) for i in range(24))
    confusion = tuple(map(tuple, rng.integers(1, 20, (classes, classes)).tolist()))
    made = dataclasses.replace(
        made,
        examples=dataclasses.replace(made.examples, train=noisy, validation=noisy, test=noisy),
        test=dataclasses.replace(made.test, confusion=confusion, worst=worst),
    )
    assert len(report.render(made).encode()) < 1_500_000


def test_the_fine_tuned_model_has_a_column_and_its_phase_charts():
    made = facts()
    aware = dataclasses.replace(made.test, figures={"accuracy": 0.5})
    phases = (*made.histories, History("quantize", {"loss": [0.5], "val_accuracy": [0.7]}, 1))
    text = read(report.render(dataclasses.replace(made, quantized_aware=aware, histories=phases))).text
    assert "after quantization-aware fine-tuning" in text
    assert "Quantization-aware fine-tuning" in text
    assert "1 epoch; kept epoch 1, validation accuracy 70.0" in text
    assert "fine-tuning" not in read(report.render(made)).text


def test_the_smaller_model_has_a_column_and_what_was_taken_out():
    made = facts()
    less = Smaller(dataclasses.replace(made.test, figures={"accuracy": 0.5}), 617, 1000, 0.75)
    text = read(report.render(dataclasses.replace(made, smaller=less))).text
    assert "float modelmade smallermodel.tflite (int8)" in text
    text = "".join(text.split())
    assert "Parameters1,23461750.0%—" in text and "Multiply-accumulates5,6781,00017.6%—" in text
    assert "Zerosamongtheweights—75.0%—" in text and "madeofthefloatmodeltrainedlonger" in text
    assert report.figures(dataclasses.replace(made, smaller=less))["smaller"]["test"]["accuracy"] == 0.5
    assert "made smaller" not in read(report.render(made)).text and report.figures(made)["smaller"] is None


def test_without_mistakes_the_page_says_so():
    made = facts()
    text = read(report.render(dataclasses.replace(made, test=dataclasses.replace(made.test, worst=())))).text
    assert "None: every test image was answered right." in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"accuracy": 1 - 2 / 54}, "the int8 file is 3.6× smaller and loses nothing."),
        ({"accuracy": 1.0}, "the int8 file is 3.6× smaller and gains 3.7 points (2 images)."),
        ({"quantize": "none", "bytes": 3600}, "the float32 file loses 1.9 points (1 image)."),
        ({"quantize": "dynamic", "bytes": 1200}, "the dynamic-range file is 3.0× smaller and"),
    ],
)
def test_the_headline(changes, sentence):
    made = facts()
    made = dataclasses.replace(made, lite={**made.lite, "float_latency_ms": None, **changes})
    assert sentence in report.headline(made)
    assert sentence in read(report.render(made)).text


def test_curves_are_where_their_values_are():
    history = History("train", {"loss": [2.0, 1.0, float("nan")], "val_loss": [2.0, 1.5, 0.5]}, 3)
    chart = charts.curves(history, "loss", title="Loss")
    marks = {float(tick.label): tick.at for tick in chart.y}
    train, validation = chart.lines
    points = [tuple(map(float, point.split(","))) for point in validation.points.split()]
    assert [y for _, y in points] == [marks[2.0], marks[1.5], marks[0.5]]
    assert [x for x, _ in points] == [tick.at for tick in chart.x] == [chart.left, points[1][0], chart.right]
    assert len(train.points.split()) == 2
    assert train.end == (points[1][0], marks[1.0])
    assert chart.best == chart.right
    assert charts.curves(History("train"), "loss", title="Loss") is None


def test_the_matrix_shades_by_the_share_of_the_row():
    drawn = charts.matrix([[9, 1], [0, 4]], ("cat", "dog"))
    assert {(s.kind, s.opacity, s.path.count("M")) for s in drawn.shades} == {
        ("right", 0.91, 1),
        ("right", 1.0, 1),
        ("wrong", 0.19, 1),
    }
    assert [(c.text, c.light) for c in drawn.counts] == [("9", True), ("1", False), ("4", True)]


def test_of_many_classes_those_with_the_most_wrong_answers_are_drawn():
    confusion = np.eye(150, dtype=int)
    confusion[50:, 0] += 3
    drawn = charts.matrix(confusion.tolist(), [str(i) for i in range(150)])
    assert drawn.names == tuple(str(i) for i in range(50, 150))


def test_the_matrix_of_shares_never_rounds_to_none_or_all():
    confusion = [[9990, 10, 0], [0, 400, 600], [0, 0, 7]]
    drawn = charts.matrix(confusion, ("cat", "dog", "hen"), shares=True)
    assert [count.text for count in drawn.counts] == [">99", "<1", "40", "60", "100"]


def masks(*, ignored=False):
    """A report on images of 8 x 8 pixels; the class `fog` is neither in the masks nor in the answers."""
    names = ("background", "disc", "fog")
    labels = np.zeros((4, 8, 8), np.uint8)
    labels[:, :4] = 1
    if ignored:
        labels[0, 0, 0] = IGNORE
    subset = Subset(np.full((4, 8, 8, 1), 90, np.uint8), labels, tuple(f"{i}.png" for i in range(4)))
    scores = (
        ClassScore("background", 0.75, 0.75, 0.75, 2000, 0.6),
        ClassScore("disc", 0.75, 0.75, 0.75, 2000, 0.6),
        ClassScore("fog", 0.0, 0.0, 0.0, 0, None),
    )
    test = Evaluation(
        "test", 4, "segment", 0.5, {"miou": 0.6, "accuracy": 0.75}, scores, ((1500, 500, 0), (500, 1500, 0), (0, 0, 0))
    )
    made = facts(test=test, validation=dataclasses.replace(test, split="validation"), lite=None)
    examples = Examples(names, subset, subset, subset, "f" * 64, "made", (), "segment")
    shown = (Shown("0.png", 0.6, subset.inputs[0], labels[0], labels[1]),)
    return dataclasses.replace(made, examples=examples, shown=shown)


def test_masks_are_counted_in_pixels_and_cells_in_per_cent():
    page = report.render(masks())
    assert re.findall(r'<text x="\d+" y="\d+"[^>]*>(\d+)</text>', page) == ["75", "25", "25", "75"]
    assert re.search(r">pixels</th>.*?<td class=\"number\">500</td>", page, re.DOTALL)
    assert "times</th>" not in page


def test_a_class_that_does_not_occur_has_no_scores_and_is_not_in_the_mean():
    page = report.render(masks())
    row = re.search(r"fog</th>(.*?)</tr>", page[page.index('id="classes"') :], re.DOTALL).group(1)
    assert row.count("—") == 4 and "%" not in row
    assert "its mean over the 2 classes that are in the test masks or in the answers." in page


def test_pixels_that_are_not_judged_are_explained_where_there_are_any():
    assert "not judged" in report.render(masks(ignored=True))
    assert "not judged" not in report.render(masks())
