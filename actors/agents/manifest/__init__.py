"""From the agents of a manifest to `AgentDefinition`."""
