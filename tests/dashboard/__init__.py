"""The dashboard on a real server, as a client sees it."""
