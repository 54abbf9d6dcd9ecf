"""Named data sets of series: from the UCR and UEA archives, with classes, and to forecast."""

from recipes.engine.sources.registry.cards import RAW, Copy, DatasetCard, files
from zoo.fetch import File

Row = tuple[str, int, str]

PACKAGE = "aeon==1.6.0"
LICENCE = "BSD-3-Clause (as packaged by aeon)"


def _numbers(first: int, last: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(first, last + 1))


def _archive(name: str, title: str, description: str, classes: tuple[str, ...], *rows: Row) -> DatasetCard:
    site = "https://timeseriesclassification.com/"
    return DatasetCard(
        name=name,
        task="series classification",
        description=description,
        source=f"{site}description.php?Dataset={title}",
        licence=LICENCE,
        copies=(
            Copy("home", "", (File(f"{title}.zip", 0, None, f"{site}aeon-toolkit/{title}.zip"),), "ts_zip"),
            Copy("pip", PACKAGE, files(rows, f"aeon/datasets/data/{title}/"), "ts"),
        ),
        classes=classes,
        checked="pip: computed from the package; home: not verified, remembered at the first download",
    )


def _forecast(name: str, description: str, columns: tuple[str, ...], folder: str, *rows: Row) -> DatasetCard:
    inside = f"aeon/datasets/data/{folder}"
    return DatasetCard(
        name=name,
        task="forecast",
        description=description,
        source="https://github.com/aeon-toolkit/aeon",
        licence=LICENCE,
        copies=(
            Copy("home", "", files(rows, f"{RAW}aeon-toolkit/aeon/v1.6.0/{inside}"), "steps"),
            Copy("pip", PACKAGE, files(rows, inside), "steps"),
        ),
        classes=columns,
        checked="computed from the package; the home must equal it",
    )


TABLE = (
    _archive(
        "italy_power_demand",
        "ItalyPowerDemand",
        "67 + 1,029 days of power demand, 24 steps, 2 classes",
        ("1", "2"),
        ("ItalyPowerDemand_TRAIN.ts", 18300, "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c"),
        ("ItalyPowerDemand_TEST.ts", 274054, "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144"),
    ),
    _archive(
        "gun_point",
        "GunPoint",
        "50 + 150 movements of a hand, 150 steps, 2 classes",
        ("1", "2"),
        ("GunPoint_TRAIN.ts", 84188, "f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5"),
        ("GunPoint_TEST.ts", 252305, "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e"),
    ),
    _archive(
        "arrow_head",
        "ArrowHead",
        "36 + 175 outlines of arrowheads, 251 steps, 3 classes",
        ("0", "1", "2"),
        ("ArrowHead_TRAIN.ts", 100357, "a83c470aaf611a5f5284377cce27a5fc9f6292bc3d110257b0fd4905ced5ee72"),
        ("ArrowHead_TEST.ts", 484894, "5417dab42626d41df5e435bb22458c2df40dfad4bcd3b59559bbe72e20e84904"),
    ),
    _archive(
        "osu_leaf",
        "OSULeaf",
        "200 + 242 outlines of leaves, 427 steps, 6 classes",
        _numbers(1, 6),
        ("OSULeaf_TRAIN.ts", 953148, "86b9d6e860414ffd26cebc62fff84ffb37fa588ef3e5bf79e4094a437c36ddfc"),
        ("OSULeaf_TEST.ts", 1152821, "6c549dd354f9e42d5985fa5fab75321ca9acefc7873457e71467fc8a31f107ce"),
    ),
    _archive(
        "acsf1",
        "ACSF1",
        "100 + 100 power consumptions of appliances, 1,460 steps, 10 classes",
        _numbers(0, 9),
        ("ACSF1_TRAIN.ts", 1658422, "0646b90dc4843e02baed6b2ba345c5601a4991b6796565489cef1b2d92a7537b"),
        ("ACSF1_TEST.ts", 1659932, "93e8aaeb44a10af181d24a156e60da7021193cd990ca28f263fccf3b905bfebf"),
    ),
    _archive(
        "basic_motions",
        "BasicMotions",
        "40 + 40 motions of a smart watch, 100 steps of 6 channels, 4 classes",
        ("Badminton", "Running", "Standing", "Walking"),
        ("BasicMotions_TRAIN.ts", 227790, "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6"),
        ("BasicMotions_TEST.ts", 227713, "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc"),
    ),
    _archive(
        "japanese_vowels",
        "JapaneseVowels",
        "270 + 370 utterances, 7 to 29 steps of 12 channels, 9 speakers",
        _numbers(1, 9),
        ("JapaneseVowels_TRAIN.ts", 487971, "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd"),
        ("JapaneseVowels_TEST.ts", 649132, "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462"),
    ),
    _archive(
        "pickup_gesture",
        "PickupGestureWiimoteZ",
        "50 + 50 gestures, 29 to 361 steps, 10 subjects",
        _numbers(1, 10),
        ("PickupGestureWiimoteZ_TRAIN.ts", 43921, "4d303d9990df621c066fc454d62626e3721aed008462103500b86b1ac1ca92c8"),
        ("PickupGestureWiimoteZ_TEST.ts", 44312, "a9109bce918e48ee0e924e9cf2fdfdc4de364a3d88ec5e8aa44399ff08b11361"),
    ),
    _forecast(
        "airline",
        "144 months of airline passengers, in thousands, 1949 to 1960 (Box and Jenkins 1976)",
        ("passengers",),
        "Airline/",
        ("Airline.csv", 1744, "28af0eb869db6d9fbd31d5af03993a0cbf36c0857c3eb046a068c094b60da851"),
    ),
    _forecast(
        "lynx",
        "114 years of lynx trapped in Canada, 1821 to 1934 (Brockwell and Davis 1991)",
        ("trappings",),
        "Lynx/",
        ("Lynx.csv", 1073, "aa531751f1570541924e78c53fa9ef56422c9593a89faeb01513bba7b2015c77"),
    ),
    _forecast(
        "shampoo_sales",
        "36 months of shampoo sales (Makridakis, Wheelwright and Hyndman 1998)",
        ("sales",),
        "ShampooSales/",
        ("ShampooSales.csv", 515, "dbf2adba68e2f6bae7956ca65771d7dee20cb58b6eb8261c2513d536ac690774"),
    ),
)
