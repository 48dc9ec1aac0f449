"""One script per revision; they are never edited once released."""
