"""The reliability catalogue in one line each: what `@pytest.mark.conformance("R65")` refers to."""

from __future__ import annotations

from typing import Final

SECTIONS: Final[dict[str, tuple[int, int]]] = {
    "Start and names": (1, 11),
    "Stop": (12, 30),
    "Crashes": (31, 42),
    "Supervisors": (43, 64),
    "Restart and the mailbox": (65, 72),
    "Watch and dead letters": (73, 79),
    "Ask": (80, 92),
    "Mailbox": (93, 102),
    "Cancellation and streams": (103, 111),
    "Loop, threads, fork, leaks, clock": (112, 118),
    "Teams and statistics": (119, 120),
}
"""First and last number of each part."""

_LINES: Final = """
R1 0 When a start returns, on_start has run and the ref answers.
R2 0 A start that raises gives its starter the original cause, never a ref.
R3 0 A start that raises SystemExit or CancelledError leaves nothing alive, and what was asked fails at once.
R4 0 A start that takes too long is cancelled, fails with StartTimeoutError and leaves no task.
R5 1 A start that is ignored succeeds without an actor; a supervisor keeps the spec unless it is temporary.
R6 0 A name in use is refused with AlreadyStartedError, and its holder is untouched.
R7 0 After each of 100 failing starts the name is free.
R8 1 A starter that is cancelled leaves no half-started actor.
R9 0 When no thread or loop is to be had, no half-alive actor stays registered.
R10 1 A factory runs at the start, not at the first message.
R11 1 What is sent during on_start is handled after it in order, or is dead if it fails.
R12 0 on_stop runs once; every stop waits for the same end.
R13 0 A stopping actor refuses everything at once, and nothing disappears.
R14 0 Stop by drain handles everything that was accepted before it, in order.
R15 0 Stop now lets the running handler finish, makes the rest dead letters, and is quick.
R16 0 After the stop timeout the handler is cancelled, after the grace cut loose, fenced and reported.
R17 0 A handler that waits for its own stop is refused at once.
R18 1 Watching, stopping or killing a stopped actor is no error and tells its watcher once.
R19 0 Children stop in reverse order, each before the next begins.
R20 0 A child that does not stop within its shutdown time is killed; the others end normally.
R21 0 A child with shutdown kill gets no grace and no on_stop.
R22 1 With shutdown infinity a parent waits for the whole subtree.
R23 1 Dynamic children stop all at once under one timer.
R24 1 Children that end by themselves during a shutdown are not restarted and do not block it.
R25 1 A child that ignores its stop does not hang its supervisor.
R26 0 Shutdown phases go on when a task fails or takes too long; they run once, and cycles are refused.
R27 1 An actor that starts another in on_stop leaves none behind.
R28 0 stop_all stops the others and names the one that is stuck.
R29 0 SIGTERM ends in order with exit code 0; a second one shortens the grace to 0.
R30 0 A forgotten actor delays the end of the interpreter by a limit and is named.
R31 0 The asker of a handler that raises gets the error at once.
R32 0 The fate of the actor is the same for tell and ask.
R33 0 A declared refusal goes to the asker and is no crash.
R34 0 An on_stop that raises is reported and the stop completes.
R35 0 An on_stop that raises a BaseException runs once and hangs nobody.
R36 1 A failing pre-restart hook is reported and the restart goes on.
R37 0 An unknown message is reported, or refused to the asker; the actor lives on.
R38 1 What cannot be written down is still reported, and the supervisor still acts.
R39 1 A crash is reported exactly once, a normal end never.
R40 0 A crash affects no other actor, task or loop.
R41 1 The most specific mapping of an exception type to a decision applies.
R42 1 A decoder that raises is supervised like a handler and keeps the bytes.
R43 0 Permanent, transient and temporary children restart after the ends that the table says.
R44 0 one_for_one leaves the siblings alone.
R45 0 one_for_all stops all others in reverse order before any starts.
R46 0 rest_for_one restarts what was started after the crashed child, and nothing else.
R47 1 A sibling that fails to start in a group restart: the fresh ones are stopped first.
R48 1 In rest_for_one what had been restarted already is not restarted again.
R49 1 A temporary sibling stopped in a group restart is gone for good.
R50 0 One crash too many within the period: all children stop and the cause escalates.
R51 0 Crashes that are rare enough never escalate; the boundary is exact.
R52 0 Every failing attempt to restart counts.
R53 0 A supervisor in a restart loop still answers and stops.
R54 0 A nested supervisor that gave up is restarted with a fresh subtree.
R55 1 Only the own end of a significant child triggers auto_shutdown.
R56 1 auto_shutdown cascades exactly as far as significance goes.
R57 0 Bad specs are refused before anything starts, naming the field.
R58 1 start, terminate, restart and delete of a child answer as Erlang's do.
R59 1 A supervisor of 100,000 children is linear.
R60 1 Arguments of temporary children are not retained.
R61 1 A tree 10,000 deep ends without RecursionError.
R62 1 When a supervisor is killed, no child survives it.
R63 0 Backoff is capped after jitter, reset after quiet, and a shutdown during it is immediate.
R64 1 When a parent restarts, its children are stopped and awaited first.
R65 0 What waits behind a crash is handled once each, in order, by the next incarnation.
R66 0 At a terminal stop what is queued is dead and asks fail; the counts balance.
R67 1 What overflows during backoff is a dead letter with reason overflow.
R68 0 Timers and tasks of one incarnation never reach the next.
R69 0 The message in hand at a crash is not run again and is reported with its cause.
R70 0 A ref and a name from before the restart reach the new incarnation.
R71 1 An ask during the restart is served by the next incarnation or fails; it never hangs.
R72 1 A crash while unstashing keeps the rest.
R73 0 Each watcher gets exactly one Terminated, none on a restart.
R74 0 Watching a dead actor tells at once, with reason already_dead.
R75 1 After unwatch no Terminated is seen, even if it was waiting.
R76 1 What happens without a handler for Terminated is declared by the actor.
R77 1 Terminated comes after everything that the dead actor had sent.
R78 0 Every undeliverable message is one dead letter; a broken subscriber stops nothing.
R79 1 An actor is not confused with a dead one of the same name.
R80 0 Asks that race a stop all complete.
R81 0 An ask to a dead actor fails at once.
R82 0 A late reply is dropped, counted, and never taken for another's.
R83 0 Work that nobody waits for is not started, or cancelled.
R84 0 An actor that asks itself is refused at once.
R85 0 A ring of asks is refused at once, naming the chain.
R86 1 A child that asks its stopping parent is refused, and the shutdown goes on.
R87 0 The default timeout is finite; None must be spelled.
R88 1 A nested ask does not outlive the outer one.
R89 0 Awaiting a reply does not block the loop.
R90 0 A timeout over many asks is for the whole call.
R91 0 A handler that raises StopIteration gives its asker a RuntimeError.
R92 1 Messages and replies go by reference.
R93 0 The order of each sender holds, from coroutines and from threads.
R94 0 One handler at a time, unless declared reentrant.
R95 0 A full mailbox does what its policy says; a blocked sender is cancellable and fails when the target ends.
R96 0 Stop, kill and supervision go before 10,000 user messages.
R97 1 A full mailbox still takes what the engine sends.
R98 1 Equal priority is first in, first out; a low lane is not starved.
R99 1 A full stash refuses; unstash keeps the order, ahead of new mail.
R100 0 Memory of a stuck actor is bounded by its capacity.
R101 1 A flooding sender does not starve the others.
R102 0 A message from a thread wakes an idle actor.
R103 0 A cancelled handler gets CancelledError; that is no crash.
R104 0 A handler that swallows its cancellation is cut loose, fenced and shown.
R105 0 A BaseException in a handler hangs nobody and stops no bystander; an exit ends the system in order.
R106 1 MemoryError and RecursionError are crashes like any other.
R107 0 Ctrl-C ends in order; twice ends at once.
R108 0 A stream whose consumer has gone is closed.
R109 0 A slow consumer of a stream holds the producer back.
R110 1 A producer that ends in mid-stream gives its consumer an error.
R111 1 The garbage collector takes none of the runtime's tasks.
R112 0 Sending to a closed loop is a clear error, and closing it ends the actors.
R113 0 A handler that blocks the loop is named; blocking handlers run in a bounded pool.
R114 0 After a fork, a ref fails at once.
R115 1 What nobody refers to lives until it is stopped, and is listed.
R116 0 10,000 restarts, timeouts and streams leave nothing behind.
R117 0 A jump of the wall clock moves nothing.
R118 1 Two systems in one process do not affect each other.
R119 0 A team run with a crash resumes or fails with its step and cause; it always ends.
R120 0 Slow or dead statistics do not slow the agents.
"""

RULES: Final[dict[int, tuple[int, str]]] = {
    int(number[1:]): (int(level), text)
    for number, level, text in (line.split(" ", 2) for line in _LINES.strip().splitlines())
}
"""Number to level (0 first release, 1 production, 2 later) and text."""

NOT_APPLICABLE: Final[dict[int, str]] = {
    42: "messages are objects; nothing is decoded between a sender and an actor of the same process",
}
"""Number to reason."""
