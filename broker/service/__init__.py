"""The use cases of uploads, objects and downloads. They depend on neither HTTP nor the environment."""
