import dataclasses
import json

import keras
import pytest

import compress
from recipes.engine import Data, Export, Gate, Model, Recipe, Train, gate, run, runs, stages
from recipes.engine.errors import GateFailed
from recipes.engine.results import Evaluation


def records(tmp_path, score, size=1000, islands=()):
    port = compress.Port("x", "int8", (1, 2), 0.1, 0)
    artifact = compress.Artifact(tmp_path / "m.tflite", "int8", size, "0" * 64, {}, islands, port, port)
    verification = compress.Verification(100, 1.0, 0.0, 0.0, 0.9, score, 0.9 - score, 1.0, size, size, {}, islands)
    return artifact, verification, Evaluation("test", 100, "classify", 0.1, {"accuracy": 0.9})


@pytest.mark.parametrize(
    ("rules", "score", "words"),
    [
        (Gate(max_drop=0.0), 0.9, None),
        (Gate(max_drop=0.0), 0.89, "loses 1.00 points of test accuracy against the float model (0.9000 → 0.8900)"),
        (Gate(max_drop=0.02), 0.88, None),
        (Gate(max_drop=None), 0.1, None),
        (Gate(min_accuracy=0.95), 0.9, "gate.min_accuracy asks 0.9500"),
        (Gate(max_bytes=999), 0.9, "has 1,000 bytes; gate.max_bytes allows 999"),
        (Gate(full_integer=True), 0.9, "computes 1 tensors in float (softmax …)"),
    ],
)
def test_rules(tmp_path, rules, score, words):
    reasons = gate.check(rules, *records(tmp_path, score, islands=("softmax",) if rules.full_integer else ()))
    assert len(reasons) == (words is not None)
    assert words is None or words in reasons[0]


def test_a_model_made_worse_on_purpose_fails_and_the_evidence_stays(tmp_path, monkeypatch):
    real = compress.export

    def worse(model, path, *, quantize, **rest):
        """Export int8 with the head's weights turned around."""
        if quantize == "int8":
            broken = keras.models.clone_model(model)
            broken.set_weights(model.get_weights())
            head = broken.get_layer("head")
            head.set_weights([-value for value in head.get_weights()])
            model = broken
        return real(model, path, quantize=quantize, **rest)

    monkeypatch.setattr(stages.compress, "export", worse)
    recipe = Recipe(
        name="worse",
        output=str(tmp_path),
        data=Data(source="digits"),
        model=Model(name="resnet8", width=4),
        train=Train(epochs=3, lr=0.01),
        export=Export(quantize="int8", calibration=32),
        gate=Gate(max_drop=0.0),
    )
    folder = runs.create(dataclasses.replace(recipe))
    with pytest.raises(GateFailed, match=r"model\.tflite loses .* points of test accuracy .* allows 0\.00"):
        run.run(folder)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["gate"]["passed"] is False
    assert report["lite"]["agreement"] < 0.5
    assert "gate failed" in (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "model.tflite").exists()
    assert (folder / "model.keras").exists()
    assert runs.read_manifest(folder)["status"] == "gate failed"
