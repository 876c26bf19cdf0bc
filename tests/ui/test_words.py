"""Words on a page: what strangers wrote is shown and not drawn."""

import pytest

from se_viz.ui.words import as_markdown, code, plain, split_words


def test_a_sentence_of_our_own_stays_as_it_is():
    """Names of networks and files are read again by people who copy them."""
    words = (
        "mine.pt holds other weights than se_resnet50: 3 of its 10 (or 'layer1.0'). Save "
        "`model.state_dict()`."
    )
    assert as_markdown(words) == words


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("![x](http://e.com/a.png)", r"!\[x\](http:/:small[]/e.com/a.png)"),
        ("<img src=x>", r"\<img src=x>"),
        ("**bold** and _slanted_", r"\*\*bold\*\* and \_slanted\_"),
        (":material/home: :red[x]", r"\:m:small[]aterial/home: \:red\[x\]"),
        ("# large", r"\# large"),
        ("1. first", r"1\. first"),
        ("www.evil.com a@b.c", "w:small[]ww.evil.com a:small[]@b.c"),
        ("$x^2$", r"\$x^2\$"),
        ("line\n\n![x](y)", r"line !\[x\](y)"),
        ("one ` alone ![x](y)", r"one \` alone !\[x\](y)"),
        ("`![x](y)`", "`![x](y)`"),
    ],
)
def test_what_markdown_acts_on_is_put_out_of_action(written: str, shown: str):
    """A tensor named as a picture fetched that picture from outside; inside of backticks nothing
    acts.
    """
    assert as_markdown(written) == shown


# Each was looked at in Chromium: Streamlit draws it as it is written, and nothing is fetched or can
# be clicked. What parts a word, `:small[]`, draws nothing: symbols, arrows and addresses are found
# after backslashes are gone.
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("__background__", r"\_\_background\_\_"),
        ("C++ *juvenile*", r"C++ \*juvenile\*"),
        (":smile: face", r"\:s:small[]mile: face"),
        (":100:", ":1:small[]00:"),
        (":streamlit:", r"\:s:small[]treamlit:"),
        (":red-badge[b]", r"\:red-badge\[b\]"),
        ("<unk> ~~x~~", r"\<unk> \~\~x\~\~"),
        ("$x$ and $y$", r"\$x\$ and \$y\$"),
        ("[a](http://b.c)", r"\[a\](http:/:small[]/b.c)"),
        ("`code`", r"\`code\`"),
        ("&lt;b&gt; & c", r"\&lt;b\&gt; & c"),
        ("a -> b <- c -- d >= e", "a -:small[]> b <:small[]- c -:small[]- d >:small[]= e"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("12) a", r"12\) a"),
        ("> a", r"\> a"),
        ("a\n\nb", "a  b"),
        ("  a ", "a"),
        ("SE_4_3 of layer1.0: 12 %, (a + b) - c!", "SE_4_3 of layer1.0: 12 %, (a + b) - c!"),
    ],
)
def test_names_are_drawn_as_they_are(name: str, shown: str):
    """A class may be called anything: torchvision itself has "__background__"."""
    assert plain(name) == shown


def test_a_name_that_turns_the_line_turns_itself_alone():
    """After U+202E a browser writes from right to left to the end of the line, the numbers beside
    the name too.
    """
    assert plain("\u202egnp.exe") == "\u2068\u202egnp.exe\u2069"
    # A name that ends an isolate does not end the one around it.
    assert plain("a\u2069\u202eb") == "\u2068\u2068a\u2069\u202eb\u2069\u2069"


@pytest.mark.parametrize(
    ("name", "shown"), [("a.b", "`a.b`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```")]
)
def test_code_holds_backticks(name: str, shown: str):
    """CommonMark 6.1: a code span ends at a run of as many backticks as it began with."""
    assert code(name) == shown


@pytest.mark.parametrize(
    ("words", "shown", "rest"),
    [
        ("One sentence, e.g. of 0.5.", "One sentence, e.g. of 0.5.", ""),
        (
            "**Map**: of Hu et al. First. Second? `Third`.",
            "**Map**: of Hu et al. First. Second?",
            "`Third`.",
        ),
        ("A. B! C. D.", "A. B!", "C. D."),
    ],
)
def test_a_caption_shows_two_sentences_and_its_help_mark_the_rest(
    words: str, shown: str, rest: str
):
    """Nothing is lost on the way, and numbers and abbreviations end no sentence."""
    assert split_words(words) == (shown, rest)
