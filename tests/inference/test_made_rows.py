"""Made rows are what each input reads, of all lengths, and the same for the same seed."""

from mtl_transformers.inference.made_rows import OPTIONS, made_rows
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.runtime.questions import Answerable
from mtl_transformers.text.inputs import Input

TOKENS = ("[PAD]", "card", "##ed", "Ġthe", "▁of", "!", "", "…")


def made(given: Input) -> list[dict[str, object]]:
    tasks = {"one": Answerable("any", "data", given, None), "two": Answerable("any", "data", given, None)}  # type: ignore[arg-type]
    [(names, rows)] = made_rows(tasks, TOKENS, seed=0)
    assert names == ["one", "two"]
    return list(rows)  # type: ignore[arg-type]


def test_texts_have_one_word_up_to_the_inputs_length_and_no_marks() -> None:
    texts = [str(row["body"]) for row in made(Input(("body",), "text", 24))]
    assert [len(text.split()) for text in texts[:: len(OPTIONS)]] == [1, 2, 3, 5, 8, 13, 21]
    assert {word for text in texts for word in text.split()} == {"card", "ed", "the", "of"}


def test_pairs_have_two_texts_and_words_are_a_list() -> None:
    assert all(row.keys() == {"first", "second"} for row in made(Input(("first", "second"), "pair", 8)))
    assert all(isinstance(row["tokens"], list) for row in made(Input(("tokens",), "words", 8)))


def test_options_are_a_list_of_several_texts_or_stand_in_their_columns() -> None:
    listed = made(Input(("text", "options"), "options", 8, num_context=1))
    assert [len(row["options"]) for row in listed[:3]] == list(OPTIONS)  # type: ignore[arg-type]
    apart = made(Input(("text", "a", "b"), "options", 8, num_context=1))
    assert all(isinstance(row[column], str) for row in apart for column in ("text", "a", "b"))


def test_the_same_seed_makes_the_same_rows_and_another_one_others(model: MultiTaskModel) -> None:
    tasks = {name: served.answerable for name, served in model.tasks.items()}

    def rows(seed: int) -> list[object]:
        return list(made_rows(tasks, model.vocabulary.tokens, seed=seed))

    assert rows(0) == rows(0) != rows(1)
    assert sorted(name for names, _ in made_rows(tasks, TOKENS, seed=0) for name in names) == sorted(tasks)
