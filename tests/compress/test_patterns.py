import pytest

from compress.errors import CompressError
from compress.patterns import check_patterns, first_match


def test_the_first_pattern_that_matches_any_name_counts():
    settings = {"stage1/*": 4, "head": 8, "*": 2}
    assert first_match(settings, ["conv", "stage1/conv"]) == 4
    assert first_match(settings, ["head"]) == 8
    assert first_match(settings, ["tail"]) == 2
    assert first_match({"head": 8}, ["tail"]) is None


def test_a_pattern_that_matches_nothing_is_refused_with_what_is_near():
    check_patterns(["*", "conv*"], ["conv2d"], what="bits")
    with pytest.raises(CompressError, match="bits: 'convd2' matches no layer of weights; did you mean 'conv2d'"):
        check_patterns(["convd2"], ["head", "conv2d"], what="bits", layers="layer of weights")
    with pytest.raises(CompressError, match="'x' matches no layer; there are conv2d, head"):
        check_patterns(["x"], ["head", "conv2d"], what="bits")
