"""Running text as windows of tokens, against windows cut here."""

import zipfile

import numpy as np
import pytest

from recipes.engine import preprocess
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Language
from recipes.engine.records import Data
from recipes.engine.results import Examples, Subset
from recipes.engine.sources.texts import strings


def part(*texts):
    return Subset(strings(texts), np.zeros(len(texts), np.int64), tuple(map(str, range(len(texts)))))


@pytest.fixture(scope="module")
def made():
    return Examples(
        (),
        part("abcdefgh\nabc"),
        part("abcd"),
        part("hgfedcb", "ab"),
        "f" * 64,
        "made",
        task="generate",
        modality="text",
    )


@pytest.fixture(scope="module")
def prepared(made):
    return preprocess.fit(Data(steps=3), made)


def test_characters_are_the_tokens_unless_the_recipe_says_otherwise(prepared, made):
    assert isinstance(prepared, Language)
    assert sorted(prepared.tokens.words[4:]) == ["\n", *"abcdefgh"]
    assert (prepared.shape, prepared.outputs, prepared.changes) == ((3,), None, {"vocabulary": 13})
    words = preprocess.fit(Data(steps=2, tokenizer="word"), made)
    assert set(words.tokens.words[4:]) == {"abcdefgh", "abc"}


def texts_of(windows, prepared):
    return [prepared.tokens.decode(window) for window in windows.tolist()]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["abcd"], ["abcd"]),
        (["abcde"], ["abcd", "bcde"]),
        (["abcdefg"], ["abcd", "defg"]),
        (["abcdefgh"], ["abcd", "defg", "efgh"]),
        (["abc", "abcd", "", "hgfe"], ["abcd", "hgfe"]),
    ],
)
def test_windows_follow_one_another_and_the_last_ends_with_the_text(prepared, texts, expected):
    assert texts_of(prepared.windows(strings(texts)), prepared) == expected


def test_each_token_but_the_first_of_a_text_is_told_once_at_least(prepared):
    rng = np.random.default_rng(0)
    for length in range(4, 40):
        text = "".join(rng.choice(list("abcdefgh"), length))
        ids = prepared.tokens.ids(text)
        inputs, targets = prepared.rows(part(text))
        assert inputs.dtype == targets.dtype == np.int32
        assert inputs.shape == targets.shape == (-(-(length - 1) // 3), 3), "no window more than it takes"
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        np.testing.assert_array_equal(prepared(strings([text])), inputs)
        starts = [min(3 * place, length - 4) for place in range(len(inputs))]
        for start, window in zip(starts, targets.tolist(), strict=True):
            assert window == ids[start + 1 : start + 4]
        told = {place for start in starts for place in range(start + 1, start + 4)}
        assert told == set(range(1, length))


def test_texts_that_are_all_too_short_are_refused(prepared):
    with pytest.raises(UserError, match=r"no text of a split has more than data\.steps = 3 tokens; lower it"):
        prepared.windows(strings(["abc", ""]))


def test_it_is_stored_with_the_model(prepared, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    preprocess.attach(prepared, path)
    again = preprocess.read(path)
    assert again == prepared
    assert texts_of(again.windows(strings(["abcde"])), again) == ["abcd", "bcde"]
    assert prepared.open("ab") == "ab"
