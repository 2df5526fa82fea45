"""The read-through cache, over Redis or in this process. It never decides anything."""
