"""The loss for masks: Dice, cross-entropy, or both, with class weights inside and unknown pixels left out."""

from typing import Any, Literal

import keras
from keras import ops

from recipes.engine.results import IGNORE

Kind = Literal["cross_entropy", "dice", "dice_cross_entropy"]


@keras.saving.register_keras_serializable(package="edgezoo")
class MaskLoss(keras.losses.Loss):
    """The sum of a Dice loss and a cross-entropy, or one of them, over the pixels that are not `IGNORE`.

    Dice is 1 - the mean over the classes of `(2 Σ p g + 1) / (Σ p + Σ g + 1)`: Milletari, Navab, Ahmadi, "V-Net",
    3DV 2016, arXiv:1606.04797, section 3, without the squares in the denominator, as in Drozdzal et al., "The
    Importance of Skip Connections in Biomedical Image Segmentation", 2016, arXiv:1608.04117. The sums run
    over the whole batch, so that a class which an image lacks does no harm; the 1 keeps a class that the whole batch
    lacks from dividing by zero.

    Cross-entropy is the mean over the pixels, each counted with the weight of its class. Keras's `class_weight` and
    `sample_weight` do not serve: it takes no masks.

    Args:
        kind: `cross_entropy`, `dice` or `dice_cross_entropy`.
        weights: one a class, for the cross-entropy and for Dice's mean over the classes; None is all alike.
        label_smoothing: share of the cross-entropy's target that is spread over all classes.
        name: of the loss.
        reduction: as Keras passes it when it loads a loss; `call` reduces already.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        weights: tuple[float, ...] | None = None,
        label_smoothing: float = 0.0,
        name: str = "mask_loss",
        reduction: str = "sum_over_batch_size",
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        self.kind, self.label_smoothing = kind, label_smoothing
        self.weights = None if weights is None else tuple(weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """A scalar.

        Args:
            y_true: class indices or `IGNORE`, `(batch, height, width)`.
            y_pred: logits, `(batch, height, width, classes)`.
        """
        classes = y_pred.shape[-1]
        truth = ops.cast(y_true, "int32")
        known = ops.cast(ops.not_equal(truth, IGNORE), y_pred.dtype)[..., None]
        target = ops.one_hot(truth, classes, dtype=y_pred.dtype)  # IGNORE becomes all zeros
        weights = (
            ops.ones(classes, y_pred.dtype)
            if self.weights is None
            else ops.convert_to_tensor(self.weights, y_pred.dtype)
        )
        total = ops.zeros((), y_pred.dtype)
        if "dice" in self.kind:
            share = ops.softmax(y_pred, axis=-1) * known
            axes = tuple(range(len(y_pred.shape) - 1))
            both = ops.sum(share * target, axis=axes)
            either = ops.sum(share, axis=axes) + ops.sum(target, axis=axes)
            dice = (2.0 * both + 1.0) / (either + 1.0)
            total = total + 1.0 - ops.sum(weights * dice) / ops.sum(weights)
        if "cross_entropy" in self.kind:
            smooth = target * (1.0 - self.label_smoothing) + known * self.label_smoothing / classes
            surprise = -ops.sum(smooth * ops.log_softmax(y_pred, axis=-1), axis=-1)
            each = ops.sum(weights * target, axis=-1)
            total = total + ops.sum(each * surprise) / ops.maximum(ops.sum(each), 1e-6)
        return total

    def get_config(self) -> dict[str, Any]:
        """What it is made of."""
        own = {"kind": self.kind, "weights": self.weights, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own}
