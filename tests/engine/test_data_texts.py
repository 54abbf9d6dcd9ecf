import csv
import gzip
import json

import numpy as np
import pytest

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import text_file

TEXTS = [f"a {'good' if row % 2 else 'bad'} film, no. {row}:\n“naïve”" for row in range(20)]
LABELS = ["good" if row % 2 else "bad" for row in range(20)]


def load(source, **fields):
    return data.load(Data(source=str(source), **fields), progress=False)


def table(path, rows, header=("text", "label"), delimiter=","):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([header, *rows])
    return path


def lines(path, items):
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def found(examples):
    return {
        text: (examples.classes[label], name)
        for part in examples.splits().values()
        for text, label, name in zip(part.inputs, part.labels, part.names, strict=True)
    }


@pytest.mark.parametrize("kind", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "folder"])
def test_every_kind_of_source_gives_the_same_texts(tmp_path, kind):
    path = tmp_path / kind
    if kind == "folder":
        for row, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True)):
            (path / label).mkdir(parents=True, exist_ok=True)
            (path / label / f"{row}.txt").write_text(text, encoding="utf-8")
    elif kind == "a.jsonl":
        lines(path, [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)])
    else:
        table(path, zip(TEXTS, LABELS, strict=True), delimiter="\t" if "tsv" in kind else ",")
    examples = load(path)
    assert (examples.task, examples.modality, examples.classes) == ("classify", "text", ("bad", "good"))
    assert examples.train.inputs.dtype == object
    got = found(examples)
    assert {text: label for text, (label, _) in got.items()} == dict(zip(TEXTS, LABELS, strict=True))
    assert [len(part) for part in examples.splits().values()] == [12, 4, 4]
    assert load(path).fingerprint == examples.fingerprint


def test_columns_are_named_splits_followed_and_labels_may_be_numbers(tmp_path):
    rows = [
        (row % 3, text, ("train", "val", "test")[row // 12 if row < 12 else 1 + row % 2])
        for row, text in enumerate(TEXTS)
    ]
    examples = load(table(tmp_path / "a.csv", rows, ("stars", "review", "Split")), text="review", label="stars")
    assert [len(part) for part in examples.splits().values()] == [12, 4, 4]
    assert examples.classes == ("0", "1", "2")
    items = [{"review": text, "stars": stars} for stars, text, _ in rows]
    assert load(lines(tmp_path / "a.jsonl", items), text="review", label="stars").classes == ("0", "1", "2")


def test_a_folder_with_splits(tmp_path):
    for split, count in (("train", 8), ("validation", 2), ("test", 4)):
        for row in range(count):
            (tmp_path / split / LABELS[row]).mkdir(parents=True, exist_ok=True)
            (tmp_path / split / LABELS[row] / f"{row}.txt").write_text(f"{split} {row}")
    examples = load(tmp_path)
    assert [len(part) for part in examples.splits().values()] == [8, 2, 4]
    assert set(examples.test.inputs) == {f"test {row}" for row in range(4)}


def test_equal_texts_stay_on_one_side_and_a_limit_counts_by_class(tmp_path):
    rows = list(zip(TEXTS, LABELS, strict=True))
    path = table(tmp_path / "a.csv", [*rows, *rows[:10]])
    for seed in range(5):
        examples = load(path, seed=seed)
        sides = [set(part.inputs) for part in examples.splits().values()]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    assert "copies of another text, word for word: 10" in examples.notes[0]
    assert np.bincount(load(path, limit=3).train.labels).tolist() == [3, 3]


def test_a_text_of_two_classes_is_told(tmp_path):
    rows = [*zip(TEXTS, LABELS, strict=True), (TEXTS[0], "good")]
    notes = load(table(tmp_path / "a.csv", rows)).notes
    assert any("texts that are in two classes, word for word: 1 (such as a.csv, line" in note for note in notes)


def test_the_fingerprint_changes_with_a_letter_and_with_where_a_text_ends(tmp_path):
    base = load(table(tmp_path / "a.csv", zip(TEXTS, LABELS, strict=True))).fingerprint
    other = [TEXTS[0] + "!", *TEXTS[1:]]
    assert load(table(tmp_path / "b.csv", zip(other, LABELS, strict=True))).fingerprint != base
    assert data.content(np.array(["ab", "c"], object)) != data.content(np.array(["a", "bc"], object))


@pytest.mark.parametrize("bad", ["", "  \n "])
def test_an_empty_text_is_refused_or_left_out(tmp_path, bad):
    rows = [*zip(TEXTS, LABELS, strict=True), (bad, "good")]
    path = table(tmp_path / "a.csv", rows)
    with pytest.raises(UserError, match=r"a\.csv, line \d+: the text is empty; mend it, or pass --data\.on-bad skip"):
        load(path)
    examples = load(path, on_bad="skip")
    assert len(found(examples)) == 20
    assert any(note.startswith("left out a.csv, line") and "(is empty)" in note for note in examples.notes)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "folder"])
