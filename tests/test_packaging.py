"""The wheel ships the four packages, typed, with their data, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = {"zoo", "recipes", "augment", "compress"}


def test_the_wheel_ships_exactly_the_four_packages(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("edgezoo-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == ROOMS
    assert {f"{room}/py.typed" for room in ROOMS} <= set(names)
    assert "recipes/engine/report.html.j2" in names
    assert "recipes/digits.py" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name]


def test_no_init_in_tests_and_no_shared_basket():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    files = tracked or [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.py") if ".venv" not in str(p)]
    assert not [name for name in files if name.startswith("tests/") and name.endswith("__init__.py")]
    assert not [name for name in files if Path(name).stem in {"utils", "common", "helpers"}]
    benchmarks = {Path(name).stem for name in files if name.startswith("benchmarks/")}
    assert not benchmarks & ROOMS, "a script's neighbour of that name would replace the package"
