"""The command line's words: what an operator types enters, a report or a change leaves."""
