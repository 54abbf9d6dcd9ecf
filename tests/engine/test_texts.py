"""Texts with a class: tokens of a fixed length, and texts as the command line gives them."""

import zipfile

import numpy as np
import pytest

from recipes.engine import preprocess, tokens
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Texts
from recipes.engine.preprocess.tokenized import opened
from recipes.engine.records import Data
from recipes.engine.results import Examples, Subset
from recipes.engine.sources.texts import strings

TRAIN = ["the sun is up", "the sea is wide", "the sun", "up up up"]


def part(texts):
    return Subset(strings(texts), np.arange(len(texts)) % 2, tuple(map(str, range(len(texts)))))


def examples(test=("the moon is up",)):
    return Examples(("bad", "good"), part(TRAIN), part(["the sea"]), part(test), "f" * 64, "made", modality="text")


@pytest.fixture(scope="module")
def prepared():
    return preprocess.fit(Data(steps=6), examples())


def test_the_record_says_what_the_model_reads(prepared):
    assert isinstance(prepared, Texts)
    assert (prepared.shape, prepared.outputs, prepared.classes) == ((6,), 2, ("bad", "good"))
    words = {"the", "sun", "is", "up", "sea", "wide"}
    assert set(prepared.tokens.words[4:]) == words, "of the training split alone: not the moon"
    assert prepared.changes == {"vocabulary": 4 + len(words)}


def test_texts_are_framed_padded_and_cut(prepared):
    word = prepared.tokens.words.index
    rows = prepared(strings(["The sun!", "the sun is up the sea"]))
    assert rows.dtype == np.int32
    assert rows[0].tolist() == [2, word("the"), word("sun"), 1, 3, 0], "the sign was never seen: 1"
    assert rows[1].tolist() == [2, word("the"), word("sun"), word("is"), word("up"), 3], "both ends are kept"
    made = examples()
    inputs, labels = prepared.rows(made.test)
    assert inputs.tolist() == [[2, word("the"), 1, word("is"), word("up"), 3]]
    np.testing.assert_array_equal(labels, made.test.labels)


def test_a_note_says_what_of_the_test_split_is_unknown(capsys):
    preprocess.fit(Data(), examples())
    assert "1 of 4 tokens of the test split (25.0%) are unknown to the tokenizer" in capsys.readouterr().out
    preprocess.fit(Data(), examples(["the sun"]))
    assert "unknown" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "said"), [("word", None), ("char", None), ("wordpiece", None), ("gone.json", "there is no tokenizer")]
)
def test_the_recipe_chooses_the_tokenizer(kind, said):
    if said:
        with pytest.raises(UserError, match=said):
            preprocess.fit(Data(tokenizer=kind), examples())
    else:
        vocabulary = preprocess.fit(Data(tokenizer=kind), examples()).tokens.words
        assert ("sun" in vocabulary) == (kind != "char")


def test_a_tokenizer_comes_from_a_file_too(tmp_path):
    (tmp_path / "tokenizer.json").write_text(tokens.fit(["moon sun"], kind="word", size=50).to_json())
    found = preprocess.fit(Data(tokenizer=str(tmp_path)), examples())
    assert set(found.tokens.words[4:]) == {"moon", "sun"}


def test_it_is_stored_with_the_model(prepared, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    preprocess.attach(prepared, path)
    again = preprocess.read(path)
    assert again == prepared
    np.testing.assert_array_equal(again(strings(TRAIN)), prepared(strings(TRAIN)))


def test_a_text_is_taken_as_it_stands_or_from_its_file(prepared, tmp_path):
    assert prepared.open("the sun.\nup.txt") == "the sun.\nup.txt"
    path = tmp_path / "a.TXT"
    path.write_bytes(b"\xef\xbb\xbfthe sun\r\nis \xc3\xbcp")
    assert prepared.open(str(path)) == "the sun\nis üp", "as the reader of data reads it: no mark, no carriage return"


def test_what_is_no_text_is_one_sentence(tmp_path):
    def refused(what, said):
        with pytest.raises(UserError, match=said):
            opened(str(what))

    refused("", r"^the text is empty$")
    refused(" \n\t ", r"^the text is empty$")
    refused("ä" * 5_100_000, r"^the text has 10\.2 MB, where 10 MB are the most$")
    refused("caf\udce9", r"^the text is not UTF-8")
    refused(tmp_path / "none.txt", r"^there is no file .*none\.txt$")
    for name, content, said in (
        ("empty.txt", b"\n", r"empty\.txt is empty$"),
        ("long.txt", b"a" * 10_000_001, r"long\.txt has 10\.0 MB, where 10 MB are the most$"),
        (
            "latin.txt",
            "fine\ncafé".encode("latin-1"),
            r"latin\.txt, line 2: byte 4 .* is 0xE9, which is no text in UTF",
        ),
        ("table.csv", b"a,b", r"table\.csv is a file, but no \.txt file"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, said)
    (tmp_path / "folder.txt").mkdir()
    refused(tmp_path / "folder.txt", r"folder\.txt cannot be read")
    assert opened("a" * 300) == "a" * 300, "longer than any name of a file"
    assert opened("a" * 10_000_000)
