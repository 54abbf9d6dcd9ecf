import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from recipes.engine.tensorboard import Log


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    return events.Reload()


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(e.step, round(e.tensor_proto.float_val[0], 4)) for e in read(folder).Tensors(tag)]


def test_training_and_validation_share_a_tag_in_two_runs(tmp_path):
    log = Log(tmp_path, "train")
    for epoch in (1, 2, 3):
        log.scalars(epoch, {"loss": 1 / epoch, "val_loss": 2 / epoch, "learning_rate": 0.01})
    log.close()
    assert curve(tmp_path / "train/train", "epoch_loss") == [(1, 1.0), (2, 0.5), (3, 0.3333)]
    assert curve(tmp_path / "train/validation", "epoch_loss") == [(1, 2.0), (2, 1.0), (3, 0.6667)]
    assert curve(tmp_path / "train/train", "epoch_learning_rate")[0] == (1, 0.01)
    assert "epoch_learning_rate" not in read(tmp_path / "train/validation").Tags()["tensors"]


def test_what_is_written_is_on_the_disk_before_close(tmp_path):
    log = Log(tmp_path, "train")
    log.scalars(1, {"loss": 0.5})
    assert curve(tmp_path / "train/train", "epoch_loss") == [(1, 0.5)]
    log.close()


def test_a_resumed_log_shows_no_step_twice(tmp_path):
    first = Log(tmp_path, "train")
    for epoch in (1, 2, 3):
        first.scalars(epoch, {"loss": 10.0 + epoch})
    first.close()
    # killed after epoch 3 was logged, but the checkpoint is that of epoch 2
    second = Log(tmp_path, "train", purge_step=3)
    for epoch in (3, 4):
        second.scalars(epoch, {"loss": 20.0 + epoch})
    second.close()
    assert curve(tmp_path / "train/train", "epoch_loss") == [(1, 11.0), (2, 12.0), (3, 23.0), (4, 24.0)]


def test_a_log_without_purge_step_replaces_the_earlier_one(tmp_path):
    for value in (0.1, 0.2):
        log = Log(tmp_path, "train")
        log.scalars(5 if value == 0.1 else 1, {"loss": value})
        log.close()
    assert curve(tmp_path / "train/train", "epoch_loss") == [(1, 0.2)]


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_come_back_pixel_by_pixel(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, channels), dtype=np.uint8)
    log = Log(tmp_path, "summary")
    log.images("samples", images, 4)
    log.close()
    events = read(tmp_path / "summary")
    assert events.SummaryMetadata("samples").plugin_data.plugin_name == "images"
    (event,) = events.Tensors("samples")
    width, height, *files = event.tensor_proto.string_val
    assert (event.step, width, height, len(files)) == (4, b"7", b"5", 3)
    for file, image in zip(files, images, strict=True):
        (tmp_path / "one.png").write_bytes(file)
        read_back = np.asarray(Image.open(tmp_path / "one.png")).reshape(image.shape)
        np.testing.assert_array_equal(read_back, image)


@pytest.mark.parametrize("count", [2, 60])
def test_the_confusion_matrix_is_darkest_where_the_answers_are(tmp_path, count):
    log = Log(tmp_path, "summary")
    log.confusion(np.eye(count, dtype=int) * 9, tuple(f"$class_{i}" for i in range(count)), 1)
    log.close()
    (event,) = read(tmp_path / "summary").Tensors("confusion matrix")
    width, height, file = event.tensor_proto.string_val
    (tmp_path / "one.png").write_bytes(file)
    pixels = np.asarray(Image.open(tmp_path / "one.png").convert("RGB")).astype(int)
    assert pixels.shape[:2] == (int(height), int(width))
    # matplotlib's Blues end in (8, 48, 107): count cells on the diagonal and no other are filled with it
    rows, columns = np.nonzero((abs(pixels - (8, 48, 107)) <= 2).all(axis=2))
    area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert len(rows) == pytest.approx(area / count, rel=0.15)
    assert np.corrcoef(rows, columns)[0, 1] > 0.7


def test_hparams_tell_runs_apart_and_keep_types(tmp_path):
    for name, rate in (("digits-001", 0.1), ("digits-002", 0.2)):
        log = Log(tmp_path / "runs" / name / "tensorboard", "summary")
        for accuracy in (0.5, 0.75):  # the second call replaces the first
            log.hparams({"lr": rate, "epochs": 3, "ema": False, "optimizer": "sgd"}, {"validation accuracy": accuracy})
        log.close()
    groups = []
    for name, rate in (("digits-001", 0.1), ("digits-002", 0.2)):
        events = read(tmp_path / "runs" / name / "tensorboard/summary")
        content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        start = metadata.parse_session_start_info_plugin_data(content)
        assert start.hparams["lr"].number_value == rate
        assert start.hparams["epochs"].number_value == 3
        assert start.hparams["ema"].HasField("bool_value")
        assert start.hparams["optimizer"].string_value == "sgd"
        assert [e.tensor_proto.float_val[0] for e in events.Tensors("validation accuracy")] == [0.75]
        groups.append(start.group_name)
    assert groups == ["runs/digits-001", "runs/digits-002"]


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "train").write_text("a file is in the way")
    with pytest.raises(OSError):  # noqa: PT011  (which of its subclasses is the system's choice)
        Log(tmp_path, "train").scalars(1, {"loss": 1.0})


def test_it_needs_no_tensorflow(tmp_path):
    code = """
import sys, numpy
from pathlib import Path
from recipes.engine.tensorboard import Log
log = Log(Path(sys.argv[1]), "train")
log.scalars(1, {"loss": 1.0})
log.hparams({"lr": 0.1}, {"accuracy": 1.0})
log.images("x", numpy.zeros((1, 4, 4, 1), numpy.uint8), 1)
log.confusion(numpy.eye(2), ("a", "b"), 1)
log.close()
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
