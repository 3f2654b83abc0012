"""A card after a change: what nobody edited is told anew, what a person wrote stays."""

from mtl_transformers.lifecycle.cards import merged_card, name_in

BEFORE = """---
library_name: mtl_transformers
tags:
- multi-task
model-index:
- name: tickets-best
---

# tickets-best

Two tasks.

## Tasks and scores

| intent | 0.9 |

## How to load it

```python
## no heading
model = 1
```
"""
AFTER = BEFORE.replace("Two tasks", "Three tasks").replace("| intent | 0.9 |", "| intent | 0.9 |\n| topic | 0.8 |")


def test_a_card_that_nobody_edited_is_the_new_one():
    merged = merged_card(BEFORE, before=BEFORE, after=AFTER)
    assert (merged.text, merged.stale) == (AFTER, ())


def test_a_section_and_a_key_of_a_person_stay():
    found = BEFORE.replace("tags:", "license: mit\ntags:") + "\n## Intended use\n\nOurs.\n"
    merged = merged_card(found, before=BEFORE, after=AFTER)
    assert merged.text == AFTER.replace("tags:", "license: mit\ntags:") + "\n## Intended use\n\nOurs.\n"
    assert merged.stale == ()


def test_an_edited_section_that_would_change_stays_and_is_named():
    found = BEFORE.replace("| intent | 0.9 |", "| intent | 0.9 | on easy rows")
    merged = merged_card(found, before=BEFORE, after=AFTER)
    assert "on easy rows" in merged.text
    assert "Three tasks" in merged.text
    assert merged.stale == ("Tasks and scores",)


def test_an_edited_section_that_would_not_change_is_not_named():
    found = BEFORE.replace("model = 1", "model = 2")
    assert merged_card(found, before=BEFORE, after=AFTER).stale == ()


def test_a_heading_that_stands_twice_is_two_sections():
    found = BEFORE + "\n## Tasks and scores\n\nMore of them.\n"
    merged = merged_card(found, before=BEFORE, after=AFTER)
    assert merged.text == AFTER + "\n## Tasks and scores\n\nMore of them.\n"


def test_a_removed_section_stays_away_and_a_new_one_comes():
    found = BEFORE[: BEFORE.index("## How to load it")]
    merged = merged_card(found, before=BEFORE, after=AFTER + "\n## Limits\n\nMany.\n")
    assert "How to load it" not in merged.text
    assert merged.text.endswith("## Limits\n\nMany.\n")


def test_a_heading_in_a_block_of_code_is_none():
    merged = merged_card(BEFORE, before=BEFORE, after=AFTER)
    assert merged.text.count("## no heading") == 1


def test_a_card_of_a_person_alone_stays_as_it_is():
    assert merged_card("My model.\n", before=BEFORE, after=AFTER).text == "My model.\n"


def test_the_name_of_the_model_is_that_of_the_metadata():
    assert name_in(BEFORE) == "tickets-best"
    assert name_in("# another\n") is None
