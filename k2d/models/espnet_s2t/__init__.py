"""ESPnet's S2T models: OWSM, and models that are trained here."""
