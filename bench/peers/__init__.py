"""Others that hand out presigned uploads, each as its own documents show it, so that ours is measured beside them."""
