"""`KeepAlive`: what keeps the actor of a team alive."""


class KeepAlive:
    """Held by a team and by the members that are children of its actor; the actor ends when nobody holds it any more.

    So a team that was made for one run does not take members with it that are still in use.
    """

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str) -> None:
        """Take the name of the team."""
        self.name = name
