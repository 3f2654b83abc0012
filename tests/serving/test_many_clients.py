"""Many clients at once: everybody gets his own answer."""

import asyncio
from random import Random

import httpx
import pytest
from little import FILLERS, INTENTS, PLACES

from mtl_transformers.inference.multitask import MultiTaskModel

NUM_CLIENTS = 200


def texts(seed: int) -> list[str]:
    rng = Random(seed)
    words = [*FILLERS, *INTENTS, *PLACES]
    return [f"{' '.join(rng.choices(words, k=rng.randint(1, 40)))} {number}" for number in range(NUM_CLIENTS)]


def test_200_clients_with_texts_of_all_lengths_get_their_own_answers(client: httpx.Client, model: MultiTaskModel):
    given = texts(5)
    expected = model.predict(given)

    async def ask_all() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=NUM_CLIENTS)
        async with httpx.AsyncClient(base_url=client.base_url, limits=limits, timeout=60) as many:
            return await asyncio.gather(*(many.post("/predict", json={"texts": [text]}) for text in given))

    found = [response.json()["answers"][0] for response in asyncio.run(ask_all())]
    assert len({answer["mood"]["values"]["calm"] for answer in found}) > NUM_CLIENTS * 0.9  # they can be told apart
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["mood"]["values"] == pytest.approx(theirs["mood"]["values"], abs=1e-4)  # type: ignore[index, call-overload]
        assert ours["topics"]["scores"] == pytest.approx(theirs["topics"]["scores"], abs=1e-4)  # type: ignore[index, call-overload]
        assert len(ours["entities"]) == len(theirs["entities"])
