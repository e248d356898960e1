"""Stages: the only room that sees both wings. Each is `main(cfg, out)`."""
