"""Runs plug-ins: loading, plan, sandbox, explanation, scoring and the one loop."""
