"""How answers are compared: exact match and F1 of words, by the official script of SQuAD 2.0.

Owns the normalisation of an answer (``evaluate-v2.0.py`` of Rajpurkar et al. 2018, arXiv:1806.03822). Does not know
where an answer stands. An answer without text is "no answer".
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(answer: str) -> str:
    """Return an answer in lower case, without ASCII punctuation and English articles, its words one space apart."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(predicted: str, gold: Sequence[str]) -> float:
    """Return 1 where an answer equals one of the right ones when normalised, else 0."""
    return _best(predicted, gold, lambda mine, theirs: float(mine == theirs))


def word_f1(predicted: str, gold: Sequence[str]) -> float:
    """Return the F1 of an answer's words with the nearest of the right answers.

    Args:
        predicted: the answer, or an empty text.
        gold: the right answers, none of them where there is none.
    """
    return _best(predicted, gold, lambda mine, theirs: _f1(mine.split(), theirs.split()))


def _best(predicted: str, gold: Sequence[str], compare: Callable[[str, str], float]) -> float:
    """Compare with each right answer; those that are nothing when normalised do not count."""
    mine = normalized(predicted)
    return max(compare(mine, theirs) for theirs in list(filter(None, map(normalized, gold))) or [""])


def _f1(mine: Sequence[str], theirs: Sequence[str]) -> float:
    if not mine or not theirs:
        return float(mine == theirs)
    num_common = (Counter(mine) & Counter(theirs)).total()
    return 2 * num_common / (len(mine) + len(theirs))
