"""A planner and an editor that mend a bug in a git repository."""
