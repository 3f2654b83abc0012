"""Augmentation: a training text as it might have been written, drawn anew each time that it is trained on.

Owns which words change and how labels follow. Does not own what becomes of a single word (``noise.py``), nor what
the seed is made of. Cleaning comes before, and nothing but training augments.

A word is drawn for each change in the order of `CHANGES`, and changed once: by the first that hits. The words of a
labelled span are neither dropped nor moved, so that no label is lost or broken; they are masked, misspelt, recased
and replaced as others are. One word always stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise

import numpy as np

from mtl_transformers.errors import ConfigError
from mtl_transformers.text.edits import Edited, Replacement, replaced
from mtl_transformers.text.noise import Synonyms, misspelt, recased, renamed
from mtl_transformers.text.word import WORD

CHANGES = ("word_swap", "token_dropout", "random_mask", "synonyms", "typos", "casing")
_MOVING = 2  # of them move or remove words
_DETAILS = 3  # draws for what a change does to its word

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Augment:
    """What is changed in how many words, as probabilities for each word of an augmented text.

    Attributes:
        share: of the texts that are augmented at all; the others are trained on as they are.
        word_swap: changes places with the next word.
        token_dropout: is left out.
        random_mask: becomes the tokenizer's mask token.
        synonyms: becomes a synonym, if it has one.
        typos: is misspelt in one character.
        casing: is written in another case.
        synonyms_file: where synonyms are read from (`synonyms.load_synonyms`).
    """

    share: float = 0.5
    word_swap: float = 0.0
    token_dropout: float = 0.0
    random_mask: float = 0.0
    synonyms: float = 0.0
    typos: float = 0.0
    casing: float = 0.0
    synonyms_file: str | None = None


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What happens to one word: the change, and the draws of how."""

    change: str
    details: Sequence[float]


@dataclass(frozen=True, slots=True)
class Augmenter:
    """Augments texts and lists of words; the same seed gives the same result.

    A word of a text is `word.WORD`; of a list, an item that holds one. Punctuation stays where it is.

    Attributes:
        how: the probabilities.
        mask_token: the tokenizer's; ``None`` where it has none.
        synonyms: the content of ``how.synonyms_file``.

    Raises:
        ConfigError: words are to be masked, and there is no mask token.
    """

    how: Augment
    mask_token: str | None = None
    synonyms: Synonyms = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.how.random_mask and self.mask_token is None:
            raise ConfigError("augment.random_mask: the encoder's tokenizer has no mask token; remove the key")

    def augment(self, text: str, *, seed: Sequence[int], labelled: Spans = ()) -> Edited:
        """Augment a text.

        Args:
            text: any text; one without words stays as it is.
            seed: numbers that tell this text, this time, from all others.
            labelled: characters ``[start, end)`` of spans that must stay whole; `Edited.forth` moves them.
        """
        words = [found.span() for found in WORD.finditer(text)]
        drawn = self._drawn(_held(words, labelled, end=len(text)), seed)
        return replaced(text, self._replacements(text, words, drawn))

    def augment_words(
        self, words: Sequence[str], *, seed: Sequence[int], labelled: Spans = ()
    ) -> tuple[list[str], list[int]]:
        """Augment a list of words.

        Args:
            words: any words; items without letters or digits stay where they are.
            seed: numbers that tell this list, this time, from all others.
            labelled: words ``[start, end)`` of spans that must stay whole.

        Returns:
            The new words, and for each the index of the word that it was, by which its tag follows.
        """
        places = [place for place, word in enumerate(words) if WORD.search(word)]
        drawn = self._drawn(_held([(place, place + 1) for place in places], labelled, end=len(words)), seed)
        new, order, dropped = list(words), list(range(len(words))), set()
        for number, what in drawn.items():
            place = places[number]
            if what.change == "word_swap":
                other = places[number + 1]
                order[place], order[other] = other, place
            elif what.change == "token_dropout":
                dropped.add(place)
            else:
                new[place] = replaced(words[place], self._rewritten(words[place], what)).text
        kept = [place for place in order if place not in dropped]
        return [new[place] for place in kept], kept

    def _drawn(self, held: Sequence[bool], seed: Sequence[int]) -> dict[int, _Drawn]:
        """Draw what happens to which word, ascending. A word that changes places is of the word before it."""
        draws = _draws(seed, 1 + len(held) * (len(CHANGES) + _DETAILS))
        if not held or draws[0] >= self.how.share:
            return {}
        table = draws[1:].reshape(len(held), -1)
        hits = table[:, : len(CHANGES)] < [getattr(self.how, change) for change in CHANGES]
        hits[held, :_MOVING] = False
        hits[[*held[1:], True], 0] = False
        drawn: dict[int, _Drawn] = {}
        for number in np.flatnonzero(hits.any(axis=1)).tolist():
            if number - 1 not in drawn or drawn[number - 1].change != "word_swap":
                drawn[number] = _Drawn(CHANGES[hits[number].argmax()], table[number, len(CHANGES) :].tolist())
        if len(drawn) == len(held) and all(what.change == "token_dropout" for what in drawn.values()):
            del drawn[int(table[:, 1].argmax())]  # the one that was nearest to staying
        return drawn

    def _replacements(self, text: str, words: Spans, drawn: Mapping[int, _Drawn]) -> Iterator[Replacement]:
        for number, what in drawn.items():
            start, end = words[number]
            if what.change == "word_swap":
                next_start, next_end = words[number + 1]
                yield start, next_end, text[next_start:next_end] + text[end:next_start] + text[start:end]
            elif what.change == "token_dropout":
                yield start, end + len(text[end:]) - len(text[end:].lstrip()), ""
            else:
                for first, last, new in self._rewritten(text[start:end], what):
                    yield start + first, start + last, new

    def _rewritten(self, word: str, what: _Drawn) -> list[Replacement]:
        match what.change:
            case "random_mask":
                return [(0, len(word), self.mask_token or "")]
            case "synonyms":
                return renamed(word, what.details, self.synonyms)
            case "typos":
                return misspelt(word, what.details)
            case _:
                return recased(word, what.details)


def _held(words: Spans, labelled: Spans, *, end: int) -> list[bool]:
    """Tell for each word whether a labelled span begins or goes on before the next word does."""
    bounds = pairwise([*(start for start, _ in words), end])
    return [any(start < behind and first < last for start, last in labelled) for first, behind in bounds]


def _draws(seed: Iterable[int], num: int) -> np.ndarray:
    """``[num]`` numbers in [0, 1), a function of the seed. Raw Philox output: its stream is the same in every numpy."""
    key = blake2b(json.dumps(list(seed)).encode(), digest_size=16).digest()
    raw = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(num)
    return np.asarray((raw >> np.uint64(11)) * 2.0**-53)
