"""What each step makes of a text, against the standard library where it has the step without the way back."""

import html
import re
import sys
import time
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.text.cleaning import STEPS, clean, step_of
from mtl_transformers.text.cleaning_steps import stopword_languages

THOROUGH = settings(deadline=None)
STEPS_WITHOUT_CHOICE = sorted(set(STEPS) - {"normalize_unicode", "drop_stopwords"})
MARKS = st.text(
    st.characters(categories=["Mn", "Mc", "Lo"]) | st.sampled_from("aeiouAＡｶﾞﾟ가각각Ασς\u0344\u1e9b"), max_size=8
)


def cleaned(text, *steps):
    return clean(text, [step_of(step) for step in steps]).text


def origins(text, *steps):
    """Each character with the part of the original that it stands for."""
    edited = clean(text, [step_of(step) for step in steps])
    return [(character, text[slice(*edited.back(at, at + 1))]) for at, character in enumerate(edited.text)]


class TextOf(HTMLParser):
    """The text of well-formed HTML, with a bar for every tag."""

    def __init__(self):
        super().__init__(convert_charrefs=False)
        self.text = ""

    def handle_data(self, data):
        self.text += data

    def handle_starttag(self, tag, attrs):
        self.text += "|"

    def handle_endtag(self, tag):
        self.text += "|"


TAGS = [
    "<p>",
    "</p>",
    "<br/>",
    "<a href='x>y'>",
    '<i class="<b>">',
    "</td >",
    "<!-- a <b> -->",
    "<!DOCTYPE html>",
    "<Hr\n>",
]


@THOROUGH
@given(st.lists(st.sampled_from([*TAGS, "a", "b c", " ", "1 < 2", "<3", "> "]), max_size=12))
def test_tags_are_what_the_html_parser_takes_for_tags(pieces):
    text = "".join(pieces)
    parser = TextOf()
    parser.feed(text)
    parser.close()
    assert cleaned(text, "strip_html").replace(" ", "") == parser.text.replace("|", "").replace(" ", "")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("one<br>two", "one two"),
        ("<p>one</p><p>two</p>", "one two"),
        ("<b>bold</b>ly", "boldly"),
        ("one</b><br><i>two", "one two"),
        ("one <br>two", "one two"),
        ("<SPAN>a</Span>b", "ab"),
        ("a<!-- <br> -->b", "ab"),
        ("x<script>if (a<b) {}</script>y<style>p > a {}</style >z", "xyz"),
        ("end <script>never closed", "end "),
        ("end <!-- never closed", "end "),
        ("a < b, 3<4, <3 and x <- y", "a < b, 3<4, <3 and x <- y"),
        ("a <b and <i>c</i>", "a <b and c"),
        ("an <a title='>'>attribute</a>", "an attribute"),
        ("a <!DOCTYPE html><?xml v?>b <![x", "a b <![x"),
    ],
)
def test_markup_goes_and_words_stay_apart(text, left):
    assert cleaned(text, "strip_html") == left


@THOROUGH
@given(
    st.lists(
        st.sampled_from([*"&#x;aA9 ", "amp", "lt", "&notit;", "&#38", "&euro;", "&fjlig;"]) | st.text(max_size=2)
    ).map("".join)
)
def test_references_are_read_as_the_standard_library_reads_them(text):
    assert cleaned(text, "unescape") == html.unescape(text)


def test_a_reference_is_read_once_and_stands_for_itself_alone():
    assert origins("&amp;lt; &ampx", "unescape") == [
        ("&", "&amp;"), ("l", "l"), ("t", "t"), (";", ";"), (" ", " "), ("&", "&amp"), ("x", "x"),
    ]  # fmt: skip


@THOROUGH
@given(MARKS | st.text(), st.sampled_from(["NFKC", "NFC", "NFKD", "NFD"]))
def test_normal_forms_are_those_of_the_standard_library(text, form):
    assert cleaned(text, f"normalize_unicode:{form}") == unicodedata.normalize(form, text)


@THOROUGH
@given(MARKS | st.text(), st.sampled_from(["NFKC", "NFC", "NFKD", "NFD"]))
def test_what_a_normalised_character_stands_for_normalises_to_a_text_with_it(text, form):
    for character, origin in origins(text, f"normalize_unicode:{form}"):
        assert character in unicodedata.normalize(form, origin)


@pytest.mark.parametrize(
    ("text", "stands_for"),
    [
        ("ﬁx", [("f", "ﬁ"), ("i", "ﬁ"), ("x", "x")]),
        ("ae\u0301b", [("a", "a"), ("é", "e\u0301"), ("b", "b")]),
        ("ｶﾞx", [("ガ", "ｶﾞ"), ("x", "x")]),
        ("\u1112\u1161\u11abx", [("한", "\u1112\u1161\u11ab"), ("x", "x")]),
        ("②é", [("2", "②"), ("é", "é")]),
        ("aﾞ\u0301", [("á", "aﾞ\u0301"), ("\u3099", "aﾞ\u0301")]),  # a mark that only its decomposition shows
    ],
)
def test_a_normalised_character_stands_for_the_smallest_part(text, stands_for):
    assert origins(text, "normalize_unicode") == stands_for