def test_a_text_of_more_than_10_mb_is_refused(tmp_path, kind):
    long = "é" * (text_file.LARGEST // 2 + 1)
    rows = [*zip(TEXTS, LABELS, strict=True), (long, "good")]
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        table(path, rows)
    elif kind == "jsonl":
        lines(path, [{"text": text, "label": label} for text, label in rows])
    else:
        for row, (text, label) in enumerate(rows):
            (path / label).mkdir(parents=True, exist_ok=True)
            (path / label / f"{row}.txt").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"the text has 10\.0 MB, where 10 MB are the most"):
        load(path)
    assert len(found(load(path, on_bad="skip"))) == 20


def test_a_cell_that_never_ends_is_refused_and_the_limit_put_back(tmp_path):
    before = csv.field_size_limit()
    (tmp_path / "a.csv").write_text('text,label\nfine,good\n"' + "x\n" * text_file.LARGEST)
    with pytest.raises(
        UserError, match=r"a\.csv, line \d+: a cell has more than 10 MB, the most .*; is a quote missing"
    ):
        load(tmp_path / "a.csv")
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("name", ["a.csv", "b/good/3.txt"])
def test_what_is_not_utf_8_is_named_by_line_and_byte(tmp_path, name):
    path = tmp_path / name
    for row, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True)):
        (tmp_path / "b" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / label / f"{row}.txt").write_text(text)
    path.write_bytes("text,label\nfine,good\ncafé,bad\n".encode("latin-1"))
    source = path if name == "a.csv" else tmp_path / "b"
    with pytest.raises(
        UserError, match=rf"{path.name}, line 3: byte 4 of the line \(byte 25 of the file\) is 0xE9, which"
    ):
        load(source)
    if name != "a.csv":
        examples = load(source, on_bad="skip")
        assert len(found(examples)) == 19
        assert any("3.txt, line 3: byte 4" in note for note in examples.notes)


def test_a_mark_of_byte_order_does_not_shift_what_is_named(tmp_path):
    content = b"\xef\xbb\xbf" + "text\nab\xe9\n".encode("latin-1")
    with pytest.raises(UserError, match=r"line 2: byte 3 of the line \(byte 11 of the file\)"):
        text_file.decoded(content, "a.csv")
    assert text_file.decoded(b"\xef\xbb\xbfab", "a.csv") == "ab"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", r"a\.csv is empty"),
        ("text,label\n", r"a\.csv has no text in it"),
        ("text,kind\nx,y\n", "no column 'label'; its first line has text, kind: name the columns with"),
        ("text,label\nx,a\ny,b,c\n", "line 3 has 3 values, the first line 2"),
        ("text,label\nx,a\ny,\n", "a.csv, line 3: there is no class in 'label'"),
        ("text,label,split\nx,a,train\ny,b,dev\n", "line 3: the split 'dev' is not train, validation or test"),
        ("text,label\nx,a\ny,a\nz,a\n", r"has one class only \(a\)"),
        ("text,label\nx,a\ny,a\nz,b\n", "class 'b' in .* has too few examples: 1, where it needs at least 3"),
        ("text,label\nx,a\ny,a\nz,a\n" + "w,b\n" * 5, "class 'b' in .* has too few different texts: 1 among its 5"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_sentence(tmp_path, content, words):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        load(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "a.jsonl, line 2 is no JSON: .* at character"),
        ("[1]", "line 2 is no JSON object"),
        ('{"text": "x"}', "line 2 has no 'label'; it has text"),
        ('{"text": null, "label": "a"}', "line 2 has no 'text'; it has label"),
        (
            '{"text": "half \\ud83d one", "label": "a"}',
            r"line 2: 'text' has half a character, \\ud83d, which is no text",
        ),
    ],
)
def test_what_is_wrong_with_lines_of_json_is_one_sentence(tmp_path, line, words):
    (tmp_path / "a.jsonl").write_text('{"text": "x", "label": "a"}\n' + line + "\n")
    with pytest.raises(UserError, match=words):
        load(tmp_path / "a.jsonl")


