"""The model card: plain values in, the text of README.md out.

Owns the order of its sections. Their words are ``card_page.py``'s and ``card_usage.py``'s, the hub's metadata block
``card_metadata.py``'s. None of them tells of the machine that trained, reads files or knows what a kind of task is: the
caller describes each task, score and dataset (``card_content.py``).
"""

from __future__ import annotations

from mtl_transformers.model import card_page, card_usage
from mtl_transformers.model.card_content import LIBRARY as LIBRARY
from mtl_transformers.model.card_content import NO_WORDS as NO_WORDS
from mtl_transformers.model.card_content import Card as Card
from mtl_transformers.model.card_content import CardDataset as CardDataset
from mtl_transformers.model.card_content import CardScore as CardScore
from mtl_transformers.model.card_content import CardTask as CardTask
from mtl_transformers.model.card_content import CardWords as CardWords
from mtl_transformers.model.card_content import is_hub_id as is_hub_id
from mtl_transformers.model.card_content import public_name as public_name
from mtl_transformers.model.card_metadata import metadata
from mtl_transformers.model.markdown import plain


def render_card(card: Card) -> str:
    """Write the text of README.md: the hub's metadata block, then a page for a person.

    Returns:
        Markdown that ``huggingface_hub.ModelCard`` parses; its ``eval_results`` hold each defined score once.
    """
    sections = [
        f"# {plain(card.name)}",
        *card_page.introduction(card),
        "## Tasks",
        *card_page.tasks(card.tasks),
        "## Scores",
        *card_page.scores(card.tasks),
        "## Training mixture",
        *card_page.mixture(card.datasets),
        "## Intended use",
        *card_page.intended_use(card),
        "## Limits",
        card_page.limits(card),
        "## How to use it",
        *card_usage.usage(card.tasks),
    ]
    return f"---\n{metadata(card)}\n---\n\n" + "\n\n".join(sections) + "\n"
