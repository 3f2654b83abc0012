"""Cleaning as a whole: any steps on any text, and how steps are written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.errors import ConfigError
from mtl_transformers.text.cleaning import STEPS, clean, clean_words, step_of

EVERY = [step_of({name: "english"} if name == "drop_stopwords" else name) for name in STEPS]
KEEPING = [  # what they let stand is a character of the original, or put in for several
    "strip_html",
    "strip_punctuation",
    "drop_stopwords:english",
    "mask_urls",
    "mask_emails",
    "mask_numbers",
    "collapse_whitespace",
]
PIECES = st.sampled_from(
    [
        *(
            "the",
            "The",
            "card",
            "don’t",
            "İ",
            "ΑΣ",
            "ﬁ",
            "e\u0301",
            "é",
            "ｶﾞ",
            "가",
            "\u1100\u1161\u11a8",
            "q\u0323\u0307",
        ),
        *("<b>", "</b>", "<br>", "<p class='a>b'>", "<!-- x", "-->", "<script>", "</script>", "<", ">", "<!", "<![a"),
        *("&amp;", "&amp", "&ampx", "&#x36", "&#0;", "&notit;", "&", "http://a.b/c).", "www.", "a.b@c.de", "@", "://"),
        *("1,234.5", "3rd", "12:30", "-7", ".", "'", "-", "_", "$", " ", "  ", "\n", "\u00a0", "\u200b", "🙂", "ß"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=14).map("".join)
SOME_STEPS = st.lists(st.sampled_from([*EVERY, "normalize_unicode:NFD", "normalize_unicode:NFC"]), max_size=6)
THOROUGH = settings(deadline=None)


@THOROUGH
@given(TEXTS, SOME_STEPS)
def test_every_character_stands_for_some_of_the_original_in_its_order(text, steps):
    edited = clean(text, steps)
    bounds = [edited.back(place, place + 1) for place in range(len(edited.text))]
    assert all(0 <= start < end <= len(text) for start, end in bounds)
    assert [start for start, _ in bounds] == sorted(start for start, _ in bounds)
    assert [end for _, end in bounds] == sorted(end for _, end in bounds)


@THOROUGH
@given(TEXTS, st.lists(st.sampled_from(KEEPING), max_size=6))
def test_a_character_that_stands_for_itself_alone_is_equal_to_it(text, steps):
    edited = clean(text, steps)
    for place, character in enumerate(edited.text):
        start, end = edited.back(place, place + 1)
        assert text[start:end] == character or character in " URLEMAILNUMBER"


@THOROUGH
@given(TEXTS, SOME_STEPS, st.data())
def test_a_span_that_went_forth_comes_back_with_all_that_is_left_of_it(text, steps, data):
    edited = clean(text, steps)
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    if start == end:
        return
    left = [place for place in range(start, end) if edited.forth(place, place + 1)]
    there = edited.forth(start, end)
    assert (there is None) == (not left)
    if there is not None:
        first, last = edited.back(*there)
        assert first <= left[0]
        assert left[-1] < last


@THOROUGH
@given(TEXTS, SOME_STEPS)
def test_steps_one_after_another_are_the_steps_together(text, steps):
    one_by_one = text
    for step in steps:
        one_by_one = clean(one_by_one, [step]).text
    assert clean(text, steps).text == one_by_one


@THOROUGH
@given(TEXTS, st.sampled_from(sorted(set(EVERY) - {"strip_html", "unescape", "mask_emails"})))
def test_a_second_time_changes_nothing(text, step):
    """Not so where something new can come of it: ``<<b>b>`` and ``&amp;amp;``, a mask beside an ``@``."""
    once = clean(text, [step]).text
    assert clean(once, [step]).text == once


@pytest.mark.parametrize(("step", "text"), [("strip_html", "<![x<br>]>"), ("unescape", "&amp;amp;")])
def test_a_step_that_reads_markup_reads_it_once(step, text):
    """Negative control of the claim above."""
    once = clean(text, [step]).text
    assert clean(once, [step]).text != once


def test_steps_are_taken_in_their_order():
    text = "<b>A&lt;br&gt;B</b>"
    assert clean(text, ["unescape", "strip_html"]).text == "A B"
    assert clean(text, ["strip_html", "unescape"]).text == "A<br>B"


def test_a_label_follows_through_several_steps():
    text = "<p>Ask  for <b>Zoë &amp; Co</b>.</p>"
    steps = ["strip_html", "unescape", "lowercase", "strip_accents", "strip_punctuation", "collapse_whitespace"]
    start = text.index("Zoë")
    edited = clean(text, steps)
    assert edited.text == "ask for zoe co"
    first, last = edited.forth(start, start + len("Zoë &amp; Co"))
    assert edited.text[first:last] == "zoe co"
    assert edited.back(first, last) == (start, start + len("Zoë &amp; Co"))


def test_nothing_may_be_left():
    edited = clean("To be or not to be!", ["drop_stopwords:english", "strip_punctuation", "collapse_whitespace"])
    assert edited.text == ""
    assert edited.forth(0, 5) is None


def test_without_steps_a_text_is_itself():
    assert clean(" A\ttext ", []).text == " A\ttext "


def test_words_are_cleaned_one_by_one_and_keep_their_places():
    steps = ["drop_stopwords:english", "lowercase", "strip_punctuation"]
    assert clean_words(["The", "Card", ",", "2-in-1", ""], steps) == ["", "card", "", "2 in 1", ""]


@pytest.mark.parametrize(
    ("given_step", "step"),
    [
        ("lowercase", "lowercase"),
        ("normalize_unicode", "normalize_unicode:NFKC"),
        ({"normalize_unicode": "NFD"}, "normalize_unicode:NFD"),
        ({"drop_stopwords": "english"}, "drop_stopwords:english"),
        ({"drop_stopwords": "en"}, "drop_stopwords:english"),
        ("drop_stopwords:de", "drop_stopwords:german"),
    ],
)
def test_a_step_has_one_form_however_it_is_written(given_step, step):
    assert step_of(given_step) == step == step_of(step)


@pytest.mark.parametrize(
    ("given_step", "told"),
    [
        ("lower_case", "unknown step 'lower_case'; did you mean 'lowercase'"),
        ({"lowercase": True}, "lowercase takes no choice; got True"),
        ("drop_stopwords", r"write \{drop_stopwords: english\}"),
        ("drop_stopwords:", "got ''"),
        ({"drop_stopwords": "germn"}, "did you mean 'german'"),
        ({"drop_stopwords": False}, "Quote it"),
        ({}, "expected a step"),
        ({"lowercase": None, "unescape": None}, "expected a step"),
        (None, "expected a step"),
    ],
)
def test_what_is_no_step_is_refused(given_step, told):
    with pytest.raises(ConfigError, match=told):
        step_of(given_step)