@THOROUGH
@given(st.text(st.sampled_from("aİΑΣσς\u0307ßﬁ .") | st.characters(), max_size=12))
def test_lower_case_is_that_of_the_standard_library(text):
    assert cleaned(text, "lowercase") == text.lower()
    for character, origin in origins(text, "lowercase"):
        assert len(origin) == 1
        assert character in origin.lower() or origin == "Σ"


def test_only_one_character_grows_in_lower_case_and_none_shrinks():
    grown = [chr(code) for code in range(sys.maxunicode + 1) if len(chr(code).lower()) != 1]
    assert grown == ["İ"]
    assert origins("aİΣ", "lowercase") == [("a", "a"), ("i", "İ"), ("\u0307", "İ"), ("ς", "Σ")]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Café, naïve, façade, Ångström, ngờ", "Cafe, naive, facade, Angstrom, ngo"),
        ("e\u0301e\u0323", "ee"),
        ("Ελληνικά ёж", "Ελληνικα еж"),
        ("が ぱ कि שׁ 한글 øß", "が ぱ कि שׁ 한글 øß"),
    ],
)
def test_accents_go_and_other_letters_stay(text, left):
    assert cleaned(text, "strip_accents") == left


@THOROUGH
@given(MARKS | st.text())
def test_no_accent_is_left(text):
    left = unicodedata.normalize("NFD", cleaned(text, "strip_accents"))
    assert not [mark for mark in left if unicodedata.combining(mark) >= 200]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Stop (now), please!", "Stop now please"),
        ("end.Start well-known don't", "end Start well known don t"),
        ("$5 ~ ¿qué? «oui» 50% a_b", "5  qué oui 50 a b"),
        ("5€ 🙂 a±b", "5€ 🙂 a±b"),
    ],
)
def test_punctuation_goes_and_words_stay_apart(text, left):
    assert cleaned(text, "strip_punctuation") == left


@pytest.mark.parametrize(
    ("text", "language", "left"),
    [
        ("The cat isn’t IN the house", "english", "cat house"),
        ("state-of-the-art, the; then", "english", "state-of-the-art, ; "),
        ("Das ist nicht die Karte", "german", "Karte"),
        ("that's (the) card", "english", "() card"),
        ("they were", "french", "they were"),
    ],
)
def test_stop_words_go_with_the_white_space_behind_them(text, language, left):
    assert cleaned(text, {"drop_stopwords": language}) == left


def test_every_language_has_a_list_and_a_code_is_a_name_for_it():
    languages = stopword_languages()
    assert languages["en"] == languages["english"] == "english"
    for language in set(languages.values()):
        assert cleaned("qqqq", {"drop_stopwords": language}) == "qqqq"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see http://a.b/c?d=e#f.", "see URL."),
        ("(HTTPS://a.b), www.a.b! ftp://x", "(URL), URL! URL"),
        ("xhttp://a example.com www. http://", "xhttp://a example.com www. http://"),
        ('<a href="http://a.b">', '<a href="URL">'),
    ],
)
def test_urls_are_masked(text, left):
    assert cleaned(text, "mask_urls") == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("to a.b+c@d-e.co.uk.", "to EMAIL."),
        ("<jörg@müller.de>,x_1@y.z", "<EMAIL>,EMAIL"),
        ("@handle a@b a @ b.c", "@handle a@b a @ b.c"),
    ],
)
def test_mail_addresses_are_masked(text, left):
    assert cleaned(text, "mask_emails") == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("1,234.50 and 7.", "NUMBER and NUMBER."),
        ("-5 $49.90 10% 12:30 ٣", "-NUMBER $NUMBER NUMBER% NUMBER:NUMBER NUMBER"),
        ("A4 3rd 3.5kg covid19 a_1 1.5.x", "A4 3rd 3.5kg covid19 a_1 NUMBER.x"),
    ],
)
def test_numbers_are_masked_but_not_beside_letters(text, left):
    assert cleaned(text, "mask_numbers") == left


def test_a_mask_stands_for_all_that_it_masks():
    assert origins("x 42!", "mask_numbers") == [("x", "x"), (" ", " "), *((c, "42") for c in "NUMBER"), ("!", "!")]


@THOROUGH
@given(st.text(st.sampled_from(" \t\n\r\u00a0\u2003\x1cab") | st.characters(), max_size=12))
def test_white_space_collapses_as_splitting_and_joining_does(text):
    assert cleaned(text, "collapse_whitespace") == " ".join(text.split())


@pytest.mark.parametrize("step", [*STEPS_WITHOUT_CHOICE, "normalize_unicode", "drop_stopwords:en"])
def test_a_long_text_takes_no_step_more_time_than_its_length_is_worth(step):
    """A step that is quadratic in any of these takes minutes."""
    start = time.process_time()
    for piece in (
        "a",
        "1,",
        "http://",
        "a@",
        "a.",
        "&",
        "e\u0301",
        "-a",
        "é",
        "(",
        "<a",
        "<a '",
        "<!--",
        "<script>",
        "</",
    ):
        cleaned(piece * 20_000, step)
    assert time.process_time() - start < 10


def test_a_quadratic_pattern_would_not_pass():
    """Negative control: with a tenth of the text, and of one piece, a careless pattern takes seconds already."""
    start = time.process_time()
    re.sub(r"<!--.*?-->", "", "<!--" * 2_000, flags=re.DOTALL)
    assert time.process_time() - start > 0.05
