"""Queries as SQLAlchemy statements, built and not run. Every value is a bound parameter."""

from typing import Any, Literal

from sqlalchemy import ColumnElement, Delete, Executable, and_, case, delete, exists, func, select

from actors.storage.content import storable
from actors.storage.schema import history
from protocols.history import HistoryGroup, HistoryQuery, check_group
from protocols.session import SESSION_PREFIX, ending_of

columns = history.c
_GROUPS: dict[str, ColumnElement[Any]] = {
    "agent": columns.node,
    "role": columns.role,
    "model": func.coalesce(columns.model, ""),
    "conversation": columns.conversation_id,
    "day": columns.day,
}
Way = Literal["plain", "dense", "sparse"]
SPARSE = 2_000
"""Messages that a sparse span holds at most: they are read and sorted in a few milliseconds."""
DELETE_BATCH = 1_000
"""Rows that one transaction deletes at most, so that pruning never holds up the writer for long."""


def way_of(query: HistoryQuery) -> Way:
    """Return how a page is found: a span that is open at its near end is dense if many messages fall into it."""
    if query.conversation is not None or (query.since is None and query.until is None):
        return "plain"
    near_end = query.until if query.newest_first else query.since
    return "dense" if near_end is None else "sparse"


def found_in_span(query: HistoryQuery) -> Executable:
    """Count the messages of the agent in the span of a query, but no more than one above `SPARSE`."""
    span = HistoryQuery(agent=query.agent, since=query.since, until=query.until)
    some = select(columns.seq).where(*conditions(span)).limit(SPARSE + 1)
    return select(func.count().label("total")).select_from(some.subquery())


def page(query: HistoryQuery, way: Way = "plain") -> Executable:
    """Select one page of messages.

    No planner knows how many messages a span holds, so expressions that no index has tell the way: a dense span is
    found by walking from the near end, a sparse one by its index, and then sorted. Among 5,000,000 messages any one way
    takes seconds for some spans.
    """
    place = columns.seq + 0 if way == "sparse" else columns.seq
    wanted = select(columns.seq).where(*conditions(query, columns.created + 0 if way == "dense" else columns.created))
    if query.after is not None:
        wanted = wanted.where(place < query.after if query.newest_first else place > query.after)
    wanted = wanted.order_by(place.desc() if query.newest_first else place).limit(query.limit)
    found = select(history).where(columns.seq.in_(wanted))
    return found.order_by(columns.seq.desc() if query.newest_first else columns.seq)


def total(query: HistoryQuery | None) -> Executable:
    """Count messages."""
    return select(func.count().label("total")).select_from(history).where(*(conditions(query) if query else ()))


def sums(query: HistoryQuery, group_by: HistoryGroup | None) -> Executable:
    """Sum over each group; the first column is the key when there is one."""
    unpriced = case((columns.cost.is_(None) & (columns.tokens > 0), 1), else_=0)
    values = [
        func.count().label("messages"),
        func.coalesce(func.sum(columns.tokens), 0).label("tokens"),
        func.coalesce(func.sum(columns.input_tokens), 0).label("input_tokens"),
        func.coalesce(func.sum(columns.output_tokens), 0).label("output_tokens"),
        func.coalesce(func.sum(columns.cost), 0.0).label("cost"),
        func.coalesce(func.sum(unpriced), 0).label("unpriced"),
        func.min(columns.created).label("first"),
        func.max(columns.created).label("last"),
    ]
    if group_by is None:
        return select(*values).where(*conditions(query))
    check_group(group_by)
    key = _GROUPS[group_by]
    if query.since is not None or query.until is not None:
        key = key + 0 if group_by == "day" else key.concat("")  # no index has it: the span is looked up, not the groups
    key = key.label("key")
    ranked = select(key, *values).where(*conditions(query)).group_by(key)
    return ranked.order_by(func.count().desc(), func.min(columns.seq)).limit(query.limit)


def summaries(agent: str | None, limit: int, *, restorable: bool = False) -> Executable:
    """Select the latest conversations. Their last messages are found first, so only their messages are added up."""

    def counted(table: Any, node: ColumnElement[str]) -> list[ColumnElement[bool]]:
        own = [] if agent is None else [node == agent]
        if not restorable:
            return own
        return [*own, table.c.payload.is_not(None), table.c.conversation_id.not_like(f"{SESSION_PREFIX}%")]

    later = history.alias()
    # "" is added to names that no index shall look up: a conversation holds fewer messages than an agent.
    in_later, in_all = counted(later, later.c.node.concat("")), counted(history, columns.node.concat(""))
    is_later = exists().where(later.c.conversation_id == columns.conversation_id, later.c.seq > columns.seq, *in_later)
    last = select(columns.conversation_id).where(*counted(history, columns.node), ~is_later)
    names = last.order_by(columns.seq.desc()).limit(limit)
    latest = func.max(columns.seq)
    statement = select(
        columns.conversation_id,
        func.count().label("messages"),
        func.sum(columns.tokens).label("tokens"),
        func.min(columns.created).label("first"),
        func.max(columns.created).label("last"),
        latest.label("seq"),
    ).where(columns.conversation_id.in_(names), *in_all)
    return statement.group_by(columns.conversation_id).order_by(latest.desc())


def found_by(query: HistoryQuery) -> Delete:
    """Delete one batch of the messages that fulfil a query."""
    return _delete(and_(*conditions(query)))


def up_to(seq: int, conversation_id: str | None = None) -> Delete:
    """Delete one batch of the messages up to a position, of one conversation or of all."""
    if conversation_id is None:
        return _delete(columns.seq <= seq)
    return _delete((columns.conversation_id == conversation_id) & (columns.seq <= seq))


def first_surplus(limit: int, conversation_id: str | None = None) -> Executable:
    """Select the position of the latest message that is one too many."""
    statement = select(columns.seq).order_by(columns.seq.desc()).offset(limit).limit(1)
    return statement if conversation_id is None else statement.where(columns.conversation_id == conversation_id)


def too_long(limit: int, after: str) -> Executable:
    """Select a batch of the conversations with more than `limit` messages, in order, after one of them."""
    name = columns.conversation_id
    grouped = select(name).where(name > after).group_by(name).having(func.count() > limit)
    return grouped.order_by(name).limit(DELETE_BATCH)


def conditions(query: HistoryQuery, created: ColumnElement[float] = columns.created) -> list[ColumnElement[bool]]:
    """Return what a message must fulfil."""
    wanted = ((columns.node, query.agent), (columns.role, query.role), (columns.conversation_id, query.conversation))
    found: list[ColumnElement[bool]] = [column == value for column, value in wanted if value is not None]
    if query.session is not None:
        found.append(columns.conversation_id.startswith(SESSION_PREFIX, autoescape=True))
        found.append(columns.conversation_id.endswith(ending_of(query.session), autoescape=True))
    if query.since is not None:
        found.append(created >= query.since)
    if query.until is not None:
        found.append(created < query.until)
    if query.text is not None:
        found.append(func.lower(columns.content).contains(storable(query.text).lower(), autoescape=True))
    return found


def _delete(condition: ColumnElement[bool]) -> Delete:
    batch = select(columns.seq).where(condition).limit(DELETE_BATCH)
    return delete(history).where(columns.seq.in_(batch))
