"""The laboratory: a world around the appliance (`world`), and the main job done in it with proof (`demo`)."""
