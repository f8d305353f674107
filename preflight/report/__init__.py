"""What an operator reads: the terminal summary, the HTML page and the files beside it. Shows, never judges."""
