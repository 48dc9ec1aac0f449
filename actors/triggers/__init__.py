"""Outside events that start a run: files, webhooks, schedules, mail."""
