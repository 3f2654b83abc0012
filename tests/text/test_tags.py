import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from mtl_transformers.errors import DataError
from mtl_transformers.text.tags import (
    CharSpan,
    Span,
    all_tags,
    chars_to_words,
    spans_to_tags,
    tags_to_spans,
    without_overlaps,
)

SPANS = [Span("PER", 0, 3), Span("LOC", 4, 5), Span("LOC", 5, 7)]
SAME_SPANS = {
    "bio": ["B-PER", "I-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC"],
    "iob1": ["I-PER", "I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-LOC"],
    "iobes": ["B-PER", "I-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC"],
    "bilou": ["B-PER", "I-PER", "L-PER", "O", "U-LOC", "B-LOC", "L-LOC"],
}
OFFICIAL = {"bio": IOB2, "iob1": IOB1, "iobes": IOBES, "bilou": BILOU}


@st.composite
def legal_tags(draw, scheme):
    """The tags of any row that seqeval's strict reading of the scheme takes whole."""
    spans, word = [], 0
    for label in draw(st.lists(st.sampled_from(["X", "Y", None]), max_size=6)):
        length = draw(st.integers(1, 3))
        if label is not None:
            spans.append(Span(label, word, word + length))
        word += length
    return spans, word, spans_to_tags(spans, word, scheme)


@pytest.mark.parametrize("scheme", SAME_SPANS)
def test_every_scheme_says_the_same_spans_with_an_exclusive_end(scheme):
    assert tags_to_spans(SAME_SPANS[scheme], scheme) == SPANS


@pytest.mark.parametrize("scheme", SAME_SPANS)
def test_the_same_spans_are_written_in_every_scheme(scheme):
    assert spans_to_tags(SPANS, 7, scheme) == SAME_SPANS[scheme]
    assert spans_to_tags(SPANS[::-1], 7, scheme) == SAME_SPANS[scheme]
    assert spans_to_tags([], 2, scheme) == ["O", "O"]


def test_iob1_begins_a_span_only_behind_one_of_its_label():
    spans = [Span("A", 0, 1), Span("B", 1, 2), Span("B", 2, 3), Span("B", 4, 5)]
    assert spans_to_tags(spans, 5, "iob1") == ["I-A", "I-B", "B-B", "O", "I-B"]


@pytest.mark.parametrize(("scheme", "other"), [*itertools.product(SAME_SPANS, repeat=2)])
@given(data=st.data())
def test_legal_tags_survive_the_way_through_any_scheme(scheme, other, data):
    spans, num_words, tags = data.draw(legal_tags(scheme))
    there = spans_to_tags(tags_to_spans(tags, scheme), num_words, other)
    back = spans_to_tags(tags_to_spans(there, other), num_words, scheme)
    assert back == tags
    assert tags_to_spans(there, other) == spans


@pytest.mark.parametrize("scheme", SAME_SPANS)
@given(data=st.data())
def test_what_is_written_is_legal_to_seqeval(scheme, data):
    spans, _, tags = data.draw(legal_tags(scheme))
    (strict,) = Entities([tags], scheme=OFFICIAL[scheme]).entities
    assert [Span(entity.tag, entity.start, entity.end) for entity in strict] == spans


@pytest.mark.parametrize(
    ("tags", "scheme"), [(["I-A", "O"], "bio"), (["B-A", "O"], "iobes"), (["B-A", "I-A", "O"], "bilou")]
)
def test_tags_that_are_not_legal_do_not_survive(tags, scheme):
    assert spans_to_tags(tags_to_spans(tags, scheme), len(tags), scheme) != tags


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
    assert tags_to_spans(tags, "bio") == spans


@pytest.mark.parametrize(("scheme", "end", "single"), [("iobes", "E", "S"), ("bilou", "L", "U")])
def test_after_an_end_or_a_single_tag_a_new_span_begins(scheme, end, single):
    tags = [f"{single}-A", "I-A", f"{end}-A", f"{end}-A", f"{single}-A"]
    assert tags_to_spans(tags, scheme) == [Span("A", 0, 1), Span("A", 1, 3), Span("A", 3, 4), Span("A", 4, 5)]


def test_a_label_may_hold_dashes():
    assert tags_to_spans(["B-object-part", "I-object-part"], "bio") == [Span("object-part", 0, 2)]


