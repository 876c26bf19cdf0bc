"""Words on a page: what strangers wrote is shown and not drawn."""

import pytest

from se_viz.ui.words import as_markdown


def test_a_sentence_of_our_own_stays_as_it_is():
    """Names of networks and files are read again by people who copy them."""
    words = "mine.pt holds other weights than se_resnet50: 3 of its 10 (or 'layer1.0'). Save `model.state_dict()`."
    assert as_markdown(words) == words


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("![x](http://e.com/a.png)", r"!\[x\](http\://e.com/a.png)"),
        ("<img src=x>", r"\<img src=x\>"),
        ("**bold** and _slanted_", r"\*\*bold\*\* and \_slanted\_"),
        (":material/home: :red[x]", r"\:material/home: :red\[x\]"),
        ("# large", r"\# large"),
        ("1. first", r"1\. first"),
        ("www.evil.com a@b.c", r"www\.evil.com a\@b.c"),
        ("$x^2$", r"\$x^2\$"),
        ("line\n\n![x](y)", r"line !\[x\](y)"),
        ("one ` alone ![x](y)", r"one ' alone !\[x\](y)"),
        ("`![x](y)`", "`![x](y)`"),
    ],
)
def test_what_markdown_acts_on_is_put_out_of_action(written: str, shown: str):
    """A tensor named as a picture fetched that picture from outside; inside of backticks nothing acts."""
    assert as_markdown(written) == shown
