"""Agents, teams and chains: the handles a user holds and the actors behind them."""
