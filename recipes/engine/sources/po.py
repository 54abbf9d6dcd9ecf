"""Gettext's `.po` files: messages and their translations."""

import ast
import re
from collections.abc import Iterator

LINE = re.compile(r'(?:(msgctxt|msgid|msgid_plural|msgstr|msgstr\[\d+\])\s+)?("(?:[^"\\]|\\.)*")\s*')


def messages(text: str) -> Iterator[tuple[int, str, str]]:
    """The translated messages of a file: line, message, translation; of one with a plural, the first form.

    Left out are the header, what is not translated, and what is marked as fuzzy or obsolete. The format is that of the
    GNU gettext manual, section 3 "The Format of PO Files".

    Raises:
        ValueError: a line is none of that format.
    """
    entry: dict[str, str] = {}
    field, first, fuzzy = "", 0, False
    for number, line in enumerate([*text.split("\n"), ""], 1):
        line = line.strip()
        if not line:
            if entry.get("msgid") and not fuzzy:
                answer = entry.get("msgstr") or entry.get("msgstr[0]")
                if answer:
                    yield first, entry["msgid"], answer
            entry, field, first, fuzzy = {}, "", 0, False
        elif line.startswith("#"):
            fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
        else:
            match = LINE.fullmatch(line)
            if match is None or not (match[1] or field):
                raise ValueError(f"line {number} is no line of a .po file: {line[:40]!r}")
            field = match[1] or field
            first = first or number
            entry[field] = entry.get(field, "") + str(ast.literal_eval(match[2]))
