"""The config of an experiment: one YAML file, checked against the schema and frozen."""

from k2d.config.load import ConfigError, load_config, settings_of
from k2d.config.schema import Config

__all__ = ["Config", "ConfigError", "load_config", "settings_of"]
