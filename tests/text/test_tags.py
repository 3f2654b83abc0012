import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from mtl_transformers.errors import DataError
from mtl_transformers.text.tags import CharSpan, Span, bio_to_spans, chars_to_words, spans_to_bio, to_bio

SAME_SPANS = {  # PER on 0-1, LOC on 3, LOC on 4-5
    "bio": ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC"],
    "iob1": ["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-LOC"],
    "iobes": ["B-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC"],
}


@pytest.mark.parametrize("scheme", SAME_SPANS)
def test_every_scheme_of_the_same_spans_becomes_the_same_bio(scheme):
    assert to_bio(SAME_SPANS[scheme], scheme) == SAME_SPANS["bio"]


def test_spans_have_an_exclusive_end():
    assert bio_to_spans(SAME_SPANS["bio"]) == [Span("PER", 0, 2), Span("LOC", 3, 4), Span("LOC", 4, 6)]


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        (["O", "I-PER", "I-PER"], [Span("PER", 1, 3)]),
        (["B-PER", "I-LOC"], [Span("PER", 0, 1), Span("LOC", 1, 2)]),
        (["B-PER", "O", "I-PER"], [Span("PER", 0, 1), Span("PER", 2, 3)]),
        ([], []),
    ],
)
def test_an_inside_tag_that_continues_nothing_opens_a_span(tags, spans):
    assert bio_to_spans(tags) == spans


def test_after_an_end_or_a_single_tag_a_new_span_begins():
    assert to_bio(["S-A", "I-A", "E-A", "E-A", "S-A"], "iobes") == ["B-A", "B-A", "I-A", "B-A", "B-A"]


def test_a_label_may_hold_dashes():
    assert bio_to_spans(["B-object-part", "I-object-part"]) == [Span("object-part", 0, 2)]


@pytest.mark.parametrize("tag", ["S-PER", "E-PER", "PER", "B", "B-", "-PER", "", "b-PER", "BI-PER", "B_PER", "o"])
def test_a_malformed_tag_is_refused_with_the_legal_prefixes(tag):
    with pytest.raises(
        DataError, match=r"word 1: .* is no tag of the scheme bio; expected O or one of B-.*, I-"
    ) as error:
        to_bio(["O", tag], "bio")
    assert repr(tag) in str(error.value)


def test_the_legal_prefixes_are_the_schemes_own():
    assert to_bio(["S-PER"], "iobes") == ["B-PER"]
    with pytest.raises(DataError, match="iobes; expected O or one of B-<label>, I-<label>, E-<label>, S-<label>"):
        to_bio(["L-PER"], "iobes")


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=12))
def test_spans_of_bio_are_seqevals(tags):
    expected = [Span(label, first, last + 1) for label, first, last in get_entities(tags)]
    assert bio_to_spans(tags) == expected


@given(st.lists(st.sampled_from(["O", *(f"{p}-{x}" for p in "BIES" for x in "XY")]), max_size=12))
def test_spans_of_iobes_are_seqevals(tags):
    expected = [Span(label, first, last + 1) for label, first, last in get_entities(tags)]
    assert bio_to_spans(to_bio(tags, "iobes")) == expected


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=12))
def test_bio_survives_the_way_to_spans_and_back(tags):
    repaired = to_bio(tags, "bio")
    assert spans_to_bio(bio_to_spans(repaired), len(tags)) == repaired
    assert bio_to_spans(repaired) == bio_to_spans(tags)


WORDS = [(0, 2), (3, 7), (8, 11), (12, 19)]  # "my card was charged"


def test_character_spans_on_word_edges_become_words():
    spans = [CharSpan("B", 8, 19), CharSpan("A", 3, 7)]
    assert chars_to_words(spans, WORDS) == ([Span("A", 1, 2), Span("B", 2, 4)], 0)


@pytest.mark.parametrize(("start", "end"), [(4, 6), (3, 6), (4, 7), (2, 8), (3, 8)])
def test_a_span_off_the_word_edges_is_widened_to_whole_words_and_counted(start, end):
    assert chars_to_words([CharSpan("A", start, end)], WORDS) == ([Span("A", 1, 2)], 1)


def test_a_span_that_holds_no_word_is_dropped_and_counted():
    assert chars_to_words([CharSpan("A", 2, 3), CharSpan("B", 19, 25)], WORDS) == ([], 2)
    assert chars_to_words([CharSpan("A", 0, 1)], []) == ([], 1)


def test_a_word_shared_by_two_spans_goes_to_the_first():
    assert chars_to_words([CharSpan("A", 3, 5), CharSpan("B", 5, 7)], WORDS) == ([Span("A", 1, 2)], 2)
    spans, num_unaligned = chars_to_words([CharSpan("A", 3, 5), CharSpan("B", 5, 11)], WORDS)
    assert (spans, num_unaligned) == ([Span("A", 1, 2), Span("B", 2, 3)], 2)


def test_a_word_without_characters_inside_a_span_belongs_to_it():
    words = [(0, 2), (3, 3), (4, 6)]  # ["my", "", "ca"]
    assert chars_to_words([CharSpan("A", 0, 6)], words) == ([Span("A", 0, 3)], 0)
    assert chars_to_words([CharSpan("A", 4, 6)], words) == ([Span("A", 2, 3)], 0)


@pytest.mark.parametrize("second", [CharSpan("B", 3, 7), CharSpan("B", 5, 11), CharSpan("B", 4, 5)])
def test_overlapping_spans_are_refused(second):
    for spans in ([CharSpan("A", 3, 7), second], [second, CharSpan("A", 3, 7)]):
        with pytest.raises(DataError, match="overlap, but a word has one tag"):
            chars_to_words(spans, WORDS)
    assert chars_to_words([CharSpan("A", 3, 7), CharSpan("B", 7, 11)], WORDS)[0] == [
        Span("A", 1, 2),
        Span("B", 2, 3),
    ]


@pytest.mark.parametrize(("start", "end"), [(4, 4), (5, 3), (-1, 3)])
def test_an_empty_or_negative_span_is_refused(start, end):
    with pytest.raises(DataError, match=f"span 'A' from character {start} to {end}: expected 0 <= start < end"):
        chars_to_words([CharSpan("A", start, end)], WORDS)


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y"]), min_size=4, max_size=4))
def test_aligned_character_spans_give_the_words_back(tags):
    spans = bio_to_spans(tags)
    chars = [CharSpan(s.label, WORDS[s.start_word][0], WORDS[s.end_word - 1][1]) for s in spans]
    assert chars_to_words(chars, WORDS) == (spans, 0)
