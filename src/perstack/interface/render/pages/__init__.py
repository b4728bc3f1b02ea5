"""Modules of the forge's texts, one a page; callers take their functions from `render.markdown`."""
