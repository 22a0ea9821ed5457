"""The whole pipeline on one machine, from sensors to the proof."""
