import subprocess
import sys

import pytest

from zoo.__main__ import main


def test_list_shows_the_names_that_match(capsys):
    assert main(["list", "resnet*v2"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("resnet20v2", "resnet50v2", "resnet152v2"))
    assert "mobilenet" not in shown


def test_card_shows_the_figures(capsys):
    assert main(["card", "resnet8", "--input-shape", "32", "32", "3", "--classes", "10"]) == 0
    assert "75,290" in capsys.readouterr().out


def test_weights_shows_what_is_published(capsys):
    assert main(["weights", "mobilenet_v2"]) == 0
    shown = capsys.readouterr().out
    assert "torchvision" in shown
    assert "imagenet" in shown
    assert "resnet" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["card", "resnet9"], "there is no model 'resnet9'; did you mean resnet"),
        (["card", "resnet8", "--classes", "1"], "classes must be"),
        (["card", "resnet8", "--input-shape", "2", "2", "3"], "at least 4 x 4"),
        (["list", "zzz*"], "no model matches 'zzz*'"),
        (["weights", "unet"], "no published weights"),
        (["list", "--task", "fly"], "task must be 'anomaly' or 'classify'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message) or message in err
    assert err.count("\n") == 1


def test_it_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "zoo", "card", "nothing-like-it"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no model 'nothing-like-it'" in done.stderr
    assert "Traceback" not in done.stderr
