"""The recipe: frozen, validated records and nothing else.

A recipe is data. Each record is a pydantic dataclass: a wrong type or an unknown field is refused when it is
built, whether it comes from Python, JSON, YAML or the command line. This module imports no framework, so that
`edgezoo --help` stays quick.
"""

import json
from dataclasses import field
from typing import Annotated, Any, Literal

import tyro
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

CONFIG = ConfigDict(extra="forbid")

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


Json = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="JSON",
    instance_from_str=lambda words: _object(words[0]),
    is_instance=lambda value: isinstance(value, dict),
    str_from_instance=lambda value: [json.dumps(value)],
)
"""How the command line reads and shows a dictionary."""


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text!r} is not a JSON object")
    return value


@dataclass(frozen=True, config=CONFIG)
class Data:
    """Where the examples come from and how they are split."""

    source: str = "digits"
    """`digits`, a name from `edgezoo data list`, a folder, or a file: `.npz`, `.csv`, `.tsv`, `.jsonl`, `.ts`,
    `.txt`."""
    task: Literal["auto", "classify", "segment", "forecast", "generate", "translate", "embed"] = "auto"
    """What is learnt. `auto` is what a named data set is for, masks where there are some, and else classes; a table
    with a row a step must say `forecast`, and plain texts `generate` or `embed`."""
    size: Annotated[int, Field(ge=4, le=2048)] | None = None
    """Height and width in pixels that images are resized to; None keeps the size of the first image."""
    color: Literal["auto", "grey", "rgb"] = "auto"
    """Channels: `auto` takes grey when every image is grey."""
    validation: Fraction = 0.15
    """Share of the examples held out to choose on (stratified), where the source brings no validation split. 0 holds
    out nothing: epochs are judged on the training examples themselves, for sets of a few dozen examples."""
    test: Share = 0.15
    """Share of the examples held out to report on (stratified), where the source brings no test split."""
    limit: Count | None = None
    """At most so many training examples a class, in tasks without classes in all (seeded); None takes all."""
    normalize: Literal["unit", "standard"] = "unit"
    """Images. `unit`: pixel / 255. `standard`: then minus the mean, over the deviation, of the training split."""
    balance: Literal["none", "weights"] = "none"
    """`weights` weighs each class by total / (classes * count) in the loss; for masks, pixels are counted."""
    on_bad: Literal["fail", "skip"] = "fail"
    """What an unreadable image, text or clip does: stop with its name, or leave it out and list it in the report."""
    label: str = "label"
    """CSV, JSONL: the column with the class."""
    text: str = "text"
    """CSV, JSONL: the column with the text."""
    columns: tuple[str, ...] = ()
    """CSV: the channels of a series, none for all columns of numbers; of a translation the two columns, none for
    `source` and `target`."""
    target: tuple[str, ...] = ()
    """Forecasts: those of the columns that are forecast, none for all."""
    window: Count = 24
    """Forecasts: steps that the model sees."""
    horizon: Count = 12
    """Forecasts: steps that follow, which it is to tell."""
    stride: Count = 1
    """Forecasts: steps from one window to the next."""
    anchor: Literal["last", "season", "none"] = "last"
    """Forecasts: count all values from the last one that is seen, where all columns are forecast: trends then go on;
    or each from that of its place in the last season that is seen; or from the mean of the training split."""
    logarithm: bool = False
    """Forecasts: take the logarithm of all values first, for what grows by a share of itself."""
    season: Annotated[int, Field(ge=0)] = 0
    """Forecasts: steps after which the series repeats itself: repeating the last season is shown as a baseline."""
    rate: Annotated[int, Field(ge=1000, le=192000)] = 16000
    """Audio: samples a second; clips at another rate are resampled."""
    seconds: Annotated[float, Field(gt=0.0, le=60.0)] = 1.0
    """Audio: length of a clip; shorter ones are followed by silence, longer ones cut."""
    frame: Annotated[float, Field(gt=0.0, le=1.0)] = 0.04
    """Audio: seconds of each frame of the spectrogram."""
    hop: Annotated[float, Field(gt=0.0, le=1.0)] = 0.02
    """Audio: seconds from one frame to the next."""
    mels: Annotated[int, Field(ge=4, le=256)] = 40
    """Audio: bands of the mel scale."""
    coefficients: Annotated[int, Field(ge=0, le=256)] = 10
    """Audio: coefficients of the cepstrum (MFCC), at most `mels`; 0 keeps the bands."""
    tokenizer: str = "auto"
    """Texts: `word`, `char`, `wordpiece` or `bpe`, made from the training split; or a `tokenizer.json` or `vocab.txt`,
    or a folder with one. `auto` chooses by the task."""
    vocabulary: Annotated[int, Field(ge=16, le=1_000_000)] = 8000
    """Texts: most tokens of a tokenizer that is made."""
    steps: Annotated[int, Field(ge=2, le=8192)] = 128
    """Texts: tokens that the model reads at once; longer texts are cut."""
    context: Count = 4
    """Vectors of words: most words on each side that count as near."""
    negatives: Count = 5
    """Vectors of words: words drawn by chance that stand against each true one."""
    seed: int = 0
    """Seed of the split; apart from the training seed so that seeds compare on the same split."""

    @model_validator(mode="after")
    def _consistent(self) -> "Data":
        if self.coefficients > self.mels:
            raise ValueError(f"data.coefficients is {self.coefficients}, more than the {self.mels} bands of data.mels")
        if self.validation + self.test >= 1.0:
            raise ValueError("data.validation + data.test must be below 1, or nothing is left to train on")
        return self


