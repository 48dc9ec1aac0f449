import pytest

from actors.talk.signal import Signal


def test_subscribers_are_called_in_order_until_they_are_disconnected() -> None:
    signal: Signal[int] = Signal("counted")
    seen: list[tuple[str, int]] = []

    @signal.connect
    def first(number: int) -> None:
        seen.append(("first", number))

    signal.connect(lambda number: seen.append(("second", number)))
    signal.emit(1)
    signal.disconnect(first)
    signal.disconnect(first)
    signal.emit(2)

    assert seen == [("first", 1), ("second", 1), ("second", 2)]


def test_a_failing_subscriber_is_logged_and_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    signal: Signal[int] = Signal("counted")
    seen: list[int] = []

    def broken(_: int) -> None:
        raise ValueError("broken")

    signal.connect(broken)
    signal.connect(seen.append)
    signal.emit(1)

    assert seen == [1]
    assert "counted" in caplog.text


def test_a_subscriber_may_disconnect_itself_while_it_is_called() -> None:
    signal: Signal[int] = Signal("counted")
    seen: list[int] = []

    def once(number: int) -> None:
        seen.append(number)
        signal.disconnect(once)

    signal.connect(once)
    signal.emit(1)
    signal.emit(2)

    assert seen == [1]
