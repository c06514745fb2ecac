"""ESPnet's S2T models: OWSM, and what is trained here."""