@dataclass(frozen=True, config=CONFIG)
class Model:
    """Which architecture of the zoo, with what changed in its spec."""

    name: str = "resnet8"
    """A name from `edgezoo list models`."""
    width: Positive | None = None
    """Replaces the spec's width (channels of the first stage, or a multiplier: see the family)."""
    dropout: Fraction | None = None
    """Replaces the spec's dropout before the head."""
    spec: Annotated[dict[str, Any], Json] = field(default_factory=dict)
    """Any further field of the spec, as JSON: `--model.spec '{"depths": [2, 2, 2]}'`."""


@dataclass(frozen=True, config=CONFIG)
class Augment:
    """What the model sees in place of the plain image; everything off by default."""

    flip: bool = False
    """Mirror left and right, half the time."""
    translate: Fraction = 0.0
    """Largest shift, as a share of height and width."""
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    """Largest rotation, in degrees."""
    zoom: Fraction = 0.0
    """Largest change of scale: 0.1 draws from 0.9 to 1.1."""
    brightness: Fraction = 0.0
    """Largest brightness shift, as a share of the pixel range."""
    contrast: Fraction = 0.0
    """Largest change of contrast: 0.2 draws from 0.8 to 1.2."""
    mixup: NonNegative = 0.0
    """Alpha of MixUp's Beta(alpha, alpha); 0 is off."""
    cutmix: NonNegative = 0.0
    """Alpha of CutMix's Beta(alpha, alpha); 0 is off. With both on, each batch draws one."""


@dataclass(frozen=True, config=CONFIG)
class Train:
    """How the model is trained."""

    epochs: Count = 30
    batch_size: Count = 64
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """`sgd` has Nesterov momentum 0.9."""
    lr: Positive = 2e-3
    """Peak learning rate."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """`cosine` falls to zero; `step` divides by ten at 50 % and 75 % of training."""
    warmup: Fraction = 0.05
    """Share of the batches over which the rate rises linearly from zero."""
    weight_decay: NonNegative = 1e-4
    """Decoupled weight decay; biases and normalisation are left out."""
    loss: Literal["auto", "cross_entropy", "dice", "dice_cross_entropy"] = "auto"
    """`auto` is cross-entropy for classes and, for masks, the sum of Dice and cross-entropy."""
    label_smoothing: Fraction = 0.0
    ema: Fraction = 0.0
    """Momentum of the exponential moving average of the weights; 0 is off. The average is what is judged and kept."""
    clip: NonNegative = 0.0
    """Largest global norm of the gradient; 0 is off."""
    accumulate: Count = 1
    """Batches whose gradients are averaged before one update."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Epochs without a better validation score after which training stops; 0 is off."""
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"
    """`auto` is mixed_float16 on a GPU and float32 on a CPU, where mixing is slower."""
    steps_per_execution: Annotated[int, Field(ge=0)] = 0
    """Batches a call of the compiled step; 0 chooses: as many as keep progress smooth."""
    seed: int = 0
    """Seed of the weights, the order and the augmentation."""


