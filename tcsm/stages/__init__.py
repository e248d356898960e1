"""Stages: the commands of ``tcsm``, each a module with ``main(cfg, out)``."""
