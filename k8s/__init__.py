"""Arcana on Kubernetes: the manifests lie beside these modules, which check them."""
