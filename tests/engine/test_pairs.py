"""Translations as tokens: the answer is read one step behind what is to be told."""

import zipfile

import numpy as np
import pytest

from recipes.engine import preprocess, tokens
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Pairs
from recipes.engine.records import Data
from recipes.engine.results import Examples, Subset
from recipes.engine.sources.texts import strings


def part(*pairs):
    sources, targets = zip(*pairs, strict=True)
    return Subset(strings(sources), strings(targets), tuple(map(str, range(len(pairs)))))


@pytest.fixture(scope="module")
def made():
    train = part(("the sun", "die Sonne"), ("the moon is up", "der Mond ist oben"))
    return Examples(
        (), train, part(("the sun", "die Sonne")), train, "f" * 64, "made", task="translate", modality="text"
    )


@pytest.fixture(scope="module")
def prepared(made):
    return preprocess.fit(Data(steps=5, tokenizer="word"), made)


def test_one_tokenizer_knows_both_languages(prepared):
    assert isinstance(prepared, Pairs)
    words = {"the", "sun", "moon", "is", "up", "die", "sonne", "der", "mond", "ist", "oben"}
    assert set(prepared.tokens.words[4:]) == words
    assert (prepared.shape, prepared.outputs, prepared.changes) == ((5, 5), None, {"vocabulary": 15})


def test_bytes_are_merged_unless_the_recipe_says_otherwise(made):
    tokenizer = preprocess.fit(Data(vocabulary=270), made).tokens
    assert tokenizer.decode(tokenizer.ids("Größe 漢")) == "Größe 漢", "nothing is unknown"


def test_what_is_told_is_one_step_ahead_of_what_is_read(prepared, made):
    word = prepared.tokens.words.index
    (source, target), truth = prepared.rows(made.train)
    assert source.dtype == target.dtype == truth.dtype == np.int32
    assert source.tolist() == [
        [2, word("the"), word("sun"), 3, 0],
        [2, word("the"), word("moon"), word("is"), 3],
    ]
    assert target.tolist() == [
        [2, word("die"), word("sonne"), 3, 0],
        [2, word("der"), word("mond"), word("ist"), word("oben")],
    ]
    assert truth.tolist() == [
        [word("die"), word("sonne"), 3, 0, 0],
        [word("der"), word("mond"), word("ist"), word("oben"), 3],
    ]
    np.testing.assert_array_equal(prepared(made.train.inputs), source)


def test_a_translation_that_is_cut_still_ends(prepared):
    (_, target), truth = prepared.rows(part(("up", "der Mond ist oben der Mond ist oben")))
    assert truth[0, -1] == 3 and 0 not in truth
    np.testing.assert_array_equal(target[0, 1:], truth[0, :-1])


def test_it_is_stored_with_the_model(prepared, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    preprocess.attach(prepared, tmp_path / "model.keras")
    assert preprocess.read(tmp_path / "model.keras") == prepared
    assert prepared.open("the sun") == "the sun"


def test_a_tokenizer_without_start_end_or_padding_is_refused(made, tmp_path):
    import tokenizers

    learner = tokenizers.ByteLevelBPETokenizer()
    learner.train_from_iterator(["the sun", "die Sonne"], vocab_size=300, show_progress=False)
    learner.save_model(str(tmp_path))
    assert not tokens.load(tmp_path).padded
    with pytest.raises(UserError, match=r"needs a tokenizer with padding as token 0 and with \[CLS\] and \[SEP\]"):
        preprocess.fit(Data(tokenizer=str(tmp_path)), made)
