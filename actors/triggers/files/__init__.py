"""File triggers: changed files start runs."""
