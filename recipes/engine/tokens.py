"""Tokenizers: made from the training texts, or read from a file; a thin cover over the `tokenizers` library.

Token 0 is padding in every tokenizer made here. `[CLS]` and `[SEP]` stand around a text, as in BERT; in a translation
they are where the answer starts and ends.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from recipes.engine.errors import UserError

Kind = Literal["word", "char", "wordpiece", "bpe"]

PADDING = ("[PAD]", "<pad>")
UNKNOWN = ("[UNK]", "<unk>")
START = ("[CLS]", "[BOS]", "<s>")
END = ("[SEP]", "[EOS]", "</s>", "<|endoftext|>")
"""Names of special tokens, ours first."""

SPECIAL = (PADDING[0], UNKNOWN[0], START[0], END[0])
"""Tokens 0 to 3 of a tokenizer that is made here."""


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """Text to numbers and back."""

    inner: tokenizers.Tokenizer

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return int(self.inner.get_vocab_size())

    @cached_property
    def padded(self) -> bool:
        """Whether token 0 is padding."""
        return self._id(PADDING) == 0

    @cached_property
    def unknown(self) -> int | None:
        """The token that stands for what the vocabulary lacks; None where it lacks nothing."""
        return self._id(UNKNOWN)

    @cached_property
    def start(self) -> int | None:
        """The token before a text."""
        return self._id(START)

    @cached_property
    def end(self) -> int | None:
        """The token after a text."""
        return self._id(END)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The tokens as text, in the order of their numbers."""
        vocabulary = self.inner.get_vocab()
        return tuple(sorted(vocabulary, key=vocabulary.__getitem__))

    def ids(self, text: str, *, marks: bool = False) -> list[int]:
        """The tokens of one text; `marks` puts `start` and `end` around it, where the tokenizer does that."""
        return [int(token) for token in self.inner.encode(text, add_special_tokens=marks).ids]

    def encode(self, texts: Sequence[str], *, steps: int, marks: bool = True) -> np.ndarray:
        """Texts as tokens, int32 `(count, steps)`: longer ones are cut, 0 follows shorter ones.

        Args:
            texts: any.
            steps: tokens of each.
            marks: put `start` and `end` around each, where the tokenizer does that; a cut text keeps both.

        Raises:
            UserError: a text is shorter and the tokenizer has no padding.
        """
        rows = np.zeros((len(texts), steps), np.int32)
        for row, encoding in zip(rows, self.inner.encode_batch(list(texts), add_special_tokens=marks), strict=True):
            ids = encoding.ids
            if len(ids) < steps and not self.padded:
                raise UserError("the tokenizer has no padding as token 0, which shorter texts need; choose another")
            row[: len(ids)] = ids[:steps]
            if len(ids) > steps and marks and ids[-1] == self.end:
                row[-1] = ids[-1]
        return rows

    def decode(self, ids: Sequence[int]) -> str:
        """Tokens as text, without special ones."""
        return str(self.inner.decode([int(token) for token in ids], skip_special_tokens=True))

    def unknowns(self, texts: Iterable[str]) -> tuple[int, int]:
        """How many tokens of `texts` are unknown, and how many there are."""
        rows = [encoding.ids for encoding in self.inner.encode_batch(list(texts), add_special_tokens=False)]
        unknown = sum(row.count(self.unknown) for row in rows) if self.unknown is not None else 0
        return unknown, sum(map(len, rows))

    def to_json(self) -> str:
        """Everything, for `parse`."""
        return str(self.inner.to_str())

    def _id(self, names: Iterable[str]) -> int | None:
        found = (self.inner.token_to_id(name) for name in names)
        return next((token for token in found if token is not None), None)


def fit(texts: Sequence[str], *, kind: Kind, size: int) -> Tokenizer:
    """Make a tokenizer from texts, which should be those of the training split.

    Args:
        texts: not empty.
        kind: `word`, lower-case words and signs; `char`, characters as they are; `wordpiece`, parts of lower-case words
            (Schuster and Nakajima 2012, as in BERT); `bpe`, merged bytes (Sennrich et al. 2016, as in GPT-2), which
            leave nothing unknown.
        size: most tokens, special ones among them.

    Raises:
        UserError: `size` is too small for the kind.
    """
    least = len(SPECIAL) + 256
    if kind == "bpe" and size < least:
        raise UserError(f"data.vocabulary is {size}; bpe needs {least} tokens or more, one for each byte")
    inner = {"word": _word, "char": _char, "wordpiece": _wordpiece, "bpe": _bpe}[kind](texts, size)
    start, end = ((name, inner.token_to_id(name)) for name in (START[0], END[0]))
    inner.post_processor = processors.TemplateProcessing(
        single=f"{START[0]} $A {END[0]}", pair=None, special_tokens=[start, end]
    )
    return Tokenizer(inner)


