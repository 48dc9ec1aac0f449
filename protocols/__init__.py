"""The shared vocabulary of Understage: values, events, errors and interfaces without behaviour of their own."""
