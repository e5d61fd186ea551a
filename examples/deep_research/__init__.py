"""Research in stages: a tree of questions, each looked up and read side by side, and a report with its sources."""
