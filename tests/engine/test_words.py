"""Words and their contexts, by hand and by counting."""

import zipfile
from collections import Counter

import numpy as np
import pytest

from recipes.engine import preprocess, tokens
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Words
from recipes.engine.preprocess.words import kept, offsets, shifted
from recipes.engine.records import Data
from recipes.engine.results import Examples, Subset
from recipes.engine.sources.texts import strings


class Farthest:
    """A generator that always draws the widest reach."""

    def integers(self, low, high, size):
        return np.full(size, high - 1)


def part(*texts):
    return Subset(strings(texts), np.zeros(len(texts), np.int64), tuple(map(str, range(len(texts)))))


def made(words, *, context=2, negatives=3, method="skipgram"):
    tokenizer = tokens.fit([" ".join(words)], kind="word", size=2000)
    return Words(tokenizer.to_json(), context, negatives, method)


SIX = np.arange(10, 16, dtype=np.int32)


def test_shifted_words():
    within = np.array([True, True, False, True, True, True])
    assert shifted(SIX, 2, within).tolist() == [12, 13, 0, 15, 0, 0]
    assert shifted(SIX, -1, within).tolist() == [0, 10, 0, 12, 13, 14]
    assert not shifted(SIX, 6, within).any()
    assert list(offsets(2)) == [-2, -1, 1, 2]


def test_skip_gram_pairs_of_six_words():
    read, true = made("abcdef").pairs(SIX, Farthest())
    assert read.dtype == true.dtype == np.int32
    near = {10: [11, 12], 11: [10, 12, 13], 12: [10, 11, 13, 14], 13: [11, 12, 14, 15], 14: [12, 13, 15], 15: [13, 14]}
    expected = [(word, other) for word, others in near.items() for other in others]
    assert [(int(a), int(b)) for (a,), b in zip(read, true, strict=True)] == expected


def test_contexts_of_six_words():
    read, true = made("abcdef", method="cbow").pairs(SIX, Farthest())
    assert true.tolist() == SIX.tolist()
    assert read.tolist() == [
        [0, 0, 11, 12],
        [0, 10, 12, 13],
        [10, 11, 13, 14],
        [11, 12, 14, 15],
        [12, 13, 15, 0],
        [13, 14, 0, 0],
    ]


def test_the_reach_is_drawn_from_1_to_the_context():
    rng = np.random.default_rng(0)
    ids = np.arange(10, 60_010, dtype=np.int32)
    read, true = made("abcdef", context=3).pairs(ids, rng)
    distances = Counter(np.abs(read[:, 0] - true).tolist())
    assert distances[1] == 2 * (len(ids) - 1), "neighbours always count"
    assert distances[2] == pytest.approx(2 * len(ids) * 2 / 3, rel=0.02)
    assert distances[3] == pytest.approx(2 * len(ids) / 3, rel=0.02)
    assert set(distances) == {1, 2, 3}


def test_frequent_words_are_thinned_out():
    # word2vec.c: (sqrt(count / (sample * words)) + 1) * (sample * words) / count
    counts = np.array([0, 100_000.0, 100.0, 10_000.0])
    words = counts.sum()
    expected = [0.0] + [min((np.sqrt(c / (1e-3 * words)) + 1) * (1e-3 * words) / c, 1.0) for c in counts[1:]]
    np.testing.assert_allclose(kept(counts), expected, rtol=1e-12)
    assert kept(counts)[2] == 1.0 > kept(counts)[3] > kept(counts)[1] > 0
    assert not kept(np.zeros(5)).any()

    # And so many of them are left: `a` is half of all, the others are rare.
    rare = [f"w{number}" for number in range(1000)]
    text = " ".join(word for other in rare for word in ("a", other))
    prepared = made([*rare, "a"], context=1)
    (read, _), _ = prepared.rows(part(*[text] * 20))
    frequent = prepared.tokens.words.index("a")
    share = kept(np.array([20_000.0, *[20.0] * 1000]))
    assert share[0] == pytest.approx(np.sqrt(0.002) + 0.002)
    assert (read == frequent).mean() == pytest.approx(share[0] / (share[0] + 1.0), rel=0.1)


