"""Servers on this computer that stand in for hosted services: they check every request as the service documents it."""
