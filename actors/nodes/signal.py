"""Synchronous subscribers of a node; connections have the same."""

from actors.talk.signal import Signal as Signal
