"""A small model that learns from a large one."""

from collections.abc import Mapping
from typing import Any

import keras

from compress.errors import CompressError
from compress.functional import has_graph
from compress.graph import cloned
from compress.kinds import activation_name, core
from compress.mask import Mask
from compress.ranges import Range


def distill(
    teacher: keras.Model,
    student: keras.Model,
    *,
    temperature: float = 4.0,
    labels: float = 0.5,
    features: Mapping[str, str] | None = None,
    feature_weight: float = 1.0,
) -> keras.distillation.Distiller:
    """A model that trains `student` to answer as `teacher` does: compile and fit it, then use `student`.

    The loss is `labels * loss(y) + (1 - labels) * (T^2 KL(teacher / T, student / T) + feature_weight * MSE(features))`,
    the answers softened by the temperature T (Hinton et al. 2015, arXiv:1503.02531, section 2; features: Romero et al.
    2015, arXiv:1412.6550). It is `keras.distillation.Distiller`. The student may be pruned, clustered or
    quantization-aware: a teacher is what brings the accuracy back.

    Args:
        teacher: a trained model whose outputs are logits. It is copied, and stays as it is; a subclassed one is not
            copied, and gets `trainable = False`.
        student: a model with outputs of the same shape, logits too; it is trained in place.
        temperature: above 0; higher ones tell more of the wrong classes.
        labels: share of the loss of the true labels, 0-1.
        features: names of layers of the teacher → of the student, whose outputs are to be alike; of the same shapes.
        feature_weight: of each of those beside the answers.

    Raises:
        CompressError: the outputs differ in shape or end in a softmax, a layer is not there or differs in shape, a
            number is out of its range, both are one model, or features are asked of a pruned or quantization-aware
            student.
    """
    if student is teacher:
        raise CompressError("teacher and student are one model; give a copy, or another network")
    if teacher.output_shape != student.output_shape:
        raise CompressError(
            f"the teacher answers with shape {teacher.output_shape}, the student with {student.output_shape}"
        )
    if not temperature > 0 or not 0 <= labels <= 1:
        raise CompressError(f"temperature={temperature} must be above 0 and labels={labels} from 0 to 1")
    for model in (teacher, student):
        for tensor in keras.tree.flatten(model.outputs):
            if _softmax(tensor._keras_history.operation):
                raise CompressError(f"model {model.name!r} ends in a softmax; distillation compares logits")
    # An instance: given by name, Keras 3.15 takes the divergence of the logits themselves, which are no distributions.
    divergence = keras.losses.KLDivergence()
    if features and any(isinstance(layer, (Mask, Range)) for layer in student._flatten_layers()):
        raise CompressError("features= runs the student twice a step, which masks and ranges would count as two steps")
    losses: list[Any] = [keras.distillation.LogitsDistillation(temperature, divergence)]
    for theirs, ours in (features or {}).items():
        shapes = [_shape(model, name) for model, name in ((teacher, theirs), (student, ours))]
        if shapes[0] != shapes[1]:
            raise CompressError(
                f"layer {theirs!r} of the teacher gives {shapes[0]}, {ours!r} of the student {shapes[1]}"
            )
        losses.append(keras.distillation.FeatureDistillation(teacher_layer_name=theirs, student_layer_name=ours))
    weights = [1.0, *[feature_weight] * (len(losses) - 1)]
    return keras.distillation.Distiller(_copy(teacher), student, losses, weights, student_loss_weight=labels)


def _copy(teacher: keras.Model) -> keras.Model:
    """A teacher of its own for `Distiller`, which freezes it: what is made of a frozen model later would be frozen."""
    if not has_graph(teacher):
        return teacher
    copy = keras.models.clone_model(teacher, clone_function=cloned, recursive=True)
    copy.set_weights(teacher.get_weights())
    return copy


def _softmax(operation: object) -> bool:
    operation = core(operation)
    name = getattr(getattr(operation, "activation", None), "__name__", "")
    return "softmax" in (name, activation_name(operation))


def _shape(model: keras.Model, name: str) -> tuple[int | None, ...]:
    found = [layer for layer in model.layers if layer.name == name]
    if not found:
        raise CompressError(f"model {model.name!r} has no layer {name!r}")
    return tuple(found[0].output.shape)
