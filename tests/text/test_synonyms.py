import pytest

from mtl_transformers.errors import DataError
from mtl_transformers.text.synonyms import load_synonyms

EXPECTED = {"card": ["pass", "bank card"], "straße": ["weg"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.tsv", "card\tpass, bank card\n\nStraße\tWeg"),
        ("s.txt", "\ufeffCard\tpass,,\r\nStraße\tWeg\r\ncard\tbank card,pass\r\n"),
        ("s.csv", 'card,pass,"bank card"\nStraße,Weg\n'),
        ("s.jsonl", '{"word": "card", "synonyms": ["pass", "bank card"]}\n{"synonyms": ["Weg"], "word": "Straße"}\n'),
    ],
)
def test_three_forms_of_a_file_hold_the_same(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    assert load_synonyms(path) == {
        word.casefold(): [synonym if word == "card" else "Weg" for synonym in synonyms]
        for word, synonyms in EXPECTED.items()
    }


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("s.tsv", b"card\tpass\ncard pass\n", r"s\.tsv, line 2: expected word<TAB>synonym,synonym; got 'card pass'"),
        ("s.tsv", b"\n\tpass\n", r"line 2: expected word<TAB>"),
        ("s.tsv", b"card\t , \n", r"line 1: expected word<TAB>"),
        ("s.csv", b"card\n", r"line 1: expected word,synonym,synonym; got 'card'"),
        ("s.jsonl", b'{"word": "card"}\n', r'line 1: expected \{"word": "…", "synonyms": \["…"\]\}'),
        ("s.jsonl", b'{"word": "card", "synonyms": "pass"}\n', "line 1: expected"),
        ("s.jsonl", b'{"word": 1, "synonyms": ["a"]}\n', "line 1: expected"),
        ("s.jsonl", b'{"word": "a", "synonyms": [null]}\n', "line 1: expected"),
        ("s.jsonl", b"{\n", "line 1: expected"),
        ("s.jsonl", b"[1]\n", "line 1: expected"),
        ("s.tsv", b"a\tb\n\xff\tc\n", r"line 2: no UTF-8 text"),
        ("s.tsv", b"\n\n", "holds no synonyms; expected lines as word<TAB>synonym,synonym"),
    ],
)
def test_what_is_no_entry_is_told_with_its_file_and_line(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=told):
        load_synonyms(tmp_path / name)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match=r"none\.tsv: cannot be read: No such file"):
        load_synonyms(tmp_path / "none.tsv")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        load_synonyms(tmp_path)
