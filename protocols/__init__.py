"""The shared vocabulary of Understage: values, events, errors and interfaces without behaviour of their own."""

import sys

if "actors" in sys.modules and not hasattr(sys.modules["actors"], "__path__"):
    _other = sys.modules["actors"].__file__
    _message = f"{_other} takes the place of Understage's package 'actors': give it another name"
    raise ImportError(_message, name="actors", path=_other)
