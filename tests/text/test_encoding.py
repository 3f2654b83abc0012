import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.text.encoding import Features, TextEncoder

SENTENCES = [
    "the cat sat on the mat",
    "my card was charged twice",
    "a naïve café (déjà vu) 👍🏽 ok",
    "low lower lowest newer new",
    "unbelievable , really .",
] * 3


def wordpiece() -> Tokenizer:
    """As BERT uncased: lower case, accents stripped; its pieces are listed because tests name them."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces = [
        "the",
        "cat",
        "sat",
        "on",
        "mat",
        "my",
        "card",
        "wa",
        "##s",
        "char",
        "##ged",
        "tw",
        "##ic",
        "##e",
    ]
    pieces += ["low", "##er", "un", "##believ", "##able", "cafe", "👍", "##🏽", *"().,'s"]
    vocabulary = {piece: index for index, piece in enumerate([*special, *pieces])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def byte_level(*, trim_offsets: bool = True, add_prefix_space: bool = False) -> Tokenizer:
    """As RoBERTa (trimmed) or ModernBERT (offsets with the leading space)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<s>", "<pad>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=trim_offsets, add_prefix_space=add_prefix_space
    )
    return tokenizer


def unigram(*, split: bool = True) -> Tokenizer:
    """As XLM-R; ``split=False`` makes the whole text one pre-token, as Gemma's tokenizer does."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=split)
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.UnigramTrainer(
            vocab_size=70, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


TOKENIZERS = {
    "wordpiece": wordpiece(),
    "byte_level": byte_level(),
    "byte_level_untrimmed": byte_level(trim_offsets=False),
    "byte_level_prefix": byte_level(add_prefix_space=True),
    "unigram": unigram(),
    "unigram_unsplit": unigram(split=False),
}
every_tokenizer = pytest.mark.parametrize("name", TOKENIZERS)


ODD = st.sampled_from("ab éé\u0301👍🏽\u200b\n\t(,.ﬁ½…´中 ") | st.characters(codec="utf-8")


def encoder(name: str, *, max_length: int = 64, uses_token_types: bool = False) -> TextEncoder:
    return TextEncoder(TOKENIZERS[name], max_length=max_length, uses_token_types=uses_token_types)


def words_of(text: str, features: Features) -> list[str]:
    return [text[start:end] for start, end in features.word_spans]


def first_pieces(name: str, features: Features) -> list[str | None]:
    ids = features.input_ids[0]
    return [TOKENIZERS[name].id_to_token(ids[position]) for position in features.word_positions[0]]


# --- token ids ---


@every_tokenizer
def test_ids_are_the_tokenizers_own(name):
    rows = ["my card was charged twice", "", "👍🏽 café"]
    expected = [encoding.ids for encoding in TOKENIZERS[name].encode_batch(rows)]
    assert [row.input_ids for row in encoder(name).encode(rows, form="text")] == [(ids,) for ids in expected]
    assert [row.input_ids for row in encoder(name).encode(rows, form="text", alignment="words")] == [
        (ids,) for ids in expected
    ]


@every_tokenizer
@given(first=st.text(ODD, max_size=30), second=st.text(ODD, max_size=30), max_length=st.integers(6, 20))
def test_truncation_equals_the_tokenizers_own_longest_first(name, first, second, max_length):
    theirs = Tokenizer.from_str(TOKENIZERS[name].to_str())
    theirs.enable_truncation(max_length, strategy="longest_first")
    ours = encoder(name, max_length=max_length, uses_token_types=True)
    for row, form, expected in [
        (first, "text", theirs.encode(first)),
        ((first, second), "pair", theirs.encode(first, second)),
        (first.split(), "words", theirs.encode(first.split(), is_pretokenized=True)),
    ]:
        (features,) = ours.encode([row], form=form)
        assert features.input_ids == (expected.ids,)
        assert features.token_type_ids == (expected.type_ids,)
        assert features.truncated == bool(expected.overflowing)


def test_a_pair_shortens_the_longer_text_first():
    (features,) = encoder("wordpiece", max_length=8).encode([("the cat sat on the mat", "the cat")], form="pair")
    tokens = [TOKENIZERS["wordpiece"].id_to_token(token) for token in features.input_ids[0]]
    assert tokens == ["[CLS]", "the", "cat", "sat", "[SEP]", "the", "cat", "[SEP]"]
    assert features.truncated


def test_two_very_long_texts_take_linear_time():
    long = "the cat sat on the mat " * 3_000  # the tokenizer's own truncation: > 10 s, > 1 GB
    start = time.perf_counter()
    (features,) = encoder("wordpiece", max_length=256).encode([(long, long)], form="pair")
    assert features.length == 256
    assert time.perf_counter() - start < 3


def test_token_types_are_there_only_where_the_encoder_has_them():
    pair = [("the cat", "sat")]
    (typed,) = encoder("wordpiece", uses_token_types=True).encode(pair, form="pair")
    assert typed.token_type_ids == ([0, 0, 0, 0, 1, 1],)
    (untyped,) = encoder("wordpiece").encode(pair, form="pair")
    assert untyped.token_type_ids == ()
    assert untyped.input_ids == typed.input_ids


@every_tokenizer
def test_no_rows_give_no_features(name):
    assert encoder(name).encode([], form="text") == []
    assert encoder(name).encode([], form="pair") == []
    assert encoder(name).encode([], form="words", alignment="words") == []


@every_tokenizer
def test_an_empty_row_is_its_special_tokens(name):
    for row, form in [("", "text"), ([], "words")]:
        (features,) = encoder(name).encode([row], form=form, alignment="words")
        assert features.length == 2
        assert (features.word_indices, features.word_positions, list(features.word_spans)) == (
            ([],),
            ([],),
            [],
        )
        assert not features.truncated


def test_two_words_are_words_and_not_a_pair():
    (features,) = encoder("wordpiece", uses_token_types=True).encode([["cat", "sat"]], form="words")
    assert features.token_type_ids == ([0, 0, 0, 0],)


def test_the_given_tokenizer_is_neither_changed_nor_obeyed_in_padding_and_truncation():
    tokenizer = wordpiece()
    tokenizer.enable_padding(length=20)
    tokenizer.enable_truncation(4)
    before = tokenizer.to_str()
    text_encoder = TextEncoder(tokenizer, max_length=64, uses_token_types=False)
    (features,) = text_encoder.encode(["the cat sat on the mat"], form="text")
    assert features.length == 8
    assert tokenizer.to_str() == before


def test_threads_may_share_an_encoder():
    shared = encoder("byte_level", max_length=7)
    rows = [sentence * count for sentence in SENTENCES[:5] for count in range(1, 5)]
    expected = shared.encode(rows, form="text")
    with ThreadPoolExecutor(4) as pool:
        for features in pool.map(lambda _: shared.encode(rows, form="text"), range(20)):
            assert features == expected


def test_a_max_length_without_room_for_text_is_refused():
    with pytest.raises(ConfigError, match=r"max_length 2 leaves no room for a text.*Set max_length to 3"):
        encoder("wordpiece", max_length=2)
    small = encoder("byte_level", max_length=5)
    assert small.encode(["the cat sat"], form="text")[0].length == 5
    with pytest.raises(ConfigError, match=r"no room for a pair: the tokenizer adds 4 .* to 6 or more"):
        small.encode([("the", "cat")], form="pair")
    assert encoder("byte_level", max_length=6).encode([("the", "cat")], form="pair")[0].length == 6


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("text", "my card", None),
        ("text", "my card", "half \ud83d"),
        ("pair", ("my", "card"), ("my", None)),
        ("words", ["my", "card"], ["my", None]),
        ("words", ["my", "card"], "my card"),
    ],
)
def test_a_row_with_a_null_or_half_a_character_is_refused_by_its_number(form, good, bad):
    with pytest.raises(DataError, match=r"row 1 of 3, .*: expected a"):
        encoder("wordpiece").encode([good, bad, good], form=form)
    if form != "pair":
        with pytest.raises(DataError, match=r"row 1 of 3, .*: expected a"):
            encoder("wordpiece").encode([good, bad, good], form=form, alignment="words")


def test_features_can_be_pickled_and_measured():
    features = Features(input_ids=([1, 2], [1, 2, 3]), token_type_ids=())
    assert (features.length, features.num_sequences) == (3, 2)
    assert pickle.loads(pickle.dumps(features)) == features


# --- words of a list ---


@every_tokenizer
def test_given_words_count_their_characters_in_the_words_joined_by_one_space(name):
    words = ["my", "👍🏽", "New York", "", "cafe\u0301", "twice"]
    (features,) = encoder(name).encode([words], form="words", alignment="words")
    assert words_of(" ".join(words), features) == words


def test_a_given_word_without_a_token_has_a_span_but_no_position():
    words = ["my", "", "\u200b", "card", "\u200b"]
    (features,) = encoder("wordpiece").encode([words], form="words", alignment="words")
    assert features.word_indices == ([0, 3],)
    assert features.word_positions == ([1, 2],)
    assert list(features.word_spans) == [(0, 2), (3, 3), (4, 5), (6, 10), (11, 12)]
    assert not features.truncated


def test_a_word_of_several_pieces_stands_at_its_first():
    (features,) = encoder("wordpiece").encode(
        [["lowers", "was", "unbelievable", "low"]], form="words", alignment="words"
    )
    assert first_pieces("wordpiece", features) == ["low", "wa", "un", "low"]
    assert features.word_indices == ([0, 1, 2, 3],)


def test_truncation_inside_a_word_keeps_it_and_before_a_word_loses_it():
    words = ["my", "card", "was", "charged", "twice"]  # pieces: my | card | wa ##s | char ##ged | tw ##ic ##e
    (inside,) = encoder("wordpiece", max_length=7).encode([words], form="words", alignment="words")
    assert first_pieces("wordpiece", inside) == ["my", "card", "wa", "char"]
    last_two = [TOKENIZERS["wordpiece"].id_to_token(token) for token in inside.input_ids[0][-2:]]
    assert last_two == ["char", "[SEP]"]
    (before,) = encoder("wordpiece", max_length=6).encode([words], form="words", alignment="words")
    assert first_pieces("wordpiece", before) == ["my", "card", "wa"]
    for features in (inside, before):
        assert features.truncated
        assert words_of(" ".join(words), features) == words


# --- words of a text ---


def test_words_of_a_text_are_the_pre_tokenizers():
    text = "  My card's,  (lowers) "
    for name in ("wordpiece", "byte_level", "byte_level_untrimmed"):
        words = words_of(text, encoder(name).encode([text], form="text", alignment="words")[0])
        tail = [",", "(", "lowers", ")"]
        if name == "wordpiece":
            assert words == ["My", "card", "'", "s", *tail]
        else:
            assert words == ["My", "card", "'s", *tail]


@pytest.mark.parametrize("name", ["byte_level", "byte_level_untrimmed", "byte_level_prefix", "unigram"])
def test_a_words_span_leaves_out_the_space_that_its_first_piece_holds(name):
    text = "my card  was"
    (features,) = encoder(name).encode([text], form="text", alignment="words")
    assert list(features.word_spans) == [(0, 2), (3, 7), (9, 12)]
    assert features.word_indices == ([0, 1, 2],)


@pytest.mark.parametrize("name", ["byte_level_prefix", "unigram"])
def test_a_text_and_its_words_point_at_the_same_pieces(name):
    words = ["my", "card", "(déjà", "xyz", "👍🏽", "twice"]  # several begin with a bare Ġ or ▁
    words = words if name == "unigram" else [word.strip("(") for word in words]
    (of_text,) = encoder(name).encode([" ".join(words)], form="text", alignment="words")
    (of_words,) = encoder(name).encode([words], form="words", alignment="words")
    assert of_text == of_words
    assert set(first_pieces(name, of_text)) & {"Ġ", "▁"}


def test_a_text_that_the_pre_tokenizer_keeps_together_is_cut_at_white_space():
    text = " My  card, (café) 👍🏽 "
    (features,) = encoder("unigram_unsplit").encode([text], form="text", alignment="words")
    assert words_of(text, features) == ["My", "card,", "(café)", "👍🏽"]
    assert len(features.word_positions[0]) == 4


@every_tokenizer
def test_offsets_are_code_points_after_characters_outside_the_basic_plane(name):
    text = "👍🏽👍🏽 𝒳 my card"
    (features,) = encoder(name).encode([text], form="text", alignment="words")
    assert words_of(text, features)[-2:] == ["my", "card"]
    assert features.word_spans[-1] == (10, 14)


@pytest.mark.parametrize("name", ["wordpiece", "unigram"])
def test_a_combining_mark_that_normalisation_took_away_stays_with_its_word(name):
    text = "my cafe\u0301 was"
    (features,) = encoder(name).encode([text], form="text", alignment="words")
    assert words_of(text, features) == ["my", "cafe\u0301", "was"]


def test_characters_that_yield_no_token_are_no_word_of_a_text():
    text = "my \u200b card\u200b \u0301"
    (features,) = encoder("wordpiece").encode([text], form="text", alignment="words")
    assert words_of(text, features) == ["my", "card"]


@every_tokenizer
def test_words_lost_to_truncation_keep_their_spans(name):
    text = "my card was charged twice on the mat"
    (whole,) = encoder(name).encode([text], form="text", alignment="words")
    (cut,) = encoder(name, max_length=6).encode([text], form="text", alignment="words")
    assert list(cut.word_spans) == list(whole.word_spans)
    num_kept = len(cut.word_indices[0])
    assert 0 < num_kept < 8
    assert cut.word_indices[0] == whole.word_indices[0][:num_kept]
    assert cut.word_positions[0] == whole.word_positions[0][:num_kept]
    assert max(cut.word_positions[0]) < 5 <= whole.word_positions[0][num_kept]
    assert (cut.truncated, whole.truncated, cut.length) == (True, False, 6)


@every_tokenizer
@given(text=st.text(ODD, max_size=25))
def test_any_text_has_ascending_clean_words(name, text):
    (features,) = encoder(name, max_length=12).encode([text], form="text", alignment="words")
    words = words_of(text, features)
    assert all(word and word == word.strip() for word in words)
    starts, ends = [list(edges) for edges in zip(*features.word_spans, strict=True)] or [[], []]
    assert starts == sorted(starts)
    assert ends == sorted(ends)
    assert features.word_indices[0] == list(range(len(features.word_indices[0])))
    positions = features.word_positions[0]
    assert positions == sorted(set(positions))
    assert all(0 < position < features.length - 1 for position in positions)
    if not features.truncated:
        assert len(positions) == len(words)


@every_tokenizer
@given(words=st.lists(st.text(ODD, max_size=6), max_size=8), max_length=st.integers(3, 30))
def test_any_words_keep_the_position_of_their_first_piece(name, words, max_length):
    (features,) = encoder(name, max_length=max_length).encode([words], form="words", alignment="words")
    theirs = Tokenizer.from_str(TOKENIZERS[name].to_str())
    theirs.enable_truncation(max_length)
    word_ids = theirs.encode(words, is_pretokenized=True).word_ids
    expected = {word: word_ids.index(word) for word in range(len(words)) if word in word_ids}
    assert dict(zip(features.word_indices[0], features.word_positions[0], strict=True)) == expected
    assert words_of(" ".join(words), features) == words
