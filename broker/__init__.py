"""Presigned-URL broker between a product and Cloudflare R2."""
