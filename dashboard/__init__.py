"""The application: everything that is neither a screen nor SQL."""
