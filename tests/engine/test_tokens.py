import json

import numpy as np
import pytest
import tokenizers

from recipes.engine import tokens
from recipes.engine.errors import UserError

KINDS = ("word", "char", "wordpiece", "bpe")
rng = np.random.default_rng(1)
LETTERS = list("abcdefghij")
WORDS = ["".join(rng.choice(LETTERS, size)) for size in rng.integers(1, 8, 200)]
TEXTS = [" ".join(rng.choice(WORDS, 12)).capitalize() + ", é.\nEnd" for _ in range(200)]


@pytest.fixture(scope="module")
def made():
    return {kind: tokens.fit(TEXTS, kind=kind, size=400) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_first_and_the_size_is_kept(made, kind):
    tokenizer = made[kind]
    assert tokenizer.words[:4] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    assert (tokenizer.padded, tokenizer.unknown, tokenizer.start, tokenizer.end) == (True, 1, 2, 3)
    assert len(tokenizer.words) == tokenizer.size <= 400
    assert len(set(tokenizer.words)) == tokenizer.size


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_make_the_same_tokenizer(made, kind):
    for _ in range(5):
        assert tokens.fit(TEXTS, kind=kind, size=400).to_json() == made[kind].to_json()


@pytest.mark.parametrize("kind", KINDS)
def test_it_survives_json(made, kind):
    again = tokens.parse(made[kind].to_json())
    assert again.words == made[kind].words
    np.testing.assert_array_equal(again.encode(TEXTS, steps=20), made[kind].encode(TEXTS, steps=20))


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_framed_cut_and_padded(made, kind):
    tokenizer = made[kind]
    ids = tokenizer.ids(TEXTS[0])
    rows = tokenizer.encode([TEXTS[0], "a"], steps=len(ids) + 5)
    assert rows.dtype == np.int32
    assert rows[0].tolist() == [2, *ids, 3, 0, 0, 0]
    assert rows[1].tolist() == [2, *tokenizer.ids("a"), 3, *[0] * (len(ids) + 2)]
    cut = tokenizer.encode([TEXTS[0]], steps=6)[0]
    assert cut.tolist() == [2, *ids[:4], 3]
    assert tokenizer.encode([TEXTS[0]], steps=6, marks=False)[0].tolist() == ids[:6]
    assert tokenizer.ids(TEXTS[0], marks=True) == [2, *ids, 3]


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_characters_and_bytes_give_the_text_back(made, kind):
    for text in TEXTS[:20]:
        assert made[kind].decode(made[kind].encode([text], steps=300)[0].tolist()) == text


def greedy(word, vocabulary):
    """The longest piece first, as WordPiece is defined."""
    pieces, start = [], 0
    while start < len(word):
        ends = (end for end in range(len(word), start, -1) if ("##" if start else "") + word[start:end] in vocabulary)
        end = next(ends, None)
        if end is None:
            return ["[UNK]"]
        pieces.append(("##" if start else "") + word[start:end])
        start = end
    return pieces


def test_wordpiece_takes_the_longest_piece(made):
    tokenizer = made["wordpiece"]
    vocabulary = {word: place for place, word in enumerate(tokenizer.words)}
    unseen = ["".join(rng.choice(LETTERS, size)) for size in rng.integers(1, 12, 300)]
    for word in [*WORDS, *unseen]:
        assert tokenizer.ids(word.upper()) == [vocabulary[piece] for piece in greedy(word, vocabulary)]
    assert tokenizer.decode(tokenizer.ids("abc, dab")) == "abc, dab"
    assert max(map(len, tokenizer.words)) > 4


def test_words_are_lower_case_and_the_most_common_ones():
    tokenizer = tokens.fit(["b a a", "A c c", "b d a"], kind="word", size=6)
    assert set(tokenizer.words[4:]) == {"a", "b"} or set(tokenizer.words[4:]) == {"a", "c"}
    assert tokenizer.ids("A a zebra") == [tokenizer.words.index("a")] * 2 + [1]


@pytest.mark.parametrize(("kind", "unknown"), [("word", 2), ("char", 6), ("wordpiece", 2), ("bpe", 0)])
def test_unknown_tokens_are_counted(made, kind, unknown):
    texts = [f"{WORDS[0]} ñññ", f"ñññ {WORDS[0]}"]
    count, total = made[kind].unknowns(texts)
    assert count == unknown
    told = tokens.notes(made[kind], texts, split="test")
    if unknown:
        assert told == (
            f"{unknown} of {total} tokens of the test split ({unknown / total:.1%}) are unknown to the tokenizer",
        )
    else:
        assert told == ()


def test_berts_vocabulary_is_read_and_its_case_seen(tmp_path):
    words = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "hello", ",", "cafe"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    for path in (tmp_path, tmp_path / "vocab.txt"):
        tokenizer = tokens.load(path)
        assert tokenizer.words == tuple(words)
        assert (tokenizer.padded, tokenizer.unknown, tokenizer.start, tokenizer.end) == (True, 2, 3, 4)
        assert tokenizer.encode(["Hello, unaffable Café xyz"], steps=12)[0].tolist() == [
            3,
            9,
            10,
            6,
            7,
            8,
            11,
            2,
            4,
            0,
            0,
            0,
        ]
    (tmp_path / "vocab.txt").write_text("\n".join([*words, "Hello"]) + "\n")
    assert tokens.load(tmp_path).ids("Hello hello") == [12, 9]
    assert tokens.parse(tokens.load(tmp_path).to_json()).ids("Hello hello", marks=True) == [3, 12, 9, 4]


def test_a_tokenizer_file_is_read_whatever_padding_it_was_saved_with(tmp_path, made):
    inner = tokenizers.Tokenizer.from_str(made["word"].to_json())
    inner.enable_padding(length=50)
    inner.enable_truncation(3)
    inner.save(str(tmp_path / "tokenizer.json"))
    np.testing.assert_array_equal(tokens.load(tmp_path).encode(TEXTS, steps=9), made["word"].encode(TEXTS, steps=9))


def test_gpt_2s_files_have_no_padding(tmp_path):
    learner = tokenizers.ByteLevelBPETokenizer()
    learner.train_from_iterator(TEXTS, vocab_size=300, show_progress=False)
    learner.save_model(str(tmp_path))
    tokenizer = tokens.load(tmp_path)
    assert (tokenizer.padded, tokenizer.unknown) == (False, None)
    assert tokenizer.decode(tokenizer.ids(TEXTS[0])) == TEXTS[0]
    with pytest.raises(UserError, match="no padding as token 0"):
        tokenizer.encode(["a"], steps=8)
    assert tokenizer.encode([TEXTS[0]], steps=8).shape == (1, 8)


def test_what_is_no_tokenizer_is_one_sentence(tmp_path):
    with pytest.raises(
        UserError, match=r"there is no tokenizer .*; data\.tokenizer is word, char, wordpiece, bpe, or a file"
    ):
        tokens.load(tmp_path / "gone.json")
    with pytest.raises(UserError, match=r"has no tokenizer\.json, vocab\.txt or vocab\.json"):
        tokens.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {}}))
    with pytest.raises(UserError, match="this is no tokenizer: "):
        tokens.load(tmp_path)
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\nhello\n")
    with pytest.raises(UserError, match=r"vocab\.txt has no \[CLS\], so it is no vocabulary of BERT's"):
        tokens.load(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is no tokenizer that can be read: "):
        tokens.load(tmp_path / "vocab.txt")
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(UserError, match=r"vocab\.json is no tokenizer that can be read"):
        tokens.load(tmp_path / "vocab.json")
    with pytest.raises(UserError, match=r"data\.vocabulary is 200; bpe needs 260"):
        tokens.fit(TEXTS, kind="bpe", size=200)
