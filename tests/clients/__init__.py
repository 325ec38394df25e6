"""Clients of other people against ``sqsw serve``, each as its own manual says."""
