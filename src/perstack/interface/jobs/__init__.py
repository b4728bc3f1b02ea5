"""Jobs on a forge: one module per kind, one life cycle (admit → announce → work → fence → publish → finish)."""
