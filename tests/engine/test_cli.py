"""The command line as a user meets it: results, and one sentence with exit code 2 for each mistake."""

import errno
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from recipes.engine import cli, files
from recipes.engine.recipe_file import load

SMALL = [
    "--data.limit=8",
    "--model.width=4",
    "--train.epochs=1",
    "--train.batch-size=16",
    "--gate.max-drop=None",
    "--gate.min-accuracy=None",
    "--export.calibration=16",
]

SCRIPT = '''"""Mine."""
from recipes.engine import Recipe, main
recipe = Recipe(name="mine")
if __name__ == "__main__":
    main(recipe)
'''


def call(args, capsys):
    """Exit code, output and error output of `edgezoo ARGS`, in this process."""
    capsys.readouterr()
    try:
        cli.guarded(lambda: cli.dispatch([str(a) for a in args]))
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    said = capsys.readouterr()
    return code, said.out, said.err


def sentence(args, capsys):
    """The one sentence of a user's mistake."""
    code, _, error = call(args, capsys)
    assert code == 2, error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on a folder of pictures, made without a line of code."""
    home = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (home / "pictures" / name).mkdir(parents=True)
        for i in range(20):
            image = np.clip(rng.normal(level, 20, (12, 12)), 0, 255).astype(np.uint8)
            Image.fromarray(image).save(home / "pictures" / name / f"{i}.png")
    before = os.getcwd()
    os.chdir(home)
    try:
        cli.dispatch(["new", "shades", "--data", "pictures"])
        cli.dispatch(
            [
                "run",
                "shades.py",
                "--train.epochs=8",
                "--model.width=4",
                "--train.batch-size=8",
                "--gate.max-drop=None",
            ]
        )
    finally:
        os.chdir(before)
    return home / "runs" / "shades-001"


def test_help_is_quick_and_imports_no_framework():
    code = (
        "import sys\nfrom recipes.engine import cli\ncli.dispatch(['--help'])\n"
        "assert not {'tensorflow', 'keras', 'sklearn', 'numpy'} & set(sys.modules), 'a framework was imported'"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "predict" in done.stdout
    assert time.monotonic() - started < 30


def test_a_run_keeps_everything_in_its_folder(finished):
    names = {p.name for p in finished.iterdir()}
    assert {
        "recipe.json",
        "manifest.json",
        "model.keras",
        "model.tflite",
        "metrics.json",
        "report.html",
        "report.json",
        "tensorboard",
    } <= names
    assert not [n for n in names if "tmp" in n or "checkpoint" in n]
    about = json.loads((finished / "manifest.json").read_text())
    assert about["status"] == "finished"
    assert about["artifacts"]["model.tflite"]["sha256"] == files.sha256(finished / "model.tflite")
    lite = json.loads((finished / "metrics.json").read_text())["lite"]
    assert (lite["input_dtype"], lite["output_dtype"], lite["float_tensors"]) == ("int8", "int8", [])


@pytest.mark.parametrize("how", [[], ["--lite"]])
def test_predict(finished, capsys, how):
    pictures = finished.parents[1] / "pictures"
    code, out, error = call(
        ["predict", finished, pictures / "dark" / "1.png", pictures / "light" / "1.png", *how], capsys
    )
    assert code == 0, error
    first, second = out.splitlines()
    assert "1.png: dark " in first
    assert "1.png: light " in second


def test_the_lite_file_is_enough_to_predict(finished, capsys, tmp_path):
    alone = tmp_path / "alone.tflite"
    alone.write_bytes((finished / "model.tflite").read_bytes())
    code, out, _ = call(["predict", alone, finished.parents[1] / "pictures" / "light" / "2.png"], capsys)
    assert code == 0
    assert ": light " in out


def test_evaluate_export_and_list(finished, capsys, monkeypatch):
    monkeypatch.chdir(finished.parents[1])
    code, out, error = call(["evaluate", finished], capsys)
    assert code == 0, error
    assert "model.tflite" in out
    code, out, error = call(["export", finished, "--quantize", "float16"], capsys)
    assert code == 0, error
    assert (finished / "model_float16.tflite").exists()
    code, out, error = call(["list"], capsys)
    assert code == 0, error
    assert "resnet20" in out
    assert "digits" in out
    assert "shades-001" in out


def test_resume_of_a_finished_run_says_so(finished, capsys):
    code, out, _ = call(["resume", finished], capsys)
    assert code == 0
    assert "already finished" in out


def test_the_gate_fails_the_run_and_keeps_the_evidence(tmp_path, capsys):
    code, _, error = call(
        ["run", "digits", *SMALL, "--output", tmp_path, "--gate.max-drop=0", "--gate.max-bytes=100"], capsys
    )
    assert code == 1
    assert "gate.max_bytes allows 100" in error
    folder = tmp_path / "digits-001"
    report = json.loads((folder / "report.json").read_text())
    assert report["gate"]["passed"] is False
    assert (folder / "model.tflite").exists()
    assert json.loads((folder / "manifest.json").read_text())["status"] == "gate failed"


def test_a_nan_loss_stops_with_the_reason(tmp_path, capsys):
    code, _, error = call(
        [
            "run",
            "digits",
            *SMALL,
            "--output",
            tmp_path,
            "--train.lr=1e30",
            "--train.epochs=3",
            "--train.optimizer=sgd",
        ],
        capsys,
    )
    assert code == 1
    assert "lower train.lr (it is 1e+30)" in error


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["rnu"], "did you mean run"),
        (["run"], "which recipe"),
        (["run", "digts"], "did you mean digits"),
        (["run", "digits", "--train.epoch", "3"], "did you mean train.epochs"),
        (["run", "digits", "--train.epochs", "many"], "invalid literal"),
        (["run", "digits", "--model.name", "resnet21"], "resnet20"),
        (["run", "digits", "--model.spec", '{"depth": 3}'], "depths"),
        (["run", "digits", "--data.source", "no/such/folder"], "no/such/folder"),
        (["resume", "no/such/run"], "does not exist"),
        (["tune", "digits", "--over", "train.lrr=1:2"], "did you mean train.lr"),
        (["new", "1x", "--data", "x"], "cannot name a recipe"),
        (["new", "numpy", "--data", "x"], "installed Python module"),
        (["predict", "no/such/run", "x.png"], "does not exist"),
        (["export", "no/such/run"], "does not exist"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, capsys, args, words):
    monkeypatch.chdir(tmp_path)
    assert words in sentence(args, capsys)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_not_a_tflite(finished, tmp_path, capsys):
    fake = tmp_path / "fake.tflite"
    fake.write_bytes(b"hello" * 100)
    picture = finished.parents[1] / "pictures" / "dark" / "1.png"
    assert "fake.tflite" in sentence(["predict", fake, picture], capsys)


def test_not_a_picture(finished, tmp_path, capsys):
    (tmp_path / "x.png").write_text("hello")
    for how in ([], ["--lite"]):
        assert "x.png" in sentence(["predict", finished, tmp_path / "x.png", *how], capsys)


def test_a_run_of_another_version(finished, tmp_path, capsys):
    folder = tmp_path / "old-001"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"format": 0, "versions": {"edgezoo": "0.0.1"}}))
    for command in ("resume", "evaluate", "export"):
        assert "has format 0 (edgezoo 0.0.1)" in sentence([command, folder], capsys)


def test_a_full_disk(tmp_path, capsys, monkeypatch):
    real = os.fsync

    def full(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".npz"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor)

    monkeypatch.setattr(files.os, "fsync", full)
    assert "the disk is full" in sentence(["run", "digits", *SMALL, "--output", tmp_path / "out"], capsys)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_output_that_cannot_be_written(tmp_path, capsys, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    assert "cannot be written" in sentence(["run", "digits", *SMALL, "--output", tmp_path / "out"], capsys)


def test_a_loaded_recipe_is_what_the_script_runs(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    assert load(str(script)).recipe.name == "mine"
    done = subprocess.run(
        [sys.executable, str(script), "--train.epochz", "3"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr == "error: unknown option --train.epochz; did you mean train.epochs?\n"