@pytest.mark.parametrize("tag", ["S-PER", "E-PER", "PER", "B", "B-", "-PER", "", "b-PER", "BI-PER", "B_PER", "o"])
def test_a_malformed_tag_is_refused_with_the_legal_prefixes(tag):
    with pytest.raises(
        DataError, match=r"word 1: .* is no tag of the scheme bio; expected O or one of B-.*, I-"
    ) as error:
        tags_to_spans(["O", tag], "bio")
    assert repr(tag) in str(error.value)


def test_the_legal_prefixes_are_the_schemes_own():
    with pytest.raises(DataError, match="iobes; expected O or one of B-<label>, I-<label>, E-<label>, S-<label>"):
        tags_to_spans(["L-PER"], "iobes")
    with pytest.raises(DataError, match="bilou; expected O or one of B-<label>, I-<label>, L-<label>, U-<label>"):
        tags_to_spans(["E-PER"], "bilou")


def test_all_tags_of_a_label_stand_together_after_outside():
    assert all_tags(["X", "Y"], "bio") == ("O", "B-X", "I-X", "B-Y", "I-Y")
    assert all_tags(["X"], "bilou") == ("O", "B-X", "I-X", "L-X", "U-X")


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=12))
def test_spans_of_bio_are_seqevals(tags):
    expected = [Span(label, first, last + 1) for label, first, last in get_entities(tags)]
    assert tags_to_spans(tags, "bio") == tags_to_spans(tags, "iob1") == expected


@given(st.lists(st.sampled_from(["O", *(f"{p}-{x}" for p in "BIES" for x in "XY")]), max_size=12))
def test_spans_of_iobes_and_bilou_are_seqevals(tags):
    expected = [Span(label, first, last + 1) for label, first, last in get_entities(tags)]
    assert tags_to_spans(tags, "iobes") == expected
    renamed = [tag.replace("E-", "L-").replace("S-", "U-") for tag in tags]
    assert tags_to_spans(renamed, "bilou") == expected


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
        with pytest.raises(DataError, match=r"overlap, but a word has one tag.*overlaps to longest or first"):
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
    spans = tags_to_spans(tags, "bio")
    chars = [CharSpan(s.label, WORDS[s.start_word][0], WORDS[s.end_word - 1][1]) for s in spans]
    assert chars_to_words(chars, WORDS) == (spans, 0)


NESTED = [CharSpan("A", 0, 7), CharSpan("B", 3, 7), CharSpan("C", 5, 19), CharSpan("D", 20, 22)]


def test_the_longest_of_spans_that_overlap_stays():
    assert set(without_overlaps(NESTED, "longest")) == {NESTED[2], NESTED[3]}
    # nested in two steps: B goes although A, which it overlaps, goes too
    chain = [CharSpan("A", 0, 6), CharSpan("B", 4, 9), CharSpan("C", 5, 20)]
    assert without_overlaps(chain, "longest") == [chain[2]]


def test_the_first_of_spans_that_overlap_stays():
    assert without_overlaps(NESTED, "first") == [NESTED[0], NESTED[3]]
    chain = [CharSpan("A", 0, 6), CharSpan("B", 4, 9), CharSpan("C", 6, 20)]
    assert without_overlaps(chain, "first") == [chain[0], chain[2]]


def test_a_tie_goes_to_the_earlier_or_longer_or_to_the_label_that_was_given_first():
    assert without_overlaps([CharSpan("B", 3, 6), CharSpan("A", 1, 4)], "longest") == [CharSpan("A", 1, 4)]
    assert without_overlaps([CharSpan("A", 1, 4), CharSpan("B", 1, 6)], "first") == [CharSpan("B", 1, 6)]
    for keep in ("longest", "first"):
        assert without_overlaps([CharSpan("B", 1, 4), CharSpan("A", 1, 4)], keep) == [CharSpan("B", 1, 4)]


char_spans = st.builds(
    lambda label, start, length: CharSpan(label, start, start + length),
    st.sampled_from("AB"),
    st.integers(0, 12),
    st.integers(1, 6),
)


@pytest.mark.parametrize("keep", ["longest", "first"])
@given(spans=st.lists(char_spans, max_size=8))
def test_repaired_spans_share_no_character_and_none_more_would_fit(keep, spans):
    kept = without_overlaps(spans, keep)
    taken = [place for span in kept for place in range(span.start, span.end)]
    assert len(taken) == len(set(taken))
    for span in set(spans) - set(kept):
        assert set(taken) & set(range(span.start, span.end))
    chars_to_words(kept, WORDS)  # does not refuse them
    assert without_overlaps(kept, keep) == kept
    assert without_overlaps(spans + spans, keep) == kept