def _word(texts: Sequence[str], size: int) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(models.WordLevel(unk_token=UNKNOWN[0]))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return _counted(inner, texts, size)


def _char(texts: Sequence[str], size: int) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(models.WordLevel(unk_token=UNKNOWN[0]))
    inner.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    return _counted(inner, texts, size)


def _counted(inner: tokenizers.Tokenizer, texts: Sequence[str], size: int) -> tokenizers.Tokenizer:
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=list(SPECIAL), show_progress=False)
    inner.train_from_iterator(texts, trainer)
    return inner


def _wordpiece(texts: Sequence[str], size: int) -> tokenizers.Tokenizer:
    # The library numbers `##a` and the like in the order of a hash table, so that what it merges changes from run to
    # run (huggingface/tokenizers issue 1794); here it is given them in order, as if they were special.
    normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    letters = sorted({letter for text in texts for letter in normalizer.normalize_str(text) if not letter.isspace()})
    parts = [f"##{letter}" for letter in letters]
    learner = tokenizers.Tokenizer(models.WordPiece(unk_token=UNKNOWN[0]))
    learner.normalizer, learner.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=[*SPECIAL, *parts], show_progress=False)
    learner.train_from_iterator(texts, trainer)
    inner = tokenizers.Tokenizer(models.WordPiece(learner.get_vocab(), unk_token=UNKNOWN[0]))
    inner.normalizer, inner.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    inner.add_special_tokens(list(SPECIAL))
    return inner


def _bpe(texts: Sequence[str], size: int) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet, special = pre_tokenizers.ByteLevel.alphabet(), list(SPECIAL)
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, show_progress=False, initial_alphabet=alphabet
    )
    inner.train_from_iterator(texts, trainer)
    return inner


def load(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`, a BERT `vocab.txt`, or a folder with one of them or with GPT-2's two files.

    A `vocab.txt` is taken as lower-case where it has no token with a capital letter but the special ones.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if path.is_dir():
        names = ("tokenizer.json", "vocab.txt", "vocab.json")
        found = next((path / name for name in names if (path / name).is_file()), None)
        if found is None:
            raise UserError(f"{path} has no tokenizer.json, vocab.txt or vocab.json with merges.txt")
        path = found
    if not path.is_file():
        raise UserError(f"there is no tokenizer {path}; data.tokenizer is word, char, wordpiece, bpe, or a file")
    try:
        if path.name == "vocab.json":
            merges = path.with_name("merges.txt")
            return Tokenizer(tokenizers.ByteLevelBPETokenizer(str(path), str(merges))._tokenizer)
        if path.suffix == ".json":
            return parse(path.read_text(encoding="utf-8"))
        return _bert(path)
    except UserError:
        raise
    except Exception as error:  # the library raises bare exceptions
        raise UserError(f"{path} is no tokenizer that can be read: {str(error).splitlines()[0]}") from None


def _bert(path: Path) -> Tokenizer:
    words = path.read_text(encoding="utf-8").splitlines()
    missing = [name for name in SPECIAL if name not in words]
    if missing:
        raise UserError(f"{path} has no {missing[0]}, so it is no vocabulary of BERT's")
    lower = not any(word != word.lower() for word in words if not (word.startswith("[") and word.endswith("]")))
    inner = tokenizers.BertWordPieceTokenizer(str(path), lowercase=lower)._tokenizer
    inner.no_padding()
    inner.no_truncation()
    return Tokenizer(inner)


def parse(text: str) -> Tokenizer:
    """The tokenizer of `to_json`, or of a `tokenizer.json`.

    Raises:
        UserError: it is none.
    """
    try:
        json.loads(text)
        inner = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare exceptions
        raise UserError(f"this is no tokenizer: {str(error).splitlines()[0]}") from None
    inner.no_padding()
    inner.no_truncation()
    return Tokenizer(inner)


def notes(tokenizer: Tokenizer, texts: Iterable[str], *, split: str) -> tuple[str, ...]:
    """A sentence on what of a split the tokenizer does not know; nothing where it knows all."""
    unknown, count = tokenizer.unknowns(texts)
    if not unknown:
        return ()
    return (
        f"{unknown:,} of {count:,} tokens of the {split} split ({unknown / count:.1%}) are unknown to the tokenizer",
    )
