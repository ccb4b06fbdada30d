"""What callers and sockets have seen of re-opened lambdas, and what of it may not be. Pure: it meets no socket."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

ANSWERED, LOST = 200, 502


@dataclass
class Seat:
    """One socket that a lambda had. ``serial`` is told in each of its answers; ``code`` is how the node closed it."""

    serial: int
    has_key: bool
    code: int | None = None
    executed: list[int] = field(default_factory=list)
    """The numbers of the calls that came to it."""


@dataclass
class Asked:
    """One call, and how it ended. ``rightful`` are the serials of those that may answer it.

    ``is_race`` where several that showed the right key wanted the lambda meanwhile: a call that the loser has may be
    lost with it. ``serial`` is who answered; ``status`` 0 that nobody did.
    """

    number: int
    rightful: frozenset[int]
    is_race: bool
    status: int = 0
    serial: int | None = None
    echoed: int | None = None
    code: str = ""
    delivered: str | None = None
    about: str = ""
    """Which it was, for people."""


SUPERSEDED = 4409


def judge(seats: list[Seat], calls: list[Asked], *, is_starved: bool = False) -> list[str]:
    """Say what went wrong, a sentence each; nothing where all is well.

    ``is_starved``: the machine let nodes stand still for seconds, which others have to take for their death. Then a call
    may be refused too, as long as that is honest: it was given to nobody.
    """
    by_serial = {seat.serial: seat for seat in seats}
    executors: dict[int, list[int]] = defaultdict(list)
    for seat in seats:
        for number in seat.executed:
            executors[number].append(seat.serial)
    wrong = [
        f"socket {seat.serial} had calls without having shown a key"
        for seat in seats
        if seat.executed and not seat.has_key
    ]
    for call in calls:
        if is_starved and is_honest_refusal(call, executors[call.number]):
            continue
        wrong += [
            f"call {call.number} {call.about}: {what}" for what in _of_call(call, by_serial, executors[call.number])
        ]
    asked = Counter(call.number for call in calls)
    wrong += [f"call {number} was executed and nobody made it" for number in executors if not asked[number]]
    return wrong


def is_honest_refusal(call: Asked, executors: list[int]) -> bool:
    """Whether a call was refused before anybody had it, and said so."""
    return call.status not in (0, ANSWERED) and call.delivered == "no" and not executors


def _of_call(call: Asked, seats: dict[int, Seat], executors: list[int]) -> list[str]:
    if len(executors) > 1:
        return [f"executed {len(executors)} times, by {executors}"]
    if call.status == 0:
        return [f"no answer; executed by {executors}"]
    if call.status == ANSWERED:
        return _of_answer(call, executors)
    is_loss = (call.status, call.code, call.delivered) == (LOST, "lambda_lost", "unknown")
    if not is_loss:
        return [f"answered {call.status} {call.code} (delivered {call.delivered})"]
    if not call.is_race:
        return [f"lost although nobody else wanted the lambda; executed by {executors}"]
    losers = [serial for serial in executors if seats[serial].code == SUPERSEDED]
    return [] if losers else [f"lost although no socket that was superseded had it; executed by {executors}"]


def _of_answer(call: Asked, executors: list[int]) -> list[str]:
    wrong = []
    if call.echoed != call.number:
        wrong.append(f"answered with what belongs to call {call.echoed}")
    if executors != [call.serial]:
        wrong.append(f"answered by {call.serial} and executed by {executors}")
    if call.serial not in call.rightful:
        wrong.append(f"answered by {call.serial}, which was not its owner at that time ({sorted(call.rightful)})")
    return wrong
