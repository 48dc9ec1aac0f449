"""Mail triggers: mails in an IMAP folder start runs."""
