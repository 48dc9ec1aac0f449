"""What the clerk of the service can do."""


def close_account(owner: str) -> str:
    """Close an account for good."""
    return f"the account of {owner} is closed"