@dataclass(frozen=True, config=CONFIG)
class Transfer:
    """Start from trained weights: first the head trains alone, as `train` says, then more of the network."""

    weights: str = ""
    """Name of published weights (`python -m zoo weights`), or a file; empty trains from scratch."""
    unfreeze: tuple[str, ...] = ()
    """Endpoints, from the head towards the input: each opens a phase in which it and all after it train."""
    epochs: Count = 10
    """Epochs of each of those phases."""
    lr: Positive = 1e-4
    """Their learning rate; it falls along a cosine to zero."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Factor of the rate for each endpoint further from the head; 1 trains all at one rate."""
    find_lr: bool = False
    """Take the learning rate of each phase from a range test, in place of `train.lr` and `lr`."""


Quantize = Literal["int8", "int16x8", "float16", "dynamic", "dynamic4", "weights8", "weights4", "none"]
"""The number formats of `compress.export`, which is not imported here: TensorFlow would come with it."""


@dataclass(frozen=True, config=CONFIG)
class Compress:
    """How the trained model is made smaller before export: channels first, then zeros, values and integers."""

    macs: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the multiply-accumulates that may stay. Below 1 the least important channels are taken out: the network
    itself is smaller, and quicker wherever it runs."""
    sparsity: Fraction = 0.0
    """Share of each kernel that becomes zero. The file compresses better for it, and is no quicker."""
    clusters: Annotated[int, Field(ge=2, le=256)] | None = None
    """Distinct values of each kernel; None leaves them as they are. It buys what zeros buy."""
    recovery_epochs: Count = 20
    """Epochs of training after each of those three, before the next."""
    recovery_lr: Positive = 1e-3
    """Its learning rate; it falls along a cosine to zero."""
    quantize_aware: bool = False
    """Fine-tune with fake quantization, so that the int8 file carries trained ranges."""
    bits: Literal[8, 4] = 8
    """Of the kernels in that fine-tuning; 4 makes a file of about half the size."""
    activations: Literal[8, 16] = 8
    """Bits of the activations in that fine-tuning; 16 goes with `export.quantize` `int16x8`."""
    ranges: Literal["minmax", "percentile", "mse"] = "minmax"
    """Where the ranges of the activations start: the extremes over the calibration's examples, or narrower, for finer
    steps: without the rarest values, or where the squared error is least."""
    percentile: Annotated[float, Field(gt=0.0, lt=100.0)] = 99.99
    """How many percent of the values lie inside, with `ranges` of `percentile`."""
    epochs: Count = 4
    """Epochs of that fine-tuning."""
    lr: Positive = 1e-4
    """Its learning rate."""
    distill: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share of the loss, in all these trainings, that asks for what the float model answers, in place of the labels
    (distillation). Examples few enough to know by heart teach nothing more by their labels; what the float model makes
    of them still does."""
    freeze: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Share of its epochs after which the ranges of the activations stand still, so that the weights settle on fixed
    steps; 0: they are those of the calibration throughout; 1: they follow the batches to the end."""

    @model_validator(mode="after")
    def _consistent(self) -> "Compress":
        less = self.macs < 1.0 or self.sparsity > 0.0 or self.clusters is not None
        tuning = ("bits", "activations", "ranges", "percentile", "freeze")
        for names, asked, use in (
            (tuning, self.quantize_aware, "fine-tuning with fake quantization; set compress.quantize_aware too"),
            (("recovery_epochs", "recovery_lr"), less, "training after compress.macs, sparsity or clusters; set one"),
            (
                ("distill",),
                less or self.quantize_aware,
                "training after quantize_aware, macs, sparsity or clusters; set one",
            ),
        ):
            for name in names:
                if getattr(self, name) != getattr(Compress, name) and not asked:
                    raise ValueError(f"compress.{name} is for {use}")
        if self.percentile != Compress.percentile and self.ranges != "percentile":
            raise ValueError("compress.percentile goes with compress.ranges 'percentile'; set it too")
        if self.bits != 8 and self.activations != 8:
            raise ValueError("compress.bits: kernels have 8 bits where compress.activations is 16")
        if self.ranges == "mse" and self.activations != 8:
            raise ValueError("compress.ranges 'mse' weighs the error of 256 steps; compress.activations of 16 has more")
        return self


@dataclass(frozen=True, config=CONFIG)
class Export:
    """The file for the device."""

    quantize: Quantize = "int8"
    """`int8` is integer throughout, input and output too, and `int16x8` so with activations of 16 bits; `dynamic` has
    int8 weights and rounds activations as they come, `dynamic4` weights of 4 bits; with `weights8` and `weights4`
    weights alone are integers; `float16` halves them; `none` is float32."""
    target: Literal["cpu", "integer", "microcontroller", "edgetpu", "gpu"] = "cpu"
    """What the file must run on; operators that it lacks end the run, by the names of their layers. A file for a
    microcontroller is run in TFLite Micro (`pip install "edgezoo[micro]"`)."""
    trial: bool = False
    """Before training, convert the untrained model too, which takes as long as its export: what the rules about layers
    do not know shows then."""
    calibration: Count = 256
    """Training examples that set the activation ranges of a post-training `int8` or `int16x8` file."""
    stream_steps: Annotated[int, Field(ge=0, le=8192)] = 0
    """Recurrent models of series: steps of a piece that the file's signature `stream` takes, with the states that it
    gave for the piece before; 0: there is no such signature."""


@dataclass(frozen=True, config=CONFIG)
class Gate:
    """What the exported file must hold, or the run fails."""

    max_drop: NonNegative | None = 0.02
    """Most accuracy, for masks most mIoU (a share: 0.01 is one point), the file may lose against the float model on
    the test split."""
    min_accuracy: Fraction | None = None
    """Least accuracy of the file on the test split."""
    min_miou: Fraction | None = None
    """Least mean intersection over union of the file on the test split, for masks."""
    max_bytes: Count | None = None
    """Largest file."""
    full_integer: bool = False
    """Refuse a file with any float tensor."""


@dataclass(frozen=True, config=CONFIG)
class Recipe:
    """Everything a run needs; `recipe.json` in the run folder is this, resolved."""

    name: str = "recipe"
    """Runs are kept as `OUTPUT/NAME-001`, `-002`, …"""
    data: Data = Data()
    model: Model = Model()
    augment: Augment = Augment()
    train: Train = Train()
    transfer: Transfer = Transfer()
    compress: Compress = Compress()
    export: Export = Export()
    gate: Gate = Gate()
    output: str = "runs"
    """Folder of the runs."""

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if not self.name or any(c in self.name for c in "/\\\0") or self.name.startswith("."):
            raise ValueError(f"name {self.name!r} cannot be a folder name")
        trained = "int8" if self.compress.activations == 8 else "int16x8"
        if self.compress.quantize_aware and self.export.quantize != trained:
            raise ValueError(
                f"compress.quantize_aware trains {trained} ranges, so export.quantize must be {trained!r}, "
                f"not {self.export.quantize!r}"
            )
        if self.transfer.unfreeze and not self.transfer.weights:
            raise ValueError(
                "transfer.unfreeze opens what transfer.weights brought; name the weights, or leave it empty"
            )
        return self
