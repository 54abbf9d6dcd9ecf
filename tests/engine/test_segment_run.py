"""A recipe on images with masks, from the folder to the report, the files and the commands."""

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

import compress
from recipes.engine import (
    Augment,
    Compress,
    Data,
    Export,
    Gate,
    Model,
    Recipe,
    Train,
    cli,
    data,
    gate,
    network,
    run,
    runs,
)
from recipes.engine.errors import UserError
from recipes.engine.predict import predict
from recipes.engine.results import Evaluation

CLASSES = ("background", "disc", "bar")


def pictures(count, size=32, seed=0):
    """A bright disc and a dark bar on grey, with their masks."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    images, masks = [], []
    for _ in range(count):
        mask = np.zeros((size, size), np.uint8)
        left = rng.integers(2, size - 8)
        mask[:, left : left + 5] = 2
        a, b = rng.uniform(8, size - 8, 2)
        mask[(y - a) ** 2 + (x - b) ** 2 < 36] = 1
        level = np.array([120, 220, 30])[mask]
        images.append(np.clip(level + rng.normal(0, 12, mask.shape), 0, 255).astype(np.uint8))
        masks.append(mask)
    return np.stack(images), np.stack(masks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("masks")
    for name, parts in zip(("images", "masks"), pictures(40), strict=True):
        (root / name).mkdir()
        for number, values in enumerate(parts):
            Image.fromarray(values).save(root / name / f"{number}.png")
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


def recipe(folder, output, **changes):
    return Recipe(
        **{
            "name": "shapes",
            "data": Data(source=str(folder)),
            "model": Model(name="unet_tiny", width=4, spec={"depths": [1, 1, 1]}),
            "augment": Augment(flip=True, translate=0.1, rotate=20.0, brightness=0.05),
            "train": Train(epochs=12, batch_size=4, lr=0.02),
            "export": Export(quantize="int8", calibration=16),
            "gate": Gate(max_drop=0.05, min_miou=0.5, full_integer=True),
            "output": str(output),
            **changes,
        }
    )


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    made = recipe(folder, tmp_path_factory.mktemp("runs"), compress=Compress(quantize_aware=True, epochs=1))
    home = runs.create(made)
    return home, run.run(home)


def test_the_run_learns_and_its_files_say_so(finished):
    home, facts = finished
    assert facts.test.score > 0.8
    assert [score.name for score in facts.test.classes] == list(CLASSES)
    assert facts.quantized_aware.score > 0.8, "quantization-aware training works on masks"
    figures = json.loads((home / "metrics.json").read_text())
    assert figures["test"]["miou"] == facts.test.score
    assert figures["lite"]["miou"] == facts.lite["miou"] > 0.8
    assert figures["lite"]["float_tensors"] == []
    history = facts.histories[0]
    assert history.measure == "miou"
    assert history.best == max(history.curves["val_miou"])
    assert facts.histories[1].phase == "quantize"


def test_the_score_of_the_file_is_the_files_own(finished, folder):
    """Against a confusion matrix made here from the file's answers, one image at a time."""
    home, facts = finished
    examples = data.load(Data(source=str(folder)), progress=False)
    lite = compress.LiteModel(home / "model.tflite")
    counts = np.zeros((3, 3))
    for image, mask in zip(examples.test.inputs, examples.test.labels, strict=True):
        answer = lite.predict(image[None] / np.float32(255))[0].argmax(-1)
        np.add.at(counts, (mask, answer), 1)
    overlaps = np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))
    assert facts.lite["miou"] == pytest.approx(overlaps.mean())


def test_the_report_shows_masks(finished):
    home, facts = finished
    page = (home / "report.html").read_text()
    assert "mIoU on 6 test images" in page
    assert page.count('alt="images/') == 3 * len(facts.shown) == 18
    assert ">disc</th>" in page
    assert "background (not painted)" in page
    assert "disc (not painted)" not in page
    assert not re.search(r"\bnan\b|undefined", re.sub(r"base64,[^\"]+", "", page))
    values = json.loads((home / "report.json").read_text())
    assert "accuracy_interval" not in values["test"]
    assert values["test"]["miou"] == facts.test.score
    assert list((home / "tensorboard" / "summary").iterdir())


@pytest.mark.parametrize("lite", [False, True])
def test_predict_writes_masks_of_the_picture_s_size(finished, folder, tmp_path, lite):
    home, _ = finished
    images, masks = pictures(2, seed=5)
    paths = [tmp_path / f"new{number}.png" for number in range(2)]
    for path, values in zip(paths, images, strict=True):
        Image.fromarray(values).resize((64, 64), Image.Resampling.NEAREST).save(path)
    answers = predict(home, paths, lite=lite, output=tmp_path)
    for answer, truth, path in zip(answers, masks, paths, strict=True):
        assert answer.mask == tmp_path / f"{path.stem}_mask.png"
        with Image.open(answer.mask) as picture:
            assert picture.mode == "P"
            values = np.asarray(picture)
        assert values.shape == (64, 64)
        assert (values[::2, ::2] == truth).mean() > 0.9
        shares = dict(answer.ranking)
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["disc"] == pytest.approx((values == 1).mean())
    with pytest.raises(UserError, match="would both write"):
        predict(home, [paths[0], paths[0]], output=tmp_path)
    with pytest.raises(UserError, match=r"there is no folder .*none to write masks to"):
        predict(home, paths, output=tmp_path / "none")


