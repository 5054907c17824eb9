"""Redirect and restore: orders accepted by rule, carried out step by step, proven by what the miner shows."""
