from __future__ import annotations

import threading
import time

import pytest

from thresher.pipeline.queues import StageStoppedError, WeightedQueue


def never() -> bool:
    return False


def test_items_come_in_order_and_in_batches_of_the_asked_weight() -> None:
    queue: WeightedQueue[int] = WeightedQueue(100, never)
    for item, weight in [(1, 10), (2, 10), (3, 50), (4, 1)]:
        queue.put(item, weight)
    queue.close()
    assert queue.get(10, 25) == [1, 2]
    assert queue.get(10, 25) == [3]  # heavier than asked: alone
    assert queue.get(10, 25) == [4]
    assert queue.get(10, 25) == []


def test_put_waits_while_the_queue_is_full() -> None:
    queue: WeightedQueue[int] = WeightedQueue(10, never)
    queue.put(1, 10)
    waiting = threading.Thread(target=queue.put, args=(2, 10))
    waiting.start()
    time.sleep(0.05)
    assert waiting.is_alive()
    assert queue.get(1, 10) == [1]
    waiting.join(timeout=60)
    assert not waiting.is_alive()
    assert queue.get(1, 10) == [2]


def test_get_lingers_for_a_full_batch_but_not_for_ever() -> None:
    queue: WeightedQueue[int] = WeightedQueue(10, never)
    queue.put(1, 1)
    timer = threading.Timer(0.05, queue.put, args=(2, 1))
    timer.start()
    assert queue.get(2, 100, linger_s=10.0) == [1, 2]
    queue.put(3, 1)
    assert queue.get(2, 100, linger_s=0.01) == [3]


def test_an_error_comes_after_the_items_before_it() -> None:
    queue: WeightedQueue[int] = WeightedQueue(10, never)
    queue.put(1, 1)
    queue.close(RuntimeError("reader broke"))
    assert queue.get(1, 10) == [1]
    with pytest.raises(RuntimeError, match="reader broke"):
        queue.get(1, 10)


def test_whoever_waits_is_let_go_when_the_run_is_to_stop() -> None:
    stop = threading.Event()
    queue: WeightedQueue[int] = WeightedQueue(1, stop.is_set)
    queue.put(1, 1)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(StageStoppedError):
        queue.put(2, 1)
    assert queue.get(1, 1) == []
