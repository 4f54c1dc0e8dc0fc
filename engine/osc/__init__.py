"""Open Sound Control: server, feedback, layouts, OSCQuery."""
