"""The local steps as hooks in the trainer's loop; which there are, with which options, says `axes.local_steps`."""
