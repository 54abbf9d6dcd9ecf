import numpy as np
import pytest

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import corpus

rng = np.random.default_rng(6)
LONG = "".join(f"{' '.join(rng.choice(['to', 'be', 'or', 'not'], 9))} {line}\n" for line in range(20_000))


def load(source, **fields):
    return data.load(Data(source=str(source), **{"task": "generate", **fields}), progress=False)


def joined(part):
    return "".join(part.inputs)


def test_one_long_text_is_cut_into_blocks_that_join_to_it(tmp_path):
    (tmp_path / "a.txt").write_text(LONG)
    examples = load(tmp_path / "a.txt", validation=0.1, test=0.1)
    assert (examples.task, examples.modality, examples.classes) == ("generate", "text", ())
    parts = list(examples.splits().values())
    assert "".join(map(joined, parts)) == LONG
    assert len(joined(parts[0])) / len(LONG) == pytest.approx(0.8, abs=0.02)
    assert len(joined(parts[1])) / len(LONG) == pytest.approx(0.1, abs=0.02)
    for part in parts:
        assert not part.labels.any() and part.labels.dtype == np.int64
        assert all(piece.endswith("\n") for piece in part.inputs)
        assert max(map(len, part.inputs)) < corpus.PIECE + 100
    assert examples.train.names[0] == "a.txt#0"
    assert any(note.startswith("characters: train ") for note in examples.notes)


def test_a_short_text_is_split_at_its_lines(tmp_path):
    text = "".join(f"line {row}\n" for row in range(20))
    (tmp_path / "a.txt").write_text(text)
    parts = load(tmp_path / "a.txt").splits().values()
    assert "".join(map(joined, parts)) == text
    assert [joined(part).count("\n") for part in parts] == [14, 3, 3]


def test_of_several_texts_the_last_ones_are_held_out_whole(tmp_path):
    for play in range(1, 13):
        (tmp_path / "more").mkdir(exist_ok=True)
        (tmp_path / "more" / f"play {play}.txt").write_text(f"{play}\n" + LONG[:30_000])
    (tmp_path / "about.md").write_text("x")
    examples = load(tmp_path)
    sides = [{name.split("#")[0] for name in part.names} for part in examples.splits().values()]
    assert sides[0] == {f"more/play {play}.txt" for play in range(1, 9)}
    assert sides[2] == {"more/play 11.txt", "more/play 12.txt"}
    assert sides[1] == {"more/play 9.txt", "more/play 10.txt"}


def test_files_named_as_splits_are_the_splits(tmp_path):
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\n" + LONG[:15_000])
    examples = load(tmp_path)
    for name, part in zip(("train", "valid", "test"), examples.splits().values(), strict=True):
        assert joined(part).startswith(name) and len(joined(part)) == len(name) + 15_001
    (tmp_path / "valid.txt").unlink()
    with pytest.raises(UserError, match="has a train file, but not both validation and test"):
        load(tmp_path)


def test_rows_of_a_table_are_texts_of_their_own(tmp_path):
    (tmp_path / "a.csv").write_text("text\n" + "".join(f"poem {row}\n" for row in range(40)))
    examples = load(tmp_path / "a.csv", task="embed")
    assert examples.task == "embed"
    assert [len(part) for part in examples.splits().values()] == [28, 6, 6]
    assert len(load(tmp_path / "a.csv", limit=4).train) == 4


def test_what_cannot_be_learnt_from_is_one_sentence(tmp_path):
    (tmp_path / "a.txt").write_text(" \n")
    with pytest.raises(UserError, match=r"a\.txt has no text in it"):
        load(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    with pytest.raises(UserError, match="has too few lines of text: 2, where it needs at least three"):
        load(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n\xff\n")
    with pytest.raises(UserError, match=r"a\.txt, line 3: byte 1 of the line \(byte 9 of the file\) is 0xFF"):
        load(tmp_path / "a.txt")
    with pytest.raises(UserError, match=r"is plain text, without classes; say --data\.task generate"):
        load(tmp_path / "a.txt", task="auto")


@pytest.mark.parametrize("sizes", [[1, 1, 1], [100, 1, 1], [1, 1, 100], [1] * 50])
@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.1), (0.45, 0.5), (0.01, 0.01)])
def test_blocks_are_in_order_and_none_is_empty(sizes, validation, test):
    kinds = corpus.blocks(sizes, Data(validation=validation, test=test))
    assert list(dict.fromkeys(kinds)) == ["train", "validation", "test"]
    assert kinds == sorted(kinds, key=["train", "validation", "test"].index)
    assert len(kinds) == len(sizes)


def test_nothing_is_held_out_to_choose_on_where_that_is_asked_for(tmp_path):
    assert corpus.blocks([1] * 10, Data(validation=0, test=0.2)) == ["train"] * 8 + ["test"] * 2
    (tmp_path / "a.txt").write_text(LONG)
    examples = load(tmp_path / "a.txt", validation=0)
    assert joined(examples.train) + joined(examples.test) == LONG
    assert joined(examples.validation) == joined(examples.train)
