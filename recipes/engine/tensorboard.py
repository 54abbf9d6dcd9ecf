"""TensorBoard logs, written without TensorFlow: curves, pictures, and the table of hyperparameters.

    runs/digits-001/tensorboard/train/train        epoch_loss, epoch_accuracy, epoch_learning_rate, …
    runs/digits-001/tensorboard/train/validation   epoch_loss, epoch_accuracy
    runs/digits-001/tensorboard/summary            pictures, and the hyperparameters with their metrics

Tags are those of `keras.callbacks.TensorBoard`, so training and validation share a chart.
`tensorboard --logdir runs` shows all runs side by side.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.image.metadata import create_summary_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from recipes.engine.files import whole
from recipes.engine.pictures import heat_map, picture, png


class Log:
    """The log of one phase of a run.

    Each event is on the disk when its method returns. Whatever an earlier log wrote to the same phase at
    `purge_step` or later no longer counts (TensorBoard's `SessionLog.START`): a run that resumes at epoch k
    passes k, and no step shows twice; a log that starts anew, at the default 0, replaces the earlier one.

    Args:
        folder: the run's `tensorboard` folder; made when first written to.
        phase: `train`, `quantize`, …: the folder below it.
        purge_step: the first step that this log is going to write.
    """

    def __init__(self, folder: Path, phase: str, *, purge_step: int = 0) -> None:
        self._folder = folder / phase
        self._trial = "/".join(folder.absolute().parts[-3:-1])
        self._purge_step = purge_step
        self._files: dict[str, BinaryIO] = {}

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """One point of each curve; `val_loss` is `epoch_loss` of the sub-run `validation`."""
        for name, value in values.items():
            run = "validation" if name.startswith("val_") else "train"
            self._write(run, step, scalar_pb(f"epoch_{name.removeprefix('val_')}", value))

    def images(self, tag: str, images: np.ndarray, step: int) -> None:
        """Pictures under one tag: uint8 `(count, height, width, channels)`, 0-255."""
        height, width = images.shape[1:3]
        self._pictures(tag, step, (width, height), [png(picture(image)) for image in images])

    def confusion(self, matrix: np.ndarray, classes: tuple[str, ...], step: int) -> None:
        """A confusion matrix as a picture: counts `(classes, classes)`, row is truth, column answer."""
        figure = heat_map(matrix, classes)
        self._pictures("confusion matrix", step, figure.size, [png(figure)])

    def hparams(self, values: dict[str, str | int | float | bool], metrics: dict[str, float]) -> None:
        """One row of the HPARAMS table: what was chosen, what came out. A second call replaces the first."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with whole(self._folder / "events.out.tfevents.hparams") as temporary, temporary.open("wb") as stream:
            events = [Event(summary=scalar_pb(name, value)) for name, value in metrics.items()]
            start = Event(summary=hparams_pb(values, trial_id=self._trial))
            _append(stream, [Event(file_version="brain.Event:2"), start, *events])

    def close(self) -> None:
        """Close the files; a later write opens new ones."""
        for stream in self._files.values():
            stream.close()
        self._files.clear()

    def _pictures(self, tag: str, step: int, size: tuple[int, int], files: list[bytes]) -> None:
        tensor = make_tensor_proto([str(size[0]).encode(), str(size[1]).encode(), *files])
        metadata = create_summary_metadata(display_name=None, description=None)
        self._write("", step, Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)]))

    def _write(self, run: str, step: int, summary: Summary) -> None:
        if run not in self._files:
            self._files[run] = self._open(run)
        _append(self._files[run], [Event(step=step, summary=summary)])

    def _open(self, run: str) -> BinaryIO:
        folder = self._folder / run
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names.
        stream = (folder / f"events.out.tfevents.{time.time_ns()}").open("xb")
        session = Event(step=self._purge_step, session_log=SessionLog(status=SessionLog.START))
        _append(stream, [Event(file_version="brain.Event:2"), session])
        return stream


def _append(stream: BinaryIO, events: Iterable[Event]) -> None:
    """Append events with the current time, as TFRecords."""
    writer = RecordWriter(stream)
    for event in events:
        event.wall_time = time.time()
        writer.write(event.SerializeToString())
    writer.flush()
