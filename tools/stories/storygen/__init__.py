"""Our own grammar and plot planner for short, simple stories."""
