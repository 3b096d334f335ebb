"""The command line: one file for each command, each with `run(arguments) -> exit status`."""