def test_a_class_folder_without_texts_is_refused_and_other_files_are_told(tmp_path):
    for row, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True)):
        (tmp_path / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / label / f"{row}.txt").write_text(text)
    (tmp_path / "good" / "about.md").write_text("x")
    (tmp_path / "README.txt").write_text("not a text of a class")
    examples = load(tmp_path)
    assert len(found(examples)) == 20
    assert "files ignored since they are no .txt: 1" in examples.notes
    (tmp_path / "ugly").mkdir()
    with pytest.raises(UserError, match=r"class folder .*ugly has no \.txt file"):
        load(tmp_path)


def test_images_with_captions_are_still_images(tmp_path):
    from PIL import Image

    for row in range(10):
        (tmp_path / LABELS[row]).mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4), 20 * row, np.uint8)).save(tmp_path / LABELS[row] / f"{row}.png")
        (tmp_path / LABELS[row] / f"{row}.txt").write_text("caption")
    assert load(tmp_path).modality == "image"


PAIRS = [(f"the house no. {row}", f"das  Haus Nr. {row}") for row in range(20)]


@pytest.mark.parametrize("kind", ["a.csv", "a.tsv", "a.jsonl"])
def test_translations(tmp_path, kind):
    path = tmp_path / kind
    if kind == "a.jsonl":
        lines(path, [{"source": source, "target": target} for source, target in PAIRS])
    else:
        table(path, PAIRS, ("source", "target"), "\t" if "tsv" in kind else ",")
    examples = load(path, task="translate")
    assert (examples.task, examples.modality, examples.classes) == ("translate", "text", ())
    got = {pair for part in examples.splits().values() for pair in zip(part.inputs, part.labels, strict=True)}
    assert got == {(source, target.replace("  ", " ")) for source, target in PAIRS}
    assert [len(part) for part in examples.splits().values()] == [14, 3, 3]
    assert load(path, task="translate", seed=1).fingerprint != examples.fingerprint
    if kind != "a.jsonl":
        assert load(path).fingerprint == examples.fingerprint


def test_translations_by_other_columns_keep_equal_sources_on_one_side(tmp_path):
    rows = [*PAIRS, *((source, target + "!") for source, target in PAIRS[:8])]
    path = table(tmp_path / "a.csv", rows, ("en", "de"))
    for seed in range(5):
        examples = load(path, task="translate", columns=("en", "de"), seed=seed)
        sides = [set(part.inputs) for part in examples.splits().values()]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    assert len(load(path, task="translate", columns=("en", "de"), limit=4).train) == 4


@pytest.mark.parametrize(
    ("rows", "fields", "words"),
    [
        (PAIRS, {"columns": ("source",)}, "data.columns names 1 columns; a translation has two"),
        (PAIRS, {"columns": ("en", "de")}, "has no column 'en'"),
        ([*PAIRS, ("x", " ")], {}, "line 22: the text in 'target' is empty; mend it"),
        ([*PAIRS, ("", "x")], {}, "line 22: the text is empty"),
        (PAIRS[:2], {}, "too few different texts to train on: 2, where it needs at least 3"),
    ],
)
def test_what_is_wrong_with_translations_is_one_sentence(tmp_path, rows, fields, words):
    with pytest.raises(UserError, match=words):
        load(table(tmp_path / "a.csv", rows, ("source", "target")), task="translate", **fields)
