"""What the forms of a file do to a sentence's vector: the packaged MiniLM over sentences of film reviews.

Cosine of the vectors from the file with those of the Keras model, over 100 sentences; 200 others give the ranges where
activations have fixed ones. The time is the processor's for one sentence of 32 tokens, one thread: the median of 25.

    python benchmarks/minilm_export.py

It fetches the weights (90 MB) and the sentences where the cache has neither.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tokenizers
from ai_edge_quantizer import quantizer, recipe_manager

import compress
import zoo
from compress import convert, forms
from compress.export import describe
from recipes.engine import Data, data

STEPS, CALIBRATION, SENTENCES = 32, 200, 100
WIDE = r"(^|;)(stem|stage\d+)(_attention_norm)?/|_(attention_add|hidden|project)_|^mean|^vector"
"""Names, in the file, of what a block adds up and normalises, of its Dense layers but those of the attention, and of
what follows the blocks."""


def main() -> None:
    """Print a line for each form."""
    tokens = encoded(data.load(Data(source="movie_snippets")).train.inputs[: CALIBRATION + SENTENCES])
    ranges, texts = tokens[:CALIBRATION], tokens[CALIBRATION:]
    model = zoo.build("minilm_l6", input_shape=(STEPS,), classes=2, weights="sentence_transformers")
    embedder = zoo.embedder(model)
    wanted = embedder.predict(texts, verbose=0)
    print(f"{'form':>22} {'bytes':>11} {'mean':>7} {'least':>7} {'ms':>7} {'floats':>6}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "minilm.tflite"
        for quantize in ("none", "float16", "dynamic", "int8"):
            compress.export(embedder, path, quantize=quantize, calibration=[ranges])
            measure(quantize, path, texts, wanted)
        for name, content in wider(embedder, ranges):
            path.write_bytes(content)
            measure(name, path, texts, wanted)


def encoded(sentences: np.ndarray) -> np.ndarray:
    """Their tokens, `(sentences, STEPS)`, as MiniLM reads them."""
    path = zoo.weights.tokenizer("minilm_l6", "sentence_transformers")
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(STEPS)
    tokenizer.enable_padding(length=STEPS)
    return np.array([each.ids for each in tokenizer.encode_batch(sentences.tolist())], np.int32)


def measure(name: str, path: Path, texts: np.ndarray, wanted: np.ndarray) -> None:
    artifact, lite = describe(path, quantize=name), compress.LiteModel(path)
    vectors = lite.predict(texts)
    cosine = (vectors * wanted).sum(axis=1) / np.linalg.norm(vectors, axis=1)
    times = []
    for _ in range(25):
        started = time.process_time()
        lite.invoke()
        times.append(time.process_time() - started)
    figures = f"{cosine.mean():7.4f} {cosine.min():7.4f} {1e3 * np.median(times):7.2f} {len(artifact.float_tensors):6}"
    print(f"{name:>22} {artifact.bytes:11,} {figures}", flush=True)


def wider(model: keras.Model, tokens: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Files with activations of 16 bits, throughout (as `int16x8` has them) and where they are wide."""
    content, everything = convert.to_float(model), quantizer.qtyping.TFLOperationName.ALL_SUPPORTED
    ranges: Any = None
    for name, parts in (("16 bits", [(".*", 16)]), ("8 bits, 16 where wide", [(".*", 8), (WIDE, 16)])):
        manager = recipe_manager.RecipeManager()
        for names, bits in parts:
            manager.add_static_config(names, everything, activation_num_bits=bits, weight_num_bits=8)
        if ranges is None:
            examples = [{model.inputs[0].name: row[np.newaxis]} for row in tokens]
            ranges = forms.extremes(content, examples, manager)
        made = quantizer.Quantizer(bytearray(content), manager.get_quantization_recipe())
        yield name, bytes(made.quantize(ranges, enable_progress_report=False).quantized_model)


if __name__ == "__main__":
    main()
