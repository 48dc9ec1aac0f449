"""Laying one map over another: the rule of `INHERIT`, `inherits`, `defaults` and overrides."""

from actors.config.yaml.tree import Table

_KINDS = ("type", "mode")


def merge(base: Table, top: Table) -> Table:
    """Return `base` with `top` laid over it.

    A map is merged key by key, at any depth; every other value of `top`, lists included, replaces the one of `base`.
    Two maps that name a different `type` or `mode` are different things: the one of `top` replaces the other. A key
    without a value (`key:`) in `top` takes the key of `base` away. Each value keeps the mark of the place where it
    was written. Neither argument is changed.
    """
    if _differ(base, top):
        return top
    result = Table(top.mark)
    for key in base:
        if key not in top:
            result.copy_key(key, base)
    for key, value in top.items():
        result.copy_key(key, top)
        below = base.get(key)
        if isinstance(value, Table) and isinstance(below, Table):
            result[key] = merge(below, value)
    return result


def _differ(base: Table, top: Table) -> bool:
    return any(kind in base and kind in top and base[kind] != top[kind] for kind in _KINDS)
