"""The gate: what the exported file must hold."""

import compress
from recipes.engine.records import Gate
from recipes.engine.results import LABELS, Evaluation


def check(gate: Gate, artifact: compress.Artifact, verification: compress.Verification, test: Evaluation) -> list[str]:
    """The reasons for which the file fails; none when it passes.

    Accuracy (for masks mIoU) is the file's own on the test split against the float Keras model's: no choice is made by
    it, so the test split stays a fair judge.
    """
    reasons = []
    name, score = LABELS[test.measure], verification.lite_score
    drop = test.score - score
    if gate.max_drop is not None and drop > gate.max_drop + 1e-9:
        reasons.append(
            f"{artifact.path.name} loses {100 * drop:.2f} points of test {name} against the float model "
            f"({test.score:.4f} → {score:.4f}); gate.max_drop allows {100 * gate.max_drop:.2f}"
        )
    if gate.min_accuracy is not None and score < gate.min_accuracy:
        reasons.append(
            f"{artifact.path.name} is right on {score:.4f} of the test data; "
            f"gate.min_accuracy asks {gate.min_accuracy:.4f}"
        )
    if gate.min_miou is not None and score < gate.min_miou:
        reasons.append(
            f"{artifact.path.name} has a mIoU of {score:.4f} on the test images; gate.min_miou asks {gate.min_miou:.4f}"
        )
    if gate.max_bytes is not None and artifact.bytes > gate.max_bytes:
        reasons.append(f"{artifact.path.name} has {artifact.bytes:,} bytes; gate.max_bytes allows {gate.max_bytes:,}")
    if gate.full_integer and artifact.float_tensors:
        names = ", ".join(artifact.float_tensors[:3])
        reasons.append(
            f"{artifact.path.name} computes {len(artifact.float_tensors)} tensors in float ({names} …); "
            "gate.full_integer allows none"
        )
    return reasons
