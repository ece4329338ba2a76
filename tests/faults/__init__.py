"""What happens when the machine, the disk or the user stops a download at the worst moment: through the real program."""