def test_words_drawn_by_chance_follow_their_frequency_to_the_power_of_three_quarters():
    words = [f"w{number}" for number in range(1500)]
    rng = np.random.default_rng(1)
    text = " ".join(rng.permutation([word for number, word in enumerate(words) for _ in range(1 + number // 300)]))
    prepared = made(words, context=2, negatives=8)
    (_, candidates), truth = prepared.rows(part(text))
    assert candidates.shape == truth.shape == (len(truth), 9)
    assert truth[:, 0].all() and not truth[:, 1:].any()
    counts = Counter(text.split())
    found = np.zeros(6)
    for token in candidates[:, 1:].ravel().tolist():
        found[counts[prepared.tokens.words[token]]] += 1
    expected = np.array([0, *(300 * times**0.75 for times in range(1, 6))])
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), atol=0.005)
    assert found[0] == 0, "only words of the split"


@pytest.mark.parametrize("method", ["skipgram", "cbow"])
def test_rows_have_the_shape_that_the_model_reads_and_are_always_the_same(method):
    prepared = made([f"w{number}" for number in range(200)], method=method)
    split = part(*(" ".join(f"w{number}" for number in range(start, start + 60)) for start in (0, 70, 140)))
    (read, candidates), truth = prepared.rows(split)
    assert (read.shape[1], candidates.shape[1]) == prepared.shape == ((1 if method == "skipgram" else 4), 4)
    assert (read.dtype, candidates.dtype, truth.dtype) == (np.int32, np.int32, np.float32)
    assert not np.isin(candidates, list(prepared.special)).any()
    for one, other in zip((read, candidates, truth), (*prepared.rows(split)[0], prepared.rows(split)[1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_unknown_words_are_left_out_and_their_neighbours_stand_together():
    prepared = made(["a", "b"], context=1)
    a, b = prepared.tokens.words.index("a"), prepared.tokens.words.index("b")
    (read, candidates), _ = prepared.rows(part(*["a zebra b"] * 5000))
    assert set(zip(read[:, 0].tolist(), candidates[:, 0].tolist(), strict=True)) == {(a, b), (b, a)}


@pytest.mark.parametrize("texts", [[""], ["zebra zebra"], ["a"], ["a", "", "b"]])
def test_too_few_words_are_refused(texts):
    with pytest.raises(UserError, match="no two words beside each other"):
        made(["a", "b"]).rows(part(*texts))


def test_the_record_is_made_from_the_recipe_and_stored(tmp_path):
    split = part("the sun is up")
    examples = Examples((), split, split, split, "f" * 64, "made", task="embed", modality="text")
    prepared = preprocess.fit(Data(context=3, negatives=7), examples)
    assert isinstance(prepared, Words)
    assert (prepared.context, prepared.negatives, prepared.shape) == (3, 7, (1, 8))
    assert (prepared.outputs, prepared.changes) == (None, {"vocabulary": 8})
    assert prepared(strings(["up is", "moon"])).tolist() == [[prepared.tokens.words.index("up")], [1]]
    assert prepared.open("up") == "up"
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    preprocess.attach(prepared, tmp_path / "model.keras")
    assert preprocess.read(tmp_path / "model.keras") == prepared


def test_special_tokens_of_other_tokenizers_are_no_words(tmp_path):
    words = ["[PAD]", "up", "[UNK]", "down", "[CLS]", "[SEP]", "sun"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    split = part("up moon down")
    examples = Examples((), split, split, split, "f" * 64, "made", task="embed", modality="text")
    prepared = preprocess.fit(Data(tokenizer=str(tmp_path)), examples)
    assert prepared.special == {0, 2, 4, 5}
    (read, candidates), _ = prepared.rows(part(*["up moon down"] * 5000))
    assert set(read.ravel().tolist()) == set(candidates.ravel().tolist()) == {1, 3}
    import tokenizers

    tokenizers.Tokenizer(tokenizers.models.WordLevel({"up": 0, "[UNK]": 1}, unk_token="[UNK]")).save(
        str(tmp_path / "tokenizer.json")
    )
    with pytest.raises(UserError, match="need a tokenizer with padding as token 0"):
        preprocess.fit(Data(tokenizer=str(tmp_path / "tokenizer.json")), examples)
