"""Agents, teams and chains: the handles a user holds and the actors behind them."""

from actors.nodes.node import MessageNode
from actors.nodes.operators import NodeOperators
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun

MessageNode.operators = NodeOperators(
    Team,
    TeamRun,
    make_team=lambda nodes, shared: Team(nodes, shared_prompt=shared),
    make_chain=lambda nodes, shared: TeamRun(nodes, shared_prompt=shared),
)
