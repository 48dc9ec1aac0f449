"""Tool servers (Model Context Protocol): one supervised actor for each server."""
