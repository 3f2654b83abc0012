from pathlib import Path
from typing import Any

import pytest
from little import write_rows

from mtl_transformers.data.preparing import load_tables
from mtl_transformers.data.spec import DatasetSpec, Filters, Source
from mtl_transformers.errors import DataError


def spec(directory: Path, rows: list[dict[str, Any]], **given: Any) -> DatasetSpec:
    file = write_rows(directory / "rows.jsonl", rows)
    return DatasetSpec(source=Source("a", "json", files={"train": str(file), "validation": str(file)}), **given)


TEXTS = [{"body": "<p>one</p>"}, {"body": "<br/>"}, {"body": "two"}]
WORDS = [{"body": ["the", "cat"]}, {"body": ["the", "and"]}]


def test_a_text_of_which_cleaning_leaves_nothing_is_refused_with_its_line(tmp_path):
    with pytest.raises(DataError, match=r"rows\.jsonl, line 2: data\.a\.clean leaves nothing of the text \(1 rows\)"):
        load_tables(spec(tmp_path, TEXTS, text=("body",), clean=("strip_html",)), seed=1)


def test_it_is_left_out_where_that_is_asked_for(tmp_path):
    given = spec(tmp_path, TEXTS, text=("body",), clean=("strip_html",), filters=Filters(drop_empty=True))
    tables = load_tables(given, seed=1)
    assert tables.splits["train"]["body"][:] == ["<p>one</p>", "two"]
    assert tables.num_dropped["train"] == {"drop_empty": 1}


def test_without_cleaning_it_is_a_text(tmp_path):
    assert len(load_tables(spec(tmp_path, TEXTS, text=("body",)), seed=1).splits["train"]) == 3


def test_words_are_empty_when_none_is_left(tmp_path):
    given = spec(tmp_path, WORDS, text=("body",), clean=("drop_stopwords:english",), filters=Filters(drop_empty=True))
    assert load_tables(given, seed=1).splits["train"]["body"][:] == [["the", "cat"]]
