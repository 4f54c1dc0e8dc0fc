"""OSC: server, answers, feedback, layouts, and OSCQuery."""
