"""The Slack app, the edges, the durable workflow and the command line: where everything is wired together."""
