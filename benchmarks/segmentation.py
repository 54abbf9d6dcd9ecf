"""What learning adds to thresholds: a run's masks against multi-Otsu, on the same test split.

    edgezoo run brain
    python benchmarks/segmentation.py mni152_brain
    python benchmarks/segmentation.py nuclei

Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979, section II, and for several thresholds its
equation 30: those that maximise the variance between the classes. They are chosen on the training images; the classes
are put in the order of their brightness. Prints the mean IoU and the IoU of each class.
"""

import itertools
import sys

import numpy as np

from recipes.engine import Data, data
from recipes.engine.tasks import segment


def thresholds(images: np.ndarray, classes: int) -> tuple[int, ...]:
    """The `classes - 1` grey values, each the first of its class, that maximise the variance between the classes.

    Args:
        images: uint8, any shape.
        classes: 2 or more; all combinations are tried, so no more than 4.
    """
    counts = np.bincount(images.ravel(), minlength=256).astype(np.float64)
    weight = np.concatenate([[0.0], counts.cumsum()])
    total = np.concatenate([[0.0], (counts * np.arange(256)).cumsum()])

    def between(cuts: tuple[int, ...]) -> float:
        edges = np.array([0, *cuts, 256])
        size, values = np.diff(weight[edges]), np.diff(total[edges])
        return float(np.divide(values**2, size, out=np.zeros(classes), where=size > 0).sum())

    return max(itertools.combinations(range(1, 256), classes - 1), key=between)


def main(source: str) -> None:
    """Print the baseline of a named data set or a folder."""
    examples = data.load(Data(source=source), progress=False)
    classes = len(examples.classes)
    train, test = examples.train, examples.test
    cuts = thresholds(train.inputs, classes)
    brightness = [train.inputs[..., 0][train.labels == index].mean() for index in range(classes)]
    order = np.argsort(brightness)
    answers = order[np.digitize(test.inputs[..., 0], cuts)]
    counts = segment.confusion(answers, test.labels, classes)
    overlaps = segment.iou(counts)
    print(f"{source}: multi-Otsu thresholds {cuts}, {len(test)} test images")
    print(f"mIoU {segment.mean(overlaps):.4f}  pixel accuracy {np.diag(counts).sum() / counts.sum():.4f}")
    for name, value in zip(examples.classes, overlaps, strict=True):
        print(f"  {name:<16} IoU {value:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
