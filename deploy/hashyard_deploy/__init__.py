"""Roll the agent out to rack hosts over SSH."""
