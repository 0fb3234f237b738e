"""The files of a run: the only room that writes scores, maps and run facts."""
