"""A run: data → model → train → evaluate → compress → export → verify → report, each a call below."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from recipes.engine import data, gate, network, overlays, report, runs, shipping, smaller, stages
from recipes.engine.errors import GateFailed, UserError
from recipes.engine.files import sha256, write_json
from recipes.engine.progress import console
from recipes.engine.recipe_file import to_plain
from recipes.engine.records import Recipe
from recipes.engine.results import LABELS, Evaluation, Examples
from recipes.engine.summary import print_outcome
from recipes.engine.tasks import TASKS
from recipes.engine.tensorboard import Log


def run(folder: Path) -> report.Facts:
    """Run the recipe in `folder` (made by `runs.create`); what is already there is not done again.

    Raises:
        UserError: bad input.
        TrainingFailed: the loss became NaN.
        GateFailed: the file does not hold what the recipe's gate asks; the report is written first.
    """
    recipe, summary = runs.read_recipe(folder), runs.read_manifest(folder)["summary"]
    examples = load(recipe, folder)
    new, prepared = network.build(recipe, examples)
    if not (folder / "model.keras").exists():
        smaller.check(new, recipe)
        shipping.preflight(new, recipe)
    model, histories = stages.trained(new, recipe, examples, prepared, folder)
    validation, test = stages.judge(model, examples, prepared)
    less, recovery = smaller.smaller(model, recipe, examples, prepared, folder)
    small, fine_tuning = stages.compressed(less, recipe, examples, prepared, folder, teacher=model)
    shipped = shipping.ship(model, small, recipe, examples, prepared, folder, summary=summary)
    reasons = gate.check(recipe.gate, shipped.artifact, shipped.verification, test)
    facts = report.Facts(
        recipe=to_plain(recipe),
        title=recipe.name,
        summary=summary,
        manifest=finish(folder, passed=not reasons),
        examples=examples,
        histories=(*histories, *recovery, *fine_tuning),
        validation=validation,
        test=test,
        smaller=None if less is model else smaller.described(less, stages.tested(less, examples, prepared)),
        quantized_aware=None if small is less else stages.tested(small, examples, prepared),
        lite=lite_facts(shipped, test),
        shown=stages.drawn(model, examples, prepared, test),
        samples=TASKS[examples.task].samples(model, examples.test, prepared),
        gate={"passed": not reasons, "reasons": reasons, "rules": dataclasses.asdict(recipe.gate)},
        parameters=model.count_params(),
        macs=zoo.macs(model),
    )
    write_json(folder / "metrics.json", metrics(facts))
    log_pictures(folder, facts)
    print_outcome(facts, report.write(folder, facts))
    if reasons:
        raise GateFailed("; ".join(reasons))
    return facts


def load(recipe: Recipe, folder: Path) -> Examples:
    """The data; where the run is a resumed one, checked against what it was started with."""
    examples = data.load(recipe.data)
    known = runs.read_manifest(folder).get("data_fingerprint")
    if known not in (None, examples.fingerprint):
        raise UserError(
            f"the data of {recipe.data.source} changed since {folder} was started (fingerprint {known[:12]} then, "
            f"{examples.fingerprint[:12]} now); put it back, or start a new run"
        )
    runs.update_manifest(folder, {"data_fingerprint": examples.fingerprint})
    for note in examples.notes:
        console.print(f"note: {note}")
    return examples


def finish(folder: Path, *, passed: bool) -> dict[str, Any]:
    """Close the manifest: status, time, and the hash of each file that the run made."""
    files = [p for p in sorted(folder.iterdir()) if p.suffix in (".keras", ".tflite") and not p.name.startswith(".")]
    return runs.update_manifest(
        folder,
        {
            "status": "finished" if passed else "gate failed",
            "finished": runs.now(),
            "artifacts": {p.name: {"bytes": p.stat().st_size, "sha256": sha256(p)} for p in files},
        },
    )


def lite_facts(shipped: shipping.Shipped, test: Evaluation) -> dict[str, Any]:
    """What the report says of the exported file."""
    artifact, verification = shipped.artifact, shipped.verification
    return {
        "name": artifact.path.name,
        "quantize": artifact.quantize,
        "target": artifact.target,
        "micro": dataclasses.asdict(verification.micro) if verification.micro else None,
        "bytes": artifact.bytes,
        "gzip_bytes": verification.gzip_bytes,
        "float_bytes": shipped.float_artifact.bytes,
        "latency_ms": verification.latency_ms,
        "threads": verification.threads,
        "threads_latency_ms": verification.threads_latency_ms,
        "peak_bytes": verification.peak_bytes,
        "float_peak_bytes": shipped.float_verification.peak_bytes,
        "undelegated": verification.undelegated,
        "densified": list(verification.densified),
        "float_latency_ms": shipped.float_verification.latency_ms,
        test.measure: verification.lite_score,
        f"float_{test.measure}": test.score,
        "agreement": verification.agreement,
        "samples": verification.samples,
        "ops": artifact.ops,
        "float_tensors": list(artifact.float_tensors),
        "sha256": artifact.sha256,
        "input_dtype": artifact.input.dtype,
        "output_dtype": artifact.output.dtype,
    }


def metrics(facts: report.Facts) -> dict[str, Any]:
    """The figures of `metrics.json`."""
    return {
        "validation": _figures(facts.validation),
        "test": _figures(facts.test),
        "lite": facts.lite,
        "gate": facts.gate,
    }


def _figures(evaluation: Evaluation) -> dict[str, float]:
    return evaluation.figures | {"loss": evaluation.loss}


def log_pictures(folder: Path, facts: report.Facts) -> None:
    """TensorBoard's pictures and HParams: training samples, masks, the confusion matrix on validation, the recipe."""
    epochs = len(facts.histories[0].curves["loss"])
    log = Log(folder / "tensorboard", "summary")
    examples = facts.examples
    chosen = np.random.default_rng(0).permutation(len(examples.train))[:16]
    if examples.modality == "image":
        log.images("training samples", examples.train.inputs[chosen], epochs)
    if facts.shown:
        log.images("test images: truth, answer", overlays.triptychs(facts.shown, examples.classes), epochs)
    if facts.validation.confusion:
        log.confusion(np.array(facts.validation.confusion), examples.classes, epochs)
    judged = {"validation": facts.validation, "test": facts.test}
    settings = {f"{room}.{k}": v for room in ("model", "train") for k, v in facts.recipe[room].items()}
    log.hparams(
        {k: v for k, v in settings.items() if isinstance(v, str | int | float | bool)},
        {f"{split} {LABELS[score.measure]}": score.score for split, score in judged.items()},
    )
    log.close()
