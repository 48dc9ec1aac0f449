"""Prompts: text, files, web pages, functions and knowledge."""
