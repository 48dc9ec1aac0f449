"""The shared vocabulary of Understudy: values, events, errors and interfaces without behaviour of their own."""
