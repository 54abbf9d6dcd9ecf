"""Long work shows progress: a bar in a terminal, a line an epoch elsewhere."""

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from recipes.engine.results import LABELS

console = Console(highlight=False, soft_wrap=True)


class Progress:
    """Progress of one training phase of `epochs` epochs, judged by `measure` (a key of `results.LABELS`)."""

    def __init__(self, phase: str, epochs: int, measure: str = "accuracy") -> None:
        self.phase, self.epochs, self.measure, self.done = phase, epochs, measure, 0
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}  loss {task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task(phase, total=epochs, epoch=1, epochs=epochs, loss="")
        self.bar.start()

    def step(self, step: int, steps: int, loss: float) -> None:
        """After `step` of the epoch's `steps` batches."""
        self.bar.update(self.task, completed=self.done + step / steps, loss=f"{loss:.4f}")

    def epoch(self, number: int, values: dict[str, float], *, best: bool) -> None:
        """After epoch `number` (from 1): print its line."""
        self.done = number
        self.bar.update(self.task, completed=number, epoch=min(number + 1, self.epochs))
        score = LABELS[self.measure]
        console.print(
            f"{self.phase} {number:>3}/{self.epochs}  "
            f"loss {values['loss']:.4f}  {score} {values[self.measure]:.4f}  "
            f"validation loss {values['val_loss']:.4f}  {score} {values[f'val_{self.measure}']:.4f}  "
            f"{values['seconds']:.1f} s{'  best' if best else ''}"
        )

    def close(self) -> None:
        """Take the bar off the screen."""
        self.bar.stop()
