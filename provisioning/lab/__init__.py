"""The laboratory: a world and an appliance in it (`world`, `demo`), the main job done there (`installing`), `proof`."""
