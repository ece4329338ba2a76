"""What happens when machine, disk or user stop a download at the worst moment: through the real program."""
