"""The contestants: each module has prepare(**job), which gives a callable: one repetition."""
