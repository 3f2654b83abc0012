"""What a word of a text is to cleaning and to augmenting."""

import regex

WORD = regex.compile(r"\w+(?:['’-]\w+)*")
"""Letters, digits and marks, with apostrophes and hyphens between them (``don't``, ``e-mail``). A script that does
not part its words has one of them from one punctuation mark to the next."""
