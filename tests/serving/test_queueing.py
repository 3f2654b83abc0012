"""Who may wait, and who goes through the encoder together."""

import threading
from itertools import chain
from random import Random

import pytest

from mtl_transformers.runtime.questions import Question
from mtl_transformers.serving.pace import Pace
from mtl_transformers.serving.queueing import Queue, QueueFull, next_pass
from mtl_transformers.text.encoding import Features


def question(length: int, num_sequences: int = 1) -> Question:
    return Question(Features(input_ids=[[1] * length] * num_sequences, token_type_ids=()), "", "text", ("task",))


def pace(*, tokens_per_s: float = 0.0) -> Pace:
    made = Pace()
    if tokens_per_s:
        made.note(int(tokens_per_s), 1.0)
    return made


def queue(*, max_tokens: int = 1000, max_wait_s: float = 1e9, tokens_per_s: float = 0.0) -> Queue:
    return Queue(pace(tokens_per_s=tokens_per_s), max_tokens=max_tokens, max_wait_s=max_wait_s)


def lengths_taken(waiting: Queue, max_tokens: int = 1000) -> list[int]:
    return [item.length for item in waiting.take(max_tokens) or ()]


def chosen(lengths: list[int], *, max_tokens: int = 10_000, pass_tokens: float = 100.0) -> list[int]:
    places = next_pass(lengths, [1] * len(lengths), max_tokens=max_tokens, pass_tokens=pass_tokens)
    return [lengths[place] for place in places]


# which go together


def test_equal_lengths_go_together_as_far_as_the_budget_goes():
    assert chosen([10] * 7, max_tokens=50) == [10] * 5


def test_the_oldest_goes_first_and_those_nearest_in_length_with_it():
    assert chosen([20, 90, 21, 5, 19], max_tokens=63) == [20, 21, 19]


def test_the_oldest_goes_even_where_it_alone_is_over_the_budget():
    assert chosen([500, 10], max_tokens=100) == [500]


def test_a_long_text_does_not_pad_short_ones_where_a_pass_of_its_own_is_cheaper():
    assert chosen([10, 500], pass_tokens=100) == [10]  # 510 of 1,000 padded; apart they cost 510 and 100 more


def test_padding_is_accepted_where_a_pass_costs_more():
    assert sorted(chosen([10, 500], pass_tokens=10_000)) == [10, 500]


def test_a_rows_sequences_count_all():
    places = next_pass([10, 10, 10], [4, 4, 1], max_tokens=50, pass_tokens=100)
    assert places == [0]  # 8 sequences of 10 are 80


@pytest.mark.parametrize("seed", range(20))
def test_no_pass_exceeds_the_budget_and_the_oldest_is_always_in_it(seed: int):
    rng = Random(seed)
    lengths = [rng.randint(1, 200) for _ in range(rng.randint(1, 60))]
    numbers = [rng.randint(1, 4) for _ in lengths]
    places = next_pass(lengths, numbers, max_tokens=400, pass_tokens=rng.choice((0.0, 50.0, 1000.0)))
    assert places[0] == 0
    assert len(set(places)) == len(places)
    padded = max(lengths[n] for n in places) * sum(numbers[n] for n in places)
    assert padded <= 400 or places == [0]


# who may wait


def test_every_question_is_taken_once_and_the_queue_is_then_empty():
    waiting = queue()
    with waiting.admitted(5) as ticket:
        waiting.put(ticket, [question(length) for length in (3, 40, 4, 41)], top_k=None, request_id="r")
        assert waiting.num_tokens == 88
        taken = [lengths_taken(waiting, 50), lengths_taken(waiting, 50), lengths_taken(waiting, 50)]
    assert sorted(chain.from_iterable(taken)) == [3, 4, 40, 41]
    assert waiting.num_tokens == waiting.num_questions == 0


def test_a_request_that_does_not_fit_is_refused_until_there_is_room():
    waiting = queue(max_tokens=100)
    with waiting.admitted(60):
        with pytest.raises(QueueFull), waiting.admitted(41):
            pass
        with waiting.admitted(40):
            assert waiting.num_tokens == 100
    with waiting.admitted(41):
        assert waiting.num_tokens == 41


def test_a_request_is_never_too_large_for_an_empty_queue():
    waiting = queue(max_tokens=100)
    with waiting.admitted(5000):
        assert waiting.num_tokens == 5000


def test_nobody_is_let_in_who_would_wait_too_long():
    waiting = queue(max_wait_s=2.0, tokens_per_s=100)
    with waiting.admitted(150), pytest.raises(QueueFull), waiting.admitted(60):
        pass


def test_retry_after_is_how_long_those_who_wait_take():
    waiting = queue(max_tokens=1000, tokens_per_s=100)
    with waiting.admitted(950), pytest.raises(QueueFull) as full, waiting.admitted(100):
        pass
    assert full.value.retry_after_s == 10  # 950 tokens at 100 a second


def test_what_a_request_has_in_the_queue_leaves_with_it():
    waiting = queue()
    with waiting.admitted(10) as other:
        waiting.put(other, [question(7)], top_k=None, request_id="b")
        with waiting.admitted(10) as ticket:
            waiting.put(ticket, [question(5), question(6)], top_k=None, request_id="a")
        assert waiting.num_tokens == 7
        assert lengths_taken(waiting) == [7]


def test_a_wrong_guess_of_tokens_is_put_right():
    waiting = queue()
    with waiting.admitted(900) as ticket:
        waiting.put(ticket, [question(5)], top_k=None, request_id="a")
        assert waiting.num_tokens == 5


def test_take_waits_for_a_question_and_ends_when_the_queue_is_closed():
    waiting = queue()
    taken: list[list[int]] = []
    thread = threading.Thread(target=lambda: taken.extend([lengths_taken(waiting), lengths_taken(waiting)]))
    thread.start()
    with waiting.admitted(1) as ticket:
        job = waiting.put(ticket, [question(9)], top_k=None, request_id="a")
        assert job.left == 1
        while not taken and waiting.num_questions:
            pass
        waiting.close()
        thread.join(5)
    assert taken == [[9], []]


# pace


def test_the_cost_of_a_pass_is_found_from_a_small_and_a_large_one():
    measured = Pace()
    measured.calibrate(small=(20, 0.010), large=(1020, 0.060))  # 0.05 ms a token, and 9 ms beside them
    assert measured.pass_tokens == pytest.approx(180)
    assert measured.seconds_for(1020) == pytest.approx(0.060)


def test_times_that_make_no_sense_change_nothing():
    measured = Pace()
    before = measured.pass_tokens
    measured.calibrate(small=(20, 0.010), large=(1020, 0.005))
    assert measured.pass_tokens == before