def test_evaluate_export_and_list_work_on_the_run(finished, capsys, tmp_path, monkeypatch):
    home, facts = finished
    cli.dispatch(["evaluate", str(home)])
    said = capsys.readouterr().out
    assert "mIoU" in said
    assert f"{facts.test.score:.4f}" in said
    cli.dispatch(["export", str(home), "--quantize", "none", "--output", str(tmp_path / "float.tflite")])
    assert "test mIoU" in capsys.readouterr().out
    monkeypatch.chdir(home.parent)
    cli.dispatch(["list", "runs", "--output", "."])
    assert "mIoU" in capsys.readouterr().out
    with pytest.raises(UserError, match="does not hold what the model answers"):
        cli.dispatch(["evaluate", str(home), "--data", "digits"])


@pytest.mark.parametrize(
    ("rules", "score", "words"),
    [
        (Gate(max_drop=0.02, min_miou=0.75), 0.79, None),
        (Gate(max_drop=0.005), 0.79, "loses 1.00 points of test mIoU against the float model (0.8000 → 0.7900)"),
        (Gate(max_drop=None, min_miou=0.8), 0.79, "has a mIoU of 0.7900 on the test images; gate.min_miou asks 0.8000"),
    ],
)
def test_the_gate_judges_the_miou(tmp_path, rules, score, words):
    port = compress.Port("x", "int8", (1, 2), 0.1, 0)
    artifact = compress.Artifact(tmp_path / "m.tflite", "int8", 9, "0" * 64, {}, (), port, port)
    verification = compress.Verification(6, 1.0, 0.0, 0.0, 0.8, score, 0.8 - score, 1.0, 9, 9, {}, ())
    float_model = Evaluation("test", 6, "segment", 0.1, {"accuracy": 0.95, "miou": 0.8})
    reasons = gate.check(rules, artifact, verification, float_model)
    assert len(reasons) == (words is not None)
    assert words is None or words in reasons[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"model": Model(name="resnet8")},
            "has a mask an image, and resnet8 is a model for another task; set model.name",
        ),
        (
            {"model": Model(name="unet_small"), "data": Data(source="digits")},
            "digits has one class an image, and unet_sm",
        ),
        ({"augment": Augment(mixup=0.2)}, "augment.mixup"),
    ],
)
def test_a_recipe_for_the_other_task_is_refused_before_training(folder, tmp_path, changes, words):
    made = recipe(folder, tmp_path, gate=Gate(), **changes)
    with pytest.raises(UserError, match=words):
        network.build(made, data.load(made.data, progress=False))


def test_a_new_recipe_suits_the_masks(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.dispatch(["new", "shapes", "--data", str(folder)])
    text = (tmp_path / "shapes.py").read_text()
    assert 'Model(name="unet_tiny")' in text
    assert "name the class of each pixel: background, disc, bar" in text
    from recipes.engine.recipe_file import load

    made = load("shapes.py").recipe
    network.build(made, data.load(made.data, progress=False))


def test_a_resumed_run_ends_with_the_same_weights(folder, tmp_path):
    made = recipe(folder, tmp_path, train=Train(epochs=3, batch_size=8), gate=Gate(max_drop=None))

    def trained(home, epochs):
        part = dataclasses.replace(made, train=dataclasses.replace(made.train, schedule="constant", epochs=epochs))
        examples = data.load(part.data, progress=False)
        model, prepared = network.build(part, examples)
        from recipes.engine import train

        settings = {"train": part.train, "augmentation": part.augment, "weights": None, "macs": 0, "phase": "train"}
        train.fit(model, examples, prepared, folder=home, **settings)
        return model.get_weights()

    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = trained(tmp_path / "whole", 3)
    trained(tmp_path / "parts", 2)
    for one, other in zip(whole, trained(tmp_path / "parts", 3), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_eight_images_are_learnt_by_heart(tmp_path):
    """A network that cannot is wired wrongly, whatever its scores on other images are."""
    images, masks = pictures(8)
    arrays = {f"{split}_{kind}": part for split in ("train", "val", "test") for kind, part in
              (("images", images), ("masks", masks))}  # fmt: skip
    np.savez(tmp_path / "eight.npz", **arrays, classes=np.array(CLASSES))
    made = recipe(
        tmp_path / "eight.npz",
        tmp_path,
        model=Model(name="unet_tiny"),
        augment=Augment(),
        train=Train(epochs=150, batch_size=8, lr=0.01),
        gate=Gate(min_miou=0.97),
    )
    facts = run.run(runs.create(made))
    assert facts.test.score >= 0.98
