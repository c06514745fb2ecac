"""The config of an experiment: one YAML file, checked against the schema and frozen."""

from k2d.config.load import ConfigError, distill_settings, load_config, settings_of
from k2d.config.schema import Config

__all__ = ["Config", "ConfigError", "distill_settings", "load_config", "settings_of"]
