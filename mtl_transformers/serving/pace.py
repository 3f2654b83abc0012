"""How fast a model answers, and how full a pass should be: measured, not configured.

The time of a pass is taken for a fixed part and one that grows with its padded tokens. The fixed part, in tokens, says
when padding costs more than a pass of its own; the tokens per second say how long those who wait will wait.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

MEMORY = 0.95  # of what was measured before, at each new pass
MIN_PASS_TOKENS, MAX_PASS_TOKENS = 16.0, 4096.0
PASS_TOKENS = 64.0  # until something was measured


class Pace:
    """Tokens per second, and the cost of a pass beside its tokens.

    One thread measures; others may read at once.
    """

    def __init__(self) -> None:
        self.pass_tokens = PASS_TOKENS
        self._tokens = self._seconds = 0.0

    def note(self, tokens: int, seconds: float) -> None:
        """Count a pass: its tokens without padding, and how long it took."""
        self._tokens = MEMORY * self._tokens + tokens
        self._seconds = MEMORY * self._seconds + seconds

    def calibrate(self, *, small: tuple[int, float], large: tuple[int, float]) -> None:
        """Learn the cost of a pass from the tokens and seconds of a small one and a large one."""
        per_token = (large[1] - small[1]) / max(1, large[0] - small[0])
        if per_token > 0:
            fixed = small[1] / per_token - small[0]
            self.pass_tokens = min(max(fixed, MIN_PASS_TOKENS), MAX_PASS_TOKENS)
        self.note(*large)

    def seconds_for(self, tokens: int) -> float:
        """Return how long some tokens take; 0 where nothing was measured."""
        return tokens * self._seconds / self._tokens if self._tokens else 0.0


def seconds_of(work: Callable[[], object], *, repeats: int = 3) -> float:
    """Return the shortest of a few times that some work takes."""
    found = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        found.append(perf_counter() - start)
    return min(found)
