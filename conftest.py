"""Loads the plugin. From here rather than by -p, so that our `host` fixture stands before testinfra's."""

pytest_plugins = ["preflight.plugin"]
